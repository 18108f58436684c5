"""A disk that was moved to a host of another address: its engine advertises the old one."""

import pytest

from _modules import swarm_builtin, swarm_leader
from swarm_formula.cluster import peers
from swarm_formula.core import addresses
from tests.unit.builtin.test_builtin import claims, records
from tests.unit.cluster_api import ClusterApi, node

OLD = "10.77.0.99"
MANAGERS = {"m1": "10.77.0.11", "m4": "10.77.0.14"}


def moved(host="m4"):
    found = node(host)
    return {**found, "Status": {**found["Status"], "Addr": OLD}}


def publish(api):
    """Have the leader answer: it lists the nodes of the API."""

    def answer(_, function, *__, **___):
        nodes = {"cluster": "c1", "nodes": dict.fromkeys(api.known), "managers": ["m1"]}
        answers = {"swarm_leader.lists": True, "swarm_leader.list_nodes": nodes}
        return {"m1": answers[function]} if function in answers else {}

    return answer


def worker(on, managers, mine):
    api = ClusterApi("m4", [node("m1", "manager", leader=True), moved()])
    told = on("m4", api, mine, managers=managers)
    swarm_builtin.__salt__["publish.publish"].side_effect = publish(api)
    return api, told


def test_a_moved_worker_that_is_to_be_a_manager_joins_again_as_foretold(on):
    api, mine = worker(on, MANAGERS, records("m1"))
    foretold = swarm_builtin.apply(test=True)
    assert api.asked == []
    assert swarm_builtin.apply() == foretold != {}
    assert [one[0] for one in api.asked] == ["leave", "/swarm/join"]
    assert mine["m4", "swarm_node"] == "id-m4"
    assert swarm_builtin.apply() == {}


def test_a_moved_worker_that_stays_one_keeps_its_tasks_and_tells_of_the_address(on):
    api, mine = worker(on, {"m1": MANAGERS["m1"]}, records("m1") | claims("m4"))
    assert swarm_builtin.apply() == {}
    assert api.asked == []
    assert mine["m4", "swarm_node"] == {"node": "id-m4", "address": OLD}
    assert swarm_builtin.claims() == {"m4": "id-m4"}


def test_an_address_that_the_host_still_has_is_as_good_as_any(on, monkeypatch):
    monkeypatch.setattr(addresses, "is_own", lambda address: address == OLD)
    api, _ = worker(on, MANAGERS, records("m1") | claims("m4"))
    assert swarm_builtin.apply() == {}
    assert api.asked == []


def test_nobody_leaves_without_a_manager_to_join(on):
    api, _ = worker(on, MANAGERS, claims("m4"))
    assert swarm_builtin.apply() == {}
    assert api.asked == []


@pytest.mark.parametrize("told", ["id-m4", {"node": "id-m4", "address": OLD}])
def test_leader_promotes_no_node_that_advertises_a_lost_address(on, told):
    api = ClusterApi("m1", [node("m1", "manager", leader=True), moved()])
    mine = records("m1") | claims("m1") | {("m4", "swarm_node"): told}
    on("m1", api, mine, managers=MANAGERS, nodes={"m4": {"labels": {"a": "b"}}})
    assert bool(swarm_leader.settle().get("m4")) == (told == "id-m4")
    assert bool(api.asked) == (told == "id-m4")


def test_new_machine_under_the_name_of_before_makes_no_manager_of_the_moved_node(on):
    """The mine has what the former host of that name told, until the new one has applied."""
    api = ClusterApi("m1", [node("m1", "manager", leader=True), moved()])
    mine = records("m1") | claims("m1")
    mine |= {("m4", "swarm_node"): {"node": "id-m4", "address": OLD}, ("m3", "swarm_node"): "id-m4"}
    on("m1", api, mine, managers={**MANAGERS, "m3": "10.77.0.13"})
    assert swarm_leader.settle() == {}
    assert api.asked == []


def test_apply_waits_until_the_managers_have_removed_the_node_of_before(on, hurry):
    api, _ = worker(on, {"m1": MANAGERS["m1"]}, records("m1") | claims("m4"))
    swarm_builtin.__context__["swarm_builtin.left"] = ("id-gone", float("inf"))
    api.known["id-gone"] = node("gone", state="down")
    with pytest.raises(Exception, match="list node id-gone, which m4 was"):
        swarm_builtin.wait_ready(5)
    del api.known["id-gone"]
    swarm_builtin.__context__.pop("swarm_builtin.listing")
    swarm_builtin.wait_ready(5)


@pytest.mark.parametrize(
    ("told", "node", "former"),
    [
        ("n1", "n1", None),
        ({"node": "n1", "address": OLD}, "n1", OLD),
        ({"node": 1, "address": [OLD]}, None, None),
        ({"address": OLD}, None, OLD),
        ([], None, None),
        (7, None, None),
    ],
)
def test_claims_in_the_mine_are_read_in_both_forms(told, node, former):
    class Mine:
        def get(self, *_):
            return {"swarm_node": {"m4": told}}

    found = peers.known(Mine(), {"managers": {}, "servers": {}, "nodes": {"m4": {}}})
    assert (found.claims.get("m4"), found.moved.get("m4")) == (node, former)
