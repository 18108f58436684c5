import pytest
import swarm_errors
import swarm_membership
from swarm_membership import INIT, JOIN, NOTHING, REJOIN, UNLOCK, WAIT

from tests.unit.pillars import node, settings_of

PILLAR = {"mode": "builtin", "managers": ["m1", "m2", "m3"], "nodes": {"m*": {}}}


def settings(host="m1", **builtin):
    return settings_of({**PILLAR, "builtin": builtin}, node(host))


def record(host, cluster="c1", token="secret"):  # noqa: S107
    return {
        "cluster": cluster,
        "node": f"node-{host}",
        "address": f"10.77.0.1{host[1:]}:2377",
        "token": token,
    }


def records(*hosts, **more):
    return {host: record(host, **more) for host in hosts}


def manager(cluster="c1", host="m1"):
    return {
        "LocalNodeState": "active",
        "ControlAvailable": True,
        "NodeID": f"node-{host}",
        "Cluster": {"ID": cluster},
        "RemoteManagers": [{"NodeID": f"node-{host}"}],
    }


def worker(*managers):
    return {
        "LocalNodeState": "active",
        "ControlAvailable": False,
        "NodeID": "node-m4",
        "RemoteManagers": [{"NodeID": f"node-{one}"} for one in managers],
    }


OUT = {"LocalNodeState": "inactive", "NodeID": "", "RemoteManagers": None}


@pytest.mark.parametrize(
    ("swarm", "host", "known", "what"),
    [
        (OUT, "m1", {}, INIT),
        ({}, "m1", {}, INIT),
        (OUT, "m2", {}, WAIT),
        (OUT, "m4", {}, WAIT),
        (OUT, "m1", records("m2"), JOIN),
        (OUT, "m1", records("m1", "m2"), JOIN),
        (OUT, "m4", records("m1"), JOIN),
        (manager(), "m1", {}, NOTHING),
        (manager(), "m1", records("m1", "m2"), NOTHING),
        (manager(""), "m1", records("m1", "m2"), WAIT),
        # It was made anew by hand: what it has told before counts for nothing.
        (manager("c2"), "m1", records("m1"), NOTHING),
        (worker("m1", "m2"), "m4", records("m1", "m3"), NOTHING),
        (worker("m1", "m2"), "m4", {}, NOTHING),
        (worker(), "m4", records("m1"), NOTHING),
        ({"LocalNodeState": "pending"}, "m4", records("m1"), WAIT),
        ({"LocalNodeState": "error", "Error": "expired"}, "m4", records("m1"), REJOIN),
    ],
)
def test_step(swarm, host, known, what):
    assert swarm_membership.step(swarm, settings(host), known).what == what


@pytest.mark.parametrize(
    ("swarm", "host", "known", "words"),
    [
        (manager("c2"), "m1", records("m2"), "another cluster than m2"),
        (worker("x1"), "m4", records("m1", "m2"), "another cluster than m1, m2"),
        (OUT, "m1", records("m1"), "no second cluster"),
        ({"LocalNodeState": "error", "Error": "expired"}, "m1", records("m2"), "failed: expired"),
        ({"LocalNodeState": "error"}, "m4", {}, "no reason given"),
        ({"LocalNodeState": "locked"}, "m1", records("m2"), "swarm:builtin:unlock_key"),
    ],
)
def test_what_only_a_human_may_decide_names_the_cure(swarm, host, known, words):
    with pytest.raises(swarm_errors.SwarmError, match=words):
        swarm_membership.step(swarm, settings(host), known)


def test_locked_manager_is_unlocked_where_the_key_is_kept():
    kept = settings(unlock_key="/root/key")
    assert swarm_membership.step({"LocalNodeState": "locked"}, kept, {}).what == UNLOCK


def test_a_masterless_single_node_makes_its_own_cluster():
    alone = settings_of({"mode": "builtin", "managers": ["m1"]}, node("m1"))
    assert swarm_membership.step(OUT, alone, {}).what == INIT


def test_managers_to_ask_are_the_others_with_a_token_in_the_order_of_pillar():
    known = {**records("m3", "m1"), "m2": record("m2", token="")}
    assert list(swarm_membership.reachable(settings("m4"), known)) == ["m1", "m3"]
    assert list(swarm_membership.reachable(settings("m1"), known)) == ["m3"]
