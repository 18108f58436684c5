"""
A drain before a restart: what it waits for, and what a lost run has left.
"""

import pytest

from swarm_formula.builtin import node_changes
from swarm_formula.cluster import node_info, raft_lock
from swarm_formula.engine import node_drain
from tests.unit.cluster.test_raft_lock import service, task
from tests.unit.cluster_api import node
from tests.unit.engine.test_restart_turn import THREE, WORKER, Api
from tests.unit.pillars import BUILTIN, settings_of
from tests.unit.pillars import node as minion

SETTINGS = settings_of(BUILTIN, minion("m1"))
BEFORE = {"node": "id-m4", "tasks": ["t1"], "services": {"web": 2, "logs": 4}}
ELSEWHERE = [task("t2", "web", "id-m1"), task("t3", "web", "id-m2")]


def pending(why):
    status = {"State": "pending", "Message": "pending task scheduling", "Err": why}
    return {**task("t5", "web", ""), "Status": status}


@pytest.mark.parametrize(
    ("tasks", "missing"),
    [
        (ELSEWHERE, None),
        ([*ELSEWHERE, task("t1", "web", "id-m4", "shutdown")], None),
        ([*ELSEWHERE, task("t1", "web", "id-m4")], "1 task(s) still run on it: web"),
        (ELSEWHERE[:1], "fewer tasks than before run on the other nodes: web"),
        ([*ELSEWHERE[:1], pending("")], "fewer tasks than before run on the other nodes: web"),
        # Waiting does not help a service that no other node may run.
        (
            [*ELSEWHERE[:1], pending("no suitable node (scheduling constraints not satisfied)")],
            None,
        ),
        # A container that is attached to a network is not Swarm's to stop.
        ([*ELSEWHERE, {**task("t6", "", "id-m4"), "ServiceID": None}], None),
    ],
)
def test_what_a_drain_waits_for(tasks, missing):
    api = Api("m1", [*THREE, WORKER])
    api.services_ = [service("web", "Replicated"), service("logs", "Global")]
    api.tasks_ = tasks
    assert node_drain.drain(api, BEFORE) == (missing, "")
    assert api.known["id-m4"]["Spec"]["Availability"] == "drain"


def drained(host, former="active"):
    return node(host, Availability="drain", Labels={node_info.DRAINED: former, "zone": "a"})


@pytest.mark.parametrize(
    ("holder", "lease", "left"),
    [(None, 0, True), ("m4", 10**12, False), ("m4", -1, True), ("m2", 10**12, True)],
    ids=["no turn", "in its turn", "its turn is too old", "another's turn"],
)
def test_node_that_a_lost_run_has_left_drained(holder, lease, left):
    api = Api("m1", [*THREE, drained("m4")])
    if holder:
        raft_lock.take(api, holder, f"id-{holder}", lease)
    found = node_drain.left(api, api.nodes())
    assert [one["ID"] for one in found] == ["id-m4"] * left


@pytest.mark.parametrize(
    ("label", "becomes"), [("pause", "pause"), ("drain", "drain"), ("yes", "active")]
)
def test_label_tells_the_availability_of_before(label, becomes):
    api = Api("m1", [*THREE, drained("m4", label)])
    assert node_drain.restore(api, "id-m4", None) == becomes
    assert api.asked == [("id-m4", "worker", becomes, {"zone": "a"})]


def test_drain_goes_on_while_other_nodes_go_away():
    api = Api("m1", [node("m1", "manager", state="down"), drained("m4")])
    api.services_, api.tasks_ = [service("web", "Replicated")], [task("t1", "web", "id-m4")]
    missing, why = node_drain.drain(api, {**BEFORE, "services": {"web": 1}})
    assert (missing, why) == ("1 task(s) still run on it: web", "")


def test_node_that_somebody_else_has_drained_is_left_alone():
    api = Api("m1", [*THREE, node("m4", Availability="drain")])
    assert node_drain.left(api, api.nodes()) == []
    assert node_drain.restore(api, "id-m4", "active") is None
    assert api.asked == []


@pytest.mark.parametrize(
    ("claims", "hostname", "found"),
    [
        ({"m4": "id-m4"}, "m4", "id-m4"),
        ({"m4.example.com": "id-m4"}, "m4", "id-m4"),
        ({"m4.example.com": "id-m4"}, "m4.example.com", "id-m4"),
        ({"m4": "id-m4"}, "m5", None),
        ({"m4": "id-m4", "m5": "id-m4"}, "m4", None),
        ({}, "m4", None),
    ],
)
def test_node_of_a_minion_has_its_name(claims, hostname, found):
    there = {**node("m4"), "Description": {"Hostname": hostname}}
    caller = next(iter(claims), "m4")
    assert node_drain.node_of(caller, claims, [there], SETTINGS) == found


@pytest.mark.parametrize("exact", [False, True])
def test_pillar_neither_ends_a_drain_in_its_turn_nor_takes_its_label(exact):
    given = {"m4": {"availability": "active", "labels": {"zone": "b"}}}
    settings = settings_of({**BUILTIN, "nodes": given, "builtin": {"exact_labels": exact}})
    change = node_changes.change("m4", drained("m4"), settings)
    assert change.spec == {"Labels": {node_info.DRAINED: "active", "zone": "b"}}


def test_comment_tells_what_became_of_it():
    changes = node_drain.report(node_drain.outcome("", 12.3, None))
    assert node_drain.remarks(changes) == ["Node: drained before the restart, in 12 s"]
    assert node_drain.remarks({}) == []
