"""
A node at rest has the master compare nothing with all accepted minions for its own sake.
"""

import pytest

from _modules import swarm_builtin, swarm_leader
from swarm_formula.cluster import donors, membership, peers
from swarm_formula.salt import mine as salt_mine
from tests.unit.builtin.test_builtin import claims, record, records
from tests.unit.cluster_api import ClusterApi, node
from tests.unit.pillars import BUILTIN, settings_of
from tests.unit.pillars import node as minion

MANAGERS = ("m1", "m2", "m3")


def cluster(me):
    managers = [node(host, "manager", leader=host == "m1") for host in MANAGERS]
    return ClusterApi(me, [*managers, node("m4")])


@pytest.fixture
def reads(on):
    """Return a function that has the modules run on a host; gives the mine and what is read."""

    def reads(me, api, told, **pillar):
        mine, found = on(me, api, told, **pillar), []
        salt = swarm_builtin.__salt__
        get = salt["mine.get"]

        def watched(target, names, tgt_type=None):
            found.append((target, names))
            return get(target, names, tgt_type=tgt_type)

        salt["mine.get"] = watched
        salt["publish.publish"].side_effect = lambda name, *_, **__: {name: "ready"}
        return mine, found

    return reads


@pytest.mark.parametrize("me", ["m1", "m3", "m4"])
def test_node_at_rest_reads_no_record_but_its_own(reads, me):
    told = {**records(*MANAGERS), **claims(*MANAGERS, "m4")}
    _, found = reads(me, cluster(me), told)
    assert swarm_builtin.apply() == {}
    swarm_builtin.wait_ready()
    others = [one for one in MANAGERS if one != me]
    assert found == [([me], ["swarm_cluster", "swarm_node"]), (others, ["swarm_node"])]


@pytest.mark.parametrize("state", ["ready", "down"])
def test_manager_reads_records_to_tell_of_problems_only_if_a_worker_is_down(reads, state):
    """One that was a manager may come back as one."""
    managers = [node(host, "manager", leader=host == "m1") for host in MANAGERS]
    api = ClusterApi("m1", [*managers, node("m4", state=state)])
    _, found = reads("m1", api, {**records(*MANAGERS), **claims(*MANAGERS, "m4")})
    assert swarm_leader.complaints() == []
    read = {name for _, names in found for name in names}
    assert ("swarm_cluster" in read) == (state == "down")


ALL = "(?:m1|m2|m3|m4)$"


@pytest.mark.parametrize(
    ("claimed", "joins", "times"),
    [
        ((*MANAGERS, "m4"), False, 1),
        ((*MANAGERS, "m4"), True, 2),
        (MANAGERS, False, 2),
    ],
    ids=["at rest", "a node joins meanwhile", "a node is nobody's yet"],
)
def test_leader_reads_the_nodes_of_all_members_once_in_an_apply(reads, claimed, joins, times):
    """The cost of that grows with their number. A node that is new is not missed by it."""
    api = cluster("m1")
    mine, found = reads("m1", api, {**records(*MANAGERS), **claims(*claimed)})
    swarm_leader.complaints()
    mine["m4", "swarm_node"] = "id-m4"
    if joins:
        api.known["id-m5"] = node("m5")
        mine["m5", "swarm_node"] = "id-m5"
    swarm_leader.settle(fresh=False)
    assert [target for target, _ in found] == [ALL] * times


def test_only_manager_of_pillar_asks_for_nothing_of_other_managers(reads):
    told = {**records("m1"), **claims("m1", "m4")}
    api = ClusterApi("m1", [node("m1", "manager", leader=True), node("m4")])
    _, found = reads("m1", api, told, managers=["m1"])
    assert swarm_builtin.apply() == {}
    assert found == [(["m1"], ["swarm_cluster", "swarm_node"])]


def test_node_whose_data_were_deleted_publishes_them_again_in_the_same_process(reads):
    """A minion without multiprocessing keeps what it has read."""
    told = {**records(*MANAGERS), **claims(*MANAGERS, "m4")}
    mine, _ = reads("m4", cluster("m4"), told)
    swarm_builtin.apply()
    swarm_builtin.forget(lose_cluster=True)
    assert ("m4", "swarm_node") not in mine
    swarm_builtin.apply()
    assert mine["m4", "swarm_node"] == "id-m4"


def test_leader_reads_no_record_to_learn_the_nodes_of_the_members(reads):
    _, found = reads("m1", cluster("m1"), {**records(*MANAGERS), **claims(*MANAGERS, "m4")})
    assert swarm_builtin.claims() == {one: f"id-{one}" for one in (*MANAGERS, "m4")}
    assert [names for _, names in found] == [["swarm_node"]]


def test_manager_at_rest_lets_new_members_of_pillar_in(reads):
    told = {**records(*MANAGERS), **claims(*MANAGERS)}
    mine, found = reads("m1", cluster("m1"), told, nodes={"m4": {}, "web-*": {}})
    swarm_builtin.apply()
    assert [target for target, _ in found] == [["m1"], ["m2", "m3"]]
    assert mine["m1", "swarm_cluster"]["members"] == r"(?:m1|m2|m3|m4|web\-.*)$"


def test_former_manager_withdraws_its_record_though_it_reads_nobody_elses(reads):
    told = {**records(*MANAGERS, "m4"), **claims(*MANAGERS, "m4")}
    mine, found = reads("m4", cluster("m4"), told)
    assert swarm_builtin.apply() == {}
    assert [target for target, _ in found] == [["m4"], [*MANAGERS]]
    assert ("m4", "swarm_cluster") not in mine


@pytest.mark.parametrize(
    "lacks",
    [("m4", "swarm_node"), ("m1", "swarm_cluster")],
    ids=["a worker that has not told its node", "a manager without a record"],
)
def test_who_has_not_published_all_of_its_own_reads_what_all_have_published(reads, lacks):
    told = {**records(*MANAGERS), **claims(*MANAGERS, "m4")}
    wanted = told.pop(lacks)
    mine, found = reads(lacks[0], cluster(lacks[0]), told)
    swarm_builtin.apply()
    assert "(?:m1|m2|m3|m4)$" in [target for target, _ in found]
    assert mine[lacks] == wanted


def near(me, api, told, **pillar):
    """Return what is near a host, without its engine."""

    def get(target, names, tgt_type):
        assert tgt_type == "list"
        return {name: {at: told[at, name] for at in target if (at, name) in told} for name in names}

    settings = settings_of({**BUILTIN, **pillar}, minion(me))
    return settings, peers.near(
        salt_mine.Mine({"mine.get": get}, {}), settings, api.info()["Swarm"]
    )


def test_what_is_near_has_no_token_to_join_by():
    """A node that leaves in between reads again before it joins."""
    settings, known = near("m4", cluster("m4"), {**records(*MANAGERS), **claims(*MANAGERS, "m4")})
    assert set(known.records) == set(MANAGERS)
    assert donors.reachable(settings, known.records) == {}


def test_worker_that_becomes_a_manager_reads_the_tokens():
    """It may have to join again, see ``membership.moved``."""
    told = {**records(*MANAGERS), **claims(*MANAGERS, "m4")}
    _, known = near("m4", cluster("m4"), told, managers=[*MANAGERS, "m4"])
    assert known.records == {host: record(host) for host in MANAGERS}


def test_manager_in_pillar_that_another_cluster_has_is_asked_as_well():
    """Its own managers may be those of a cluster that is gone: another one's list decides."""
    told = {**claims(*MANAGERS, "m4"), ("m2", "swarm_node"): "id-elsewhere"}
    _, known = near("m4", cluster("m4"), told)
    assert known.records["m2"]["node"] == "id-elsewhere"


def test_cluster_of_a_manager_whose_node_the_engine_does_not_list_is_not_taken_for_its_own():
    told = {**records("m1"), **claims(*MANAGERS), ("m2", "swarm_node"): "id-elsewhere"}
    _, known = near("m1", cluster("m1"), told)
    assert {one: known.records[one]["cluster"] for one in ("m2", "m3")} == {"m2": "", "m3": "c1"}


@pytest.mark.parametrize(
    ("state", "me"), [("pending", "m4"), ("inactive", "m4"), ("active", "m9")], ids=str
)
def test_node_that_is_not_at_rest_reads_more(state, me):
    api = cluster("m4")
    api.state = state
    told = {**records(*MANAGERS), **claims(*MANAGERS), ("m4", "swarm_node"): f"id-{me}"}
    assert near("m4", api, told)[1] is None


def test_manager_without_a_leader_reads_more():
    api = cluster("m1")
    told = {**records(*MANAGERS), **claims(*MANAGERS)}
    assert near("m1", api, told)[1] is not None
    info = api.info()
    info["Swarm"].pop("Cluster")
    api.info = lambda: info
    assert membership.manager(info["Swarm"])
    assert near("m1", api, told)[1] is None
