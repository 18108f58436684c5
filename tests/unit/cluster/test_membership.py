import pytest

from swarm_formula.cluster import donors, membership
from swarm_formula.cluster.membership import INIT, JOIN, NOTHING, REJOIN, RESTART, UNLOCK, WAIT
from swarm_formula.core import errors
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
    assert membership.step(swarm, settings(host), known).what == what


@pytest.mark.parametrize(
    ("knows", "raft", "what"),
    [
        (["m9"], {"node-m1": "reachable", "node-m9": None, "node-m4": None}, REJOIN),
        (["m9"], {"node-m1": "reachable", "node-m4": None}, REJOIN),
        ([], {"node-m1": "reachable", "node-m4": None}, REJOIN),
        (["m9", "m1"], {"node-m1": "unreachable", "node-m9": None, "node-m4": None}, WAIT),
        (["m9"], {"node-m1": "reachable", "node-m4": "unreachable"}, WAIT),
        # Not even the managers of before are in the list: it may be of another cluster.
        (["m9"], {"node-m1": "reachable"}, WAIT),
        (["m9"], {"node-m1": "reachable", "node-m9": None}, REJOIN),
        (["m9"], {}, WAIT),
    ],
    ids=["demoted", "removed", "nobody", "found", "raft", "unlisted", "dropped", "silence"],
)
def test_node_that_knows_no_manager_any_more_joins_again(knows, raft, what):
    """They were followed by others while it was off; the raft must not count it."""
    swarm = {**worker(*knows), "LocalNodeState": "pending"}
    listed = {"cluster": "c1", "nodes": raft}
    step = membership.step(swarm, settings("m4"), records("m1"), {}, listed)
    assert step.what == what


@pytest.mark.parametrize(
    ("raft", "what"),
    [
        ({"node-m1": "reachable", "node-m4": None}, REJOIN),
        ({"node-m1": "reachable", "node-m4": "unreachable"}, WAIT),
        ({"node-m1": "reachable"}, WAIT),
        ({}, WAIT),
    ],
    ids=["demoted", "counted", "unlisted", "silence"],
)
def test_manager_that_was_demoted_while_it_was_off_joins_again(raft, what):
    """Found by a walk on 20.10: its raft has no leader, and nobody tells it that it is out."""
    swarm = {**manager("", "m4"), "LocalNodeState": "pending"}
    swarm["RemoteManagers"] = [{"NodeID": f"node-{one}"} for one in ("m4", "m1", "m2")]
    listed = {"cluster": "c1", "nodes": raft}
    step = membership.step(swarm, settings("m4"), records("m1"), {}, listed)
    assert step.what == what


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
    with pytest.raises(errors.SwarmError, match=words):
        membership.step(swarm, settings(host), known)


def test_locked_manager_is_unlocked_where_the_key_is_kept():
    kept = settings(unlock_key="/root/key")
    assert membership.step({"LocalNodeState": "locked"}, kept, {}).what == UNLOCK


def test_a_masterless_single_node_makes_its_own_cluster():
    alone = settings_of({"mode": "builtin", "managers": ["m1"]}, node("m1"))
    assert membership.step(OUT, alone, {}).what == INIT


def test_managers_to_ask_are_the_others_with_a_token_in_the_order_of_pillar():
    known = {**records("m3", "m1"), "m2": record("m2", token="")}
    assert list(donors.reachable(settings("m4"), known)) == ["m1", "m3"]
    assert list(donors.reachable(settings("m1"), known)) == ["m3"]


# --- who is asked to take a node in


def token(cluster, name):
    return {**record(name, cluster), "token": f"SWMTKN-1-{cluster}-{name}"}


@pytest.mark.parametrize(
    ("host", "known", "by"),
    [
        ("m1", {"m4": token("c1", "m4")}, ["m4"]),
        ("m4", {"x9": token("c1", "x9")}, []),
        ("m1", {"m2": token("c1", "m2"), "m4": token("c1", "m4")}, ["m2", "m4"]),
        # It claims the cluster, and its token is bound to another CA.
        ("m1", {"m2": token("c1", "m2"), "m4": {**token("c2", "m4"), "cluster": "c1"}}, ["m2"]),
        ("m4", {"m2": token("c1", "m2"), "m5": token("c1", "m5")}, ["m2", "m5"]),
    ],
)
def test_former_managers_count_if_they_are_of_the_same_cluster(host, known, by):
    assert list(donors.donors(settings(host), known)) == by


def test_members_that_tell_of_different_clusters_are_not_believed():
    known = {"m4": token("c1", "m4"), "m5": token("c2", "m5")}
    with pytest.raises(errors.SwarmError, match="m4, m5 tell of clusters that differ"):
        membership.step(OUT, settings("m1"), known)


def test_nobody_makes_a_cluster_while_a_member_is_in_one():
    with pytest.raises(errors.SwarmError, match="m4 are in a cluster"):
        membership.step(OUT, settings("m1"), {}, {"m4": "node-m4"})
    assert membership.step(OUT, settings("m1"), {}, {"m1": "node-m1"}).what == INIT


def test_node_that_a_manager_lists_is_in_the_cluster():
    for swarm in (worker("x1"), manager("c2")):
        listed = {"cluster": "c1", "nodes": {swarm["NodeID"]: None}}
        step = membership.step(swarm, settings("m4"), records("m1"), {}, listed)
        assert step.what == NOTHING


FAILED = {"LocalNodeState": "error", "NodeID": "node-m1", "Error": ""}
STALE = {**FAILED, "Error": "manager stopped: can't initialize raft node: rpc error"}
EXPIRED = {**FAILED, "Error": "certificate has expired"}


@pytest.mark.parametrize(
    ("swarm", "known", "nodes", "what"),
    [
        (FAILED, records("m2"), {}, RESTART),
        (STALE, records("m2"), {}, RESTART),
        (EXPIRED, records("m2"), {"node-m1": None}, REJOIN),
        (EXPIRED, records("m2"), {"node-m1": "unreachable"}, None),
        (EXPIRED, records("m2"), {"node-m2": "reachable"}, None),
        (STALE, records("m1", "m2"), {}, None),
    ],
)
def test_swarm_mode_that_has_failed_on_a_manager(swarm, known, nodes, what):
    listed = {"cluster": "c1", "nodes": nodes}
    if what:
        assert membership.step(swarm, settings(), known, {}, listed).what == what
        return
    with pytest.raises(errors.SwarmError, match="leave force=True, which refuses"):
        membership.step(swarm, settings(), known, {}, listed)


def test_token_that_was_changed_by_hand_is_told_with_the_cure():
    said = "A valid join token is necessary to join this cluster"
    assert "salt m1 swarm_builtin.tell" in donors.token_cure(said, "m1")
    assert donors.token_cure("connection refused", "m1") == ""


def test_former_manager_names_the_managers_of_the_pillar_that_it_waits_for():
    """If these are off, the leader applies in vain."""
    pillar = settings_of({**PILLAR, "managers": ["m3", "m4"]}, node("m1"))
    said = membership.wrong_role(manager(), pillar)
    assert "one of m3, m4 has to be in the cluster and ready, and then the leader" in said
    assert "ready" not in membership.wrong_role(worker("m1"), settings("m1"))
