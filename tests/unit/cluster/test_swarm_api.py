"""
Changes of a node's role while other things happen.
"""

import pytest

from swarm_formula.cluster import raft_lock, roles
from swarm_formula.core import errors
from tests.unit.cluster_api import node
from tests.unit.engine.test_restart_turn import THREE, Api, away
from tests.unit.execution import own_time

pytestmark = pytest.mark.usefixtures("hurry")


def test_demotion_waits_for_a_manager_that_restarts_in_its_turn(monkeypatch):
    """A change of roles and of options in one apply: the restart is no loss."""
    api = Api("m1", away("m3"))
    raft_lock.take(api, "m3", "id-m3", 10**12)
    looks = []

    def find(client, found=raft_lock.find):
        looks.append(1)
        if len(looks) == 3:  # its engine is back
            client.known["id-m3"]["ManagerStatus"]["Reachability"] = "reachable"
        return found(client)

    monkeypatch.setattr(raft_lock, "find", find)
    roles.demote(api, "id-m2", timeout=5)
    assert api.asked == [("id-m2", "worker", "active", {})]
    assert len(looks) == 3


def test_demotion_waits_for_no_manager_that_is_lost():
    api = Api("m1", away("m3"))
    with pytest.raises(errors.SwarmError, match=r"would cost the quorum.* bring m3"):
        roles.demote(api, "id-m2", timeout=10**9)
    assert api.asked == []


def coming(name):
    """Return a node that was promoted, and that Raft does not count yet."""
    found = node(name)
    return {**found, "Spec": {**found["Spec"], "Role": "manager"}}


def demoted_when(api, monkeypatch, node, arrives):
    """Demote m2, while ``node`` becomes a manager at the third look; return who was one then."""
    looks, seen = [], []
    nodes, update = api.nodes, api.update_node

    def look(filters=None):
        looks.append(1)
        if len(looks) == 3 and arrives:
            api.known[node]["ManagerStatus"] = {"Reachability": "reachable", "Leader": False}
        return nodes(filters)

    def change(which, *args):
        seen.append((which, bool(api.known[node].get("ManagerStatus"))))
        return update(which, *args)

    monkeypatch.setattr(api, "nodes", look)
    monkeypatch.setattr(api, "update_node", change)
    return seen


@pytest.mark.parametrize("which", ["id-m2", "id-m4"], ids=["another", "itself"])
def test_demotion_waits_for_promotions(monkeypatch, which):
    """
    Found by a walk: Raft counted a new manager only after the old one was gone, and then had no
    leader for ever.
    """
    api = Api("m1", [*THREE, coming("m4")])
    seen = demoted_when(api, monkeypatch, "id-m4", arrives=True)
    roles.demote(api, which, timeout=60)
    assert seen == [(which, True)]


def test_leader_demotes_itself_only_when_the_others_are_at_rest(monkeypatch):
    """
    Found by a walk: a node that was demoted just before got no certificate as a worker, acted as a
    manager again, and cost the new manager its quorum.
    """
    api = Api("m1", [*THREE, node("m4")])
    now, demoted = [0], []
    update, nodes = api.update_node, api.nodes

    def look(filters=None):
        changed = {"UpdatedAt": "1970-01-01T00:00:00.1Z"}
        return [one | changed if one["ID"] == "id-m4" else one for one in nodes(filters)]

    def tick():
        now[0] += 1
        return now[0]

    for one in THREE:
        api.known[one["ID"]]["UpdatedAt"] = "1969-01-01T00:00:00Z"
    monkeypatch.setattr(roles, "time", own_time(time=tick))
    monkeypatch.setattr(api, "nodes", look)
    monkeypatch.setattr(api, "update_node", lambda *args: demoted.append(now[0]) or update(*args))
    roles.demote(api, "id-m2", timeout=60)
    roles.demote(api, "id-m1", timeout=60)
    other, itself = demoted
    assert other < roles._REST <= itself < roles._RESTLESS


def test_promotion_that_does_not_end_can_be_taken_back_and_no_other_role_changes(monkeypatch):
    api = Api("m1", [*THREE, coming("m4")])
    seen = demoted_when(api, monkeypatch, "id-m4", arrives=False)
    with pytest.raises(errors.WaitTimeoutError, match=r"m4 \(id-m4\) becomes a manager"):
        roles.demote(api, "id-m2", timeout=1)
    assert seen == []
    roles.demote(api, "id-m4", timeout=1)
    assert seen == [("id-m4", False)]


def test_demotion_does_not_wait_for_a_promoted_node_that_is_down(monkeypatch):
    """It may never be back."""
    api = Api("m1", [*THREE, {**coming("m4"), "Status": {"State": "down", "Addr": ""}}])
    roles.demote(api, "id-m2", timeout=0)
    assert api.asked == [("id-m2", "worker", "active", {})]


def promoted(monkeypatch, *hosts, lost=()):
    """
    Promote nodes of which each becomes a manager at the second look; return the numbers of managers
    at each change, and the hosts that were changed.
    """
    api = Api("m1", [node("m1", "manager", leader=True), *map(node, hosts)])
    nodes, update, looks, changes = api.nodes, api.update_node, [], []

    def look(filters=None):
        looks.append(1)
        for host in hosts if len(looks) % 3 == 0 else ():
            found = api.known[f"id-{host}"]
            if found["Spec"]["Role"] == "manager" and host not in lost:
                found["ManagerStatus"] = {"Reachability": "reachable", "Leader": False}
        return nodes(filters)

    def change(which, *args):
        count = sum(bool(one.get("ManagerStatus")) for one in api.known.values())
        changes.append((count, which.removeprefix("id-")))
        update(which, *args)
        api.known[which].pop("ManagerStatus")

    monkeypatch.setattr(api, "nodes", look)
    monkeypatch.setattr(api, "update_node", change)
    roles.promote(api, [f"id-{host}" for host in hosts], timeout=30)
    return changes


def test_managers_are_promoted_in_pairs(monkeypatch):
    """From an odd number of managers to the next one."""
    assert promoted(monkeypatch, "m2", "m3", "m4") == [(1, "m2"), (1, "m3"), (3, "m4")]


def test_promotion_that_does_not_come_about_is_told_with_its_host(monkeypatch):
    with pytest.raises(errors.WaitTimeoutError, match=r"\): m3 is no manager yet$"):
        promoted(monkeypatch, "m2", "m3", lost=["m3"])


def test_nobody_is_waited_for_if_nobody_is_promoted():
    api = Api("m1", THREE)
    roles.promote(api, [], timeout=0)
    assert api.asked == []
