"""
A node that no manager lists any more: it is not told, so it asks, and joins again.
"""

import time

import pytest

from _modules import swarm_builtin, swarm_leader
from swarm_formula.builtin import listing as builtin_listing
from swarm_formula.builtin import next_step
from swarm_formula.cluster import peers
from swarm_formula.core import errors
from tests.unit.cluster_api import ClusterApi, node
from tests.unit.execution import own_time

MANAGERS = ("m1", "m2", "m3")


def records():
    return {
        (host, "swarm_cluster"): {
            "cluster": "c1",
            "node": f"id-{host}",
            "address": f"10.77.0.1{host[1:]}:2377",
            "token": "worker",
        }
        for host in MANAGERS
    }


def at_rest():
    """Return what the managers and m4 have published."""
    return records() | {(host, "swarm_node"): f"id-{host}" for host in (*MANAGERS, "m4")}


def worker(on, silent=(), *nodes, state="active"):
    """Have the modules run on m4, and the managers answer but those that are silent."""
    api = ClusterApi("m4", [*(node(host, "manager") for host in MANAGERS), *nodes], state)
    on("m4", api, records(), timeout=30)
    asked = []

    def publish(target, function, arg=None, tgt_type="glob", **_):
        asked.append((target, function))
        assert tgt_type == "list", "a glob costs the master as much as it has minions"
        if function != "swarm_leader.lists" or target in silent:
            return {}
        return {target: arg[0] in api.known}

    swarm_builtin.__salt__["publish.publish"].side_effect = publish
    return api, asked


def test_worker_that_was_removed_joins_again_as_was_promised(on):
    api, _ = worker(on)
    promised = swarm_builtin.apply(test=True)
    assert api.asked == []
    assert swarm_builtin.apply() == promised != {}
    assert [one[0] for one in api.asked] == ["leave", "/swarm/join"]
    assert swarm_builtin.apply() == swarm_builtin.apply(test=True) == {}


def test_worker_that_is_listed_asks_one_manager_once_and_stays(on):
    api, asked = worker(on, (), node("m4"))
    assert swarm_builtin.apply() == {}
    swarm_builtin.wait_ready()
    assert api.asked == []
    assert [function for _, function in asked] == ["swarm_leader.lists"]


def test_worker_at_rest_reads_once_in_an_apply_what_managers_have_told(on, monkeypatch):
    api = ClusterApi("m4", [*(node(host, "manager") for host in MANAGERS), node("m4")])
    mine = on("m4", api, at_rest())
    swarm_builtin.__salt__["publish.publish"].side_effect = lambda name, *_, **__: {name: "ready"}
    swarm_builtin.apply()
    once = len(mine.asked)
    swarm_builtin.wait_ready()
    assert len(mine.asked) == once
    # Whoever waits sees what changes: another manager, or time goes by.
    api.known["id-m2"].pop("ManagerStatus")
    swarm_builtin.wait_ready()
    assert len(mine.asked) == 2 * once
    now = time.monotonic()
    monkeypatch.setattr(next_step, "time", own_time(monotonic=lambda: now + next_step.NUDGE + 1))
    swarm_builtin.wait_ready()
    assert len(mine.asked) == 3 * once


def test_worker_whose_managers_do_not_answer_stays_as_it_is(on):
    """As with a master whose configuration has no ``peer`` for that."""
    api, asked = worker(on, MANAGERS)
    assert swarm_builtin.apply() == {}
    assert api.asked == []
    assert {target for target, _ in asked} == set(MANAGERS)


def test_worker_that_has_just_joined_asks_nobody_whether_it_is_listed(on):
    """Its engine ends the join when a manager has it as ready."""
    api, asked = worker(on, state="inactive")
    assert swarm_builtin.apply()
    swarm_builtin.wait_ready()
    assert [one[0] for one in api.asked] == ["/swarm/join"]
    assert {function for _, function in asked} == {"swarm_leader.settle"}


def test_one_manager_that_answers_is_enough(on):
    api, _ = worker(on, ("m1", "m2"))
    assert swarm_builtin.apply()
    assert [one[0] for one in api.asked] == ["leave", "/swarm/join"]


def test_removed_worker_that_is_told_only_while_it_waits_joins_again(on, hurry):
    """A manager on a loaded machine may not answer in time at first."""
    api, _ = worker(on)
    swarm_builtin.wait_ready(60)
    assert [one[0] for one in api.asked] == ["leave", "/swarm/join"]


def listed(on, *states, me="m4"):
    """Have a node whose engine is well, and the managers list it in one state after the other."""
    roles = dict.fromkeys(MANAGERS, "manager")
    api = ClusterApi(me, [node(host, roles.get(host, "worker")) for host in (*MANAGERS, "m4")])
    api.known["id-m1"]["ManagerStatus"]["Leader"] = True
    on(me, api, records() | {(me, "swarm_node"): f"id-{me}"})
    left = list(states)

    def tell(*_, **__):
        return {one: left.pop(0) if len(left) > 1 else left[0] for one in MANAGERS}

    swarm_builtin.__salt__["publish.publish"].side_effect = tell
    return api


@pytest.mark.parametrize("state", ["down", "unknown", "disconnected"])
def test_node_that_the_managers_do_not_hear_is_not_healthy(on, hurry, state):
    """Its own engine goes on to say that it is active."""
    listed(on, state)
    with pytest.raises(errors.WaitTimeoutError) as caught:
        swarm_builtin.wait_ready(20)
    assert f"the managers list its node id-m4 as {state}" in str(caught.value)


def test_node_that_the_managers_hear_again_is_healthy(on, hurry):
    listed(on, "unknown", "down", "ready")
    swarm_builtin.wait_ready(20)


def test_manager_looks_in_its_own_list(on, hurry):
    api = listed(on, "ready", me="m2")
    swarm_builtin.wait_ready(20)
    api.known["id-m2"]["Status"]["State"] = "down"
    with pytest.raises(errors.WaitTimeoutError, match="list its node id-m2 as down"):
        swarm_builtin.wait_ready(20)


def test_mere_check_asks_no_manager(on):
    listed(on, "down")
    swarm_builtin.wait_ready(0)
    swarm_builtin.__salt__["publish.publish"].assert_not_called()


def test_manager_of_an_older_release_tells_only_that_it_lists_the_node(on):
    listed(on, True)
    swarm_builtin.wait_ready(20)


SWARM = {
    "LocalNodeState": "active",
    "NodeID": "id-m4",
    "ControlAvailable": False,
    "RemoteManagers": [{"NodeID": "id-m2"}],
}
RECORDS = {"m2": {"node": "id-m2"}, "m3": {"node": "id-m3"}}


@pytest.mark.parametrize(
    ("differs", "doubtful"),
    [
        ({}, True),
        ({"LocalNodeState": "pending"}, True),
        ({"LocalNodeState": "inactive"}, False),
        ({"LocalNodeState": "error"}, False),
        ({"LocalNodeState": "locked"}, False),
        ({"NodeID": ""}, False),
        ({"ControlAvailable": True, "Cluster": {"ID": "c1"}}, False),
        ({"ControlAvailable": True, "Cluster": {"ID": ""}, "LocalNodeState": "pending"}, True),
        ({"RemoteManagers": [{"NodeID": "elsewhere"}]}, False),
        ({"RemoteManagers": None}, False),
    ],
)
def test_only_a_worker_of_this_cluster_asks(differs, doubtful):
    assert builtin_listing.is_doubtful({**SWARM, **differs}, RECORDS) is doubtful


def test_nodes_do_not_all_ask_the_same_manager():
    managers = dict.fromkeys(("m1", "m2", "m3"), "10.0.0.1")
    records = {name: {} for name in managers}
    asked = [
        builtin_listing.to_ask({}, {"managers": managers, "id": f"web-{number}"}, records)
        for number in range(50)
    ]
    assert {one[0] for one in asked} == set(managers)
    assert all(sorted(one) == ["m1", "m2", "m3"] for one in asked)
    assert (
        builtin_listing.to_ask(
            {}, {"managers": managers, "id": "m1", "is_manager": True}, {"m1": {}}
        )
        == []
    )


@pytest.mark.parametrize(
    "returns", [{}, None, "timed out", {"m1": None}, {"m1": "no"}, {"m2": True}]
)
def test_what_is_no_answer_is_none(returns):
    assert builtin_listing.answer(returns, "m1") is None


def test_manager_tells_what_it_lists_and_a_worker_tells_nothing(on):
    on("m1", ClusterApi("m1", [node("m1", "manager", leader=True), node("m4")]))
    assert [swarm_leader.lists(one) for one in ("id-m4", "id-m9")] == ["ready", ""]
    on("m4", ClusterApi("m4", [node("m1", "manager"), node("m4")]))
    assert swarm_leader.lists("id-m4") is None


def test_worker_at_rest_reads_nothing_of_other_workers_in_the_mine(on):
    """The fleet's cost on the master would grow with the square of its size."""
    api = ClusterApi("m4", [*(node(host, "manager") for host in MANAGERS), node("m4")])
    mine = on("m4", api, at_rest())
    swarm_builtin.__salt__["publish.publish"].side_effect = lambda *_, **__: {"m1": True}
    assert swarm_builtin.apply() == {}
    swarm_builtin.wait_ready()
    assert {str(target) for target, _ in mine.asked} == {"['m4']", "['m1', 'm2', 'm3']"}


def successor(on, answers, state="active"):
    """Have m4 be the pillar's only manager, in a cluster that the managers of before still lead."""
    api = ClusterApi("m4", [node(host, "manager") for host in answers], state)
    on("m4", api, records(), managers={"m4": "10.77.0.14"}, nodes={"m*": {}})

    def publish(target, function, *_, **__):
        asked = target.split(",")
        if function == "swarm_leader.lists":
            return {one: answers[one] for one in asked if one in answers}
        there = {f"id-{one}": "reachable" for one in answers}
        nodes = {one: there | ({"id-m4": None} if said else {}) for one, said in answers.items()}
        if function == "swarm_leader.list_nodes":
            return {
                one: {"cluster": "c1", "nodes": nodes[one], "managers": ["m4"]}
                for one in asked
                if one in nodes
            }
        return {}

    swarm_builtin.__salt__["publish.publish"].side_effect = publish
    return api


def test_removed_worker_that_is_to_be_the_only_manager_asks_the_former_ones(on):
    """Nobody in the pillar can tell it, and the leader does not promote a node that is gone."""
    api = successor(on, {"m1": False, "m2": False})
    promised = swarm_builtin.apply(test=True)
    assert swarm_builtin.apply() == promised != {}
    assert [one[0] for one in api.asked] == ["leave", "/swarm/join"]


@pytest.mark.parametrize("answers", [{"m1": False, "m2": True}, {"m1": True, "m2": False}, {}])
def test_worker_that_one_former_manager_lists_stays(on, answers):
    api = successor(on, answers)
    assert swarm_builtin.apply() == {}
    assert api.asked == []


ASKS = {"id": "m4", "is_manager": True, "managers": {"m4": "10.77.0.14"}}


@pytest.mark.parametrize(
    ("differs", "settings", "asked"),
    [
        ({}, ASKS, ["m2"]),
        ({"LocalNodeState": "pending"}, ASKS, ["m2"]),
        # Raft may count this one: only managers in the pillar may have it leave.
        ({"ControlAvailable": True}, ASKS, []),
        # A failed engine knows no managers. Raft's list shows whether it counts the node.
        ({"LocalNodeState": "error", "RemoteManagers": None}, ASKS, ["m2"]),
        ({"LocalNodeState": "error"}, {**ASKS, "id": "m2"}, []),
        ({}, {**ASKS, "id": "m2"}, []),
        ({}, {**ASKS, "is_manager": False}, []),
        # A record of a node that the engine does not know as a manager may be a lie.
        ({"RemoteManagers": [{"NodeID": "elsewhere"}]}, ASKS, []),
    ],
)
def test_former_managers_are_asked_by_a_worker_that_is_to_be_a_manager(differs, settings, asked):
    known = {"m2": records()["m2", "swarm_cluster"]}
    assert builtin_listing.former({**SWARM, **differs}, settings, known) == asked


def test_pending_worker_is_listed_if_any_former_manager_lists_it():
    answers = {
        "m1": {"cluster": "c1", "nodes": {"id-m1": "reachable"}, "managers": ["m1"]},
        "m2": {"cluster": "c1", "nodes": {"id-m1": None, "id-m4": None}, "managers": ["m1"]},
    }
    salt = {
        "publish.publish": lambda names, *_, **__: {one: answers[one] for one in names.split(",")}
    }
    found = peers.listing(salt, ASKS, ["m1", "m2"])
    assert found["nodes"] == {"id-m1": "reachable", "id-m4": None}


@pytest.mark.parametrize("state", ["active", "pending"])
@pytest.mark.parametrize(
    ("nodes", "joins"),
    [
        ({"id-m3": "reachable", "id-m1": None}, True),
        ({"id-m3": "reachable", "id-m1": None, "id-m4": None}, False),
        # Without a manager that it knows, this may be another cluster: the disk is an old one.
        ({"id-m3": "reachable"}, False),
        ({}, False),
    ],
    ids=["removed", "listed", "elsewhere", "silence"],
)
def test_worker_whose_managers_were_replaced_after_its_removal(on, state, nodes, joins, hurry):
    """Found by a walk: it knows nobody who could tell it."""
    api = ClusterApi("m4", [node("m1", "manager"), node("m4")], state)
    told = {("m1", "swarm_node"): "id-m1", ("m4", "swarm_node"): "id-m4"}
    told["m3", "swarm_cluster"] = records()["m3", "swarm_cluster"]
    on("m4", api, told, managers={"m3": "10.77.0.13"}, nodes={"m*": {}}, timeout=60)
    info = api.info

    def pending():
        found = info()["Swarm"]
        left = found["LocalNodeState"] != "pending"
        knows = {"NodeID": "id-m4", "RemoteManagers": [{"NodeID": "id-m1"}]}
        return {"Swarm": found if left else {**found, **knows}}

    api.info = pending
    listing = {"cluster": "c1", "nodes": nodes, "managers": ["m3"]}
    swarm_builtin.__salt__["publish.publish"].side_effect = lambda target, function, *_, **__: (
        {"m3": listing} if function == "swarm_leader.list_nodes" and nodes else {}
    )
    if state == "active" or joins:
        assert bool(swarm_builtin.apply(test=True)) == joins
        assert bool(swarm_builtin.apply()) == joins
    assert [one[0] for one in api.asked] == (["leave", "/swarm/join"] if joins else [])


def test_worker_is_in_its_cluster_though_a_manager_told_of_it_before_a_new_ca(on):
    """Found by a walk: the record of m3 has the digest of the CA of before."""
    api = ClusterApi("m4", [node("m1", "manager"), node("m4")])
    told = {
        ("m3", "swarm_cluster"): {**records()["m3", "swarm_cluster"], "token": "SWMTKN-1-old-x"},
        ("m1", "swarm_cluster"): {**records()["m1", "swarm_cluster"], "token": "SWMTKN-1-new-x"},
        ("m1", "swarm_node"): "id-m1",
        ("m4", "swarm_node"): "id-m4",
    }
    on("m4", api, told, managers={"m3": "10.77.0.13"}, nodes={"m*": {}})
    assert swarm_builtin.apply(test=True) == {}
    told["m1", "swarm_cluster"]["cluster"] = "c2"
    on("m4", api, told, managers={"m3": "10.77.0.13"}, nodes={"m*": {}})
    with pytest.raises(errors.SwarmError, match="m4 is in another cluster than m3"):
        swarm_builtin.apply(test=True)
