"""
What goes wrong in builtin mode, how it is provoked, and its cure, by docs/troubleshooting.md.
"""

import contextlib

from tests.integration.troubles.table import pillar, refused, spoiled
from tests.troubles import Table

CHANGES = "tests/builtin/test_changes.py"
TURNS = "tests/unit/engine/test_restart_turn.py"
TLS = "tests/unit/tls/test_tls.py"
REFUSED = "test_what_would_end_the_cluster_or_hide_what_it_runs_is_refused_by_every_node"
TROUBLES = Table(
    {
        "... is in another cluster than m1, m2, m3 of swarm:managers": (
            f"{CHANGES}::test_node_of_another_cluster_is_refused_with_the_cure"
        ),
        "m1 is in a cluster of swarm mode (active), and swarm:mode in its pillar is classic or"
        " missing": f"{CHANGES}::{REFUSED}",
        "swarm:engine:options:data-root: ... would be out of the engine's sight": (
            f"{CHANGES}::{REFUSED}"
        ),
        "m1, the CA (swarm:tls:ca), has no CA for clients yet": (
            f"{TLS}::test_ca_that_has_none_for_clients_yet_is_waited_for"
        ),
        "m1, the CA (swarm:tls:ca), signs for m4 with the usages ...": (
            f"{TLS}::test_ca_of_another_mode_is_told"
        ),
        "m1 waits for its turn to restart its engine: m2 has it": (
            f"{CHANGES}::"
            "test_host_that_was_lost_in_its_turn_is_named_and_goes_on_with_its_next_apply"
        ),
        "to stop the engine of m1 (...) would cost the quorum": (
            f"{TURNS}::test_restart_that_would_cost_the_quorum_is_refused_and_leaves_no_turn"
        ),
        "the engine of m1 has to restart, and the cluster locks its managers": (
            f"{TURNS}::test_manager_that_would_stay_locked_is_not_restarted"
        ),
        "none of m1, m2, m3 answers swarm_turn.request": (
            f"{TURNS}::test_worker_that_no_manager_answers_is_told_of_the_masters_configuration"
        ),
    }
)
row = TROUBLES.row

# Never the first of pillar's managers.
HOST = "m3"


def _others(mode, host):
    return [one for one in mode.lab.hosts() if one != host]


def _demote_by_hand(mode, host):
    mode.demote(mode.by_host()[host]["ID"])
    mode.wait(lambda: not mode.swarm(host).get("ControlAvailable"), 120)


@row("m4 is a worker and is to be a manager: ...", cheap=True)
def leader_that_has_not_looked(mode):
    _demote_by_hand(mode, HOST)
    with contextlib.ExitStack() as stack:
        stack.enter_context(pillar(mode, timeout=10))
        for host in _others(mode, HOST):
            unit = ("systemctl stop salt-minion", "systemctl start salt-minion")
            stack.enter_context(spoiled(mode, host, *unit))
        yield refused(mode, HOST)
    mode.await_minions()


@row("none of m1, m2, m3 has told of a cluster")
def managers_that_were_not_applied_with_the_new_node(mode):
    mode.lab.salt(HOST, "swarm_builtin.leave")
    others = ",".join(_others(mode, HOST))
    with pillar(mode, managers=others.split(","), nodes={"none": {}}):
        mode.lab.salt(others, "saltutil.refresh_pillar", "wait=True")
        mode.lab.salt(others, "swarm_builtin.tell")
    with pillar(mode, timeout=10):
        yield refused(mode, HOST)
    mode.apply(others)


@row("the managers list its node ... as down")
def worker_that_the_managers_do_not_hear(mode):
    managers = _others(mode, HOST)
    with pillar(mode, managers=managers):
        mode.apply()
        mode.pillar(managers=managers, timeout=10)
        rule = "OUTPUT -p tcp --dport 2377 -j REJECT --reject-with tcp-reset"
        with spoiled(mode, HOST, f"iptables -I {rule}", f"iptables -D {rule}"):
            mode.wait(lambda: mode.by_host()[HOST]["Status"]["State"] == "down", 120)
            yield refused(mode, HOST)
    mode.apply()


@row("demoting ... would cost the quorum")
def manager_that_quorum_needs(mode):
    mode.lab.stop(HOST)
    try:
        mode.wait(lambda: mode.roles().get(HOST) is None and mode.leader(), 120)
        with pillar(mode, managers=["m1", HOST], timeout=60):
            yield refused(mode, mode.leader())
    finally:
        mode.lab.start(HOST)
        mode.wait(lambda: mode.roles().get(HOST) == "manager", 180)
        mode.await_minions()


@row("no second cluster comes to be", anew=True)
def manager_that_is_the_only_one_that_tells_of_a_cluster(mode):
    """The cluster is lost for good: that is the one case in which it may be forgotten."""
    first, *others = mode.lab.hosts()
    for host in [*others, first]:
        mode.post(host, "/swarm/leave?force=true")
    for host in others:
        mode.lab.salt(host, "swarm_builtin.forget")
    yield refused(mode, first)
    mode.lab.salt("*", "swarm_builtin.forget")
