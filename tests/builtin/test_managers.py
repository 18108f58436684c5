"""
The list of managers changes on a cluster that runs: it stays the one that it is, and well.
"""

import pytest

from tests.integration.cluster import failures

pytestmark = [pytest.mark.once, pytest.mark.long]

HOSTS = ("m1", "m2", "m3", "m4")


@pytest.fixture
def four(mode):
    """The cluster with a fourth host."""
    if "m4" not in mode.lab.hosts():
        mode.lab.add("m4")
    mode.pillar(managers=["m1", "m2", "m3"])
    mode.apply()
    mode.become(m1="manager", m2="manager", m3="manager", m4="worker")
    yield mode
    mode.switch_on()
    mode.await_minions()
    mode.pillar()
    mode.apply()


def managers(four, names, applies=1):
    """Have pillar name other managers, apply, and insist that the raft counts just these."""
    cluster = four.cluster()
    four.pillar(managers=list(names))
    for _ in range(applies):
        four.apply()
    assert votes(four) == set(names)
    four.become(**{host: "manager" if host in names else "worker" for host in HOSTS})
    assert four.cluster() == cluster


def votes(four):
    """Return the hosts that the raft counts."""
    return {host for host, one in four.by_host().items() if one.get("ManagerStatus")}


def test_new_machine_that_is_the_only_manager_of_pillar_joins_by_the_former_one(four):
    managers(four, ["m1"])
    four.lab.salt("m4", "swarm_builtin.leave")
    managers(four, ["m4"])
    four.wait(lambda: four.apply() == {}, 120)


def test_managers_change_again_and_again_and_the_cluster_stays(four):
    """A node has joined by a manager that is none any more when the node becomes one."""
    for names in (["m1", "m2"], ["m2"], ["m2", "m3"], ["m3"], ["m3", "m4"], ["m2", "m4"]):
        managers(four, names)
    managers(four, ["m1", "m2"])
    assert four.apply() == {}


def test_power_cut_after_a_demotion_costs_no_leader(four):
    managers(four, ["m1"])
    for host in ("m2", "m3"):
        four.lab.stop(host)
        four.lab.start(host)
        four.await_minion(host)
    four.apply()
    assert votes(four) == {"m1"}
    assert four.leader() == "m1"


def test_engine_that_is_killed_while_it_is_demoted_is_no_vote_in_vain(four):
    """It comes back as a manager and joins the raft anew, before it learns that it is a worker."""
    leader = four.leader()
    rest = [host for host in ("m1", "m2", "m3") if host != leader]
    node = four.swarm(leader)["NodeID"]
    four.pillar(managers=rest)
    four.lab.exec("salt", "salt", "--async", "*", "state.apply", "swarm")

    def demoted():
        found = {one["ID"]: one for one in four.api(rest[0], "/nodes") or []}
        return found.get(node, {}).get("Spec", {}).get("Role") == "worker"

    four.wait(demoted, 240)
    four.lab.exec(leader, "pkill", "-KILL", "dockerd")
    four.await_idle()
    four.state()
    four.apply()
    assert votes(four) == set(rest)
    # To make it a manager while the raft counts it in vain would have its engine panic.
    managers(four, ["m1", "m2", "m3"])


def test_manager_that_went_away_before_it_was_a_worker_does_not_take_the_last_vote_along(four):
    """It still has the certificate of a manager, joins the raft anew, and is then a worker."""
    lost, other = ("m3", "m2") if four.leader() != "m3" else ("m2", "m3")
    node = four.by_host()[lost]["ID"]
    four.lab.stop(lost)
    listed = lambda: {one["ID"]: one for one in four.nodes()}[node]  # noqa: E731
    four.wait(lambda: listed()["Status"]["State"] == "down", 120)
    four.demote(node)
    four.wait(lambda: votes(four) == {"m1", other}, 60)
    four.pillar(managers=["m1"])
    told = failures(four.state(target=f"m1,m4,{other}")).values()
    assert any(f"demoting {other}" in one and lost in one for one in told), told
    assert votes(four) == {"m1", other}
    four.lab.start(lost)
    four.await_minion(lost)
    managers(four, ["m1"], applies=2)
    assert four.leader() == "m1"


def test_force_does_not_cost_the_cluster(four):
    managers(four, ["m1", "m2"])
    for host in ("m1", "m2"):
        told = four.lab.salt(host, "swarm_builtin.leave", "force=True")[host]
        assert "it would cost the quorum: 2 of 2 managers are needed" in told
    managers(four, ["m1"])
    told = four.lab.salt("m1", "swarm_builtin.leave", "force=True")["m1"]
    assert "it is the last manager" in told
    told = four.lab.salt("m1", "swarm_builtin.forget")["m1"]
    assert "nothing was forgotten: swarm mode is active on m1" in told
    told = four.lab.salt("m1", "swarm_backup.force_new_cluster", "force=True")["m1"]
    assert "is in a cluster that has a leader" in told
    assert votes(four) == {"m1"}
    assert failures(four.state(test=True)) == {}
