import pytest

from swarm_formula.builtin import node_changes, node_removal
from swarm_formula.cluster import node_claims, node_info, node_quorum
from swarm_formula.core import member_rules, normalize
from tests.unit.pillars import node as minion
from tests.unit.pillars import settings_of

PILLAR = {"mode": "builtin", "managers": ["m1", "m2", "m3"]}


def settings(nodes=None, **builtin):
    return settings_of({**PILLAR, "nodes": nodes or {}, "builtin": builtin}, minion("m1"))


def node(host, role="worker", state="ready", reach=None, **spec):
    found = {
        "ID": f"id-{host}",
        "UpdatedAt": "2026-01-01T00:00:00.123456789Z",
        "Spec": {"Role": role, "Availability": "active", "Labels": {}, **spec},
        "Description": {"Hostname": "same", "Engine": {"EngineVersion": "26.1.5"}},
        "Status": {"State": state, "Addr": f"10.77.0.1{host[1:]}"},
    }
    if role == "manager":
        found["ManagerStatus"] = {"Reachability": reach or "reachable", "Leader": host == "m1"}
    return found


def managers(*gone):
    return [
        node(one, "manager", *(("down", "unreachable") if one in gone else ()))
        for one in ("m1", "m2", "m3")
    ]


def claims(*hosts):
    return {host: f"id-{host}" for host in hosts}


def test_later_and_closer_entries_count_more():
    nodes = {
        "*": {"labels": {"zone": "a", "disk": "hdd"}, "availability": None},
        "m4": {"labels": {"zone": "b", "disk": None}, "availability": "drain"},
        "x*": {"labels": {"zone": "c"}, "availability": "pause"},
    }
    assert member_rules.settings_of("m4", nodes) == {
        "labels": {"zone": "b", "disk": None},
        "availability": "drain",
    }


@pytest.mark.parametrize(
    ("wanted", "exact", "labels"),
    [
        ({"zone": "b"}, False, {"zone": "b", "admin": "1"}),
        ({"zone": None}, False, {"admin": "1"}),
        ({"zone": "b"}, True, {"zone": "b"}),
        ({}, True, {}),
        ({"ssd": True, "n": 3}, True, {"ssd": "true", "n": "3"}),
    ],
)
def test_labels_are_merged_or_exact(wanted, exact, labels):
    there = node("m4", Labels={"zone": "a", "admin": "1"})
    change = node_changes.change(
        "m4", there, settings({"m4": {"labels": wanted}}, exact_labels=exact)
    )
    assert change.spec == {"Labels": labels}
    assert change.role is None


def test_nothing_to_do_is_no_change():
    there = node("m4", Labels={"zone": "a"})
    assert node_changes.change("m4", there, settings({"m4": {"labels": {"zone": "a"}}})) is None


def test_new_managers_come_before_old_ones_go_and_this_one_goes_last():
    there = [*managers(), node("m4", "manager"), node("m5"), node("m0", "manager")]
    pillar = {**PILLAR, "managers": ["m2", "m3", "m4"]}
    mine = settings_of({**pillar, "managers": {"m5": "10.0.0.5", "m3": "10.0.0.3"}}, minion("m1"))
    found = node_changes.changes(there, claims("m0", "m1", "m2", "m3", "m5"), mine)
    assert [(one.minion, one.role) for one in found] == [
        ("m5", "manager"),
        ("m0", "worker"),
        ("m2", "worker"),
        ("m1", "worker"),
    ]


def test_who_is_no_minion_of_the_mine_is_left_alone():
    assert node_changes.changes([node("m4", Labels={"a": "b"})], {}, settings()) == []
    assert node_changes.changes([], claims("m4"), settings()) == []


def test_a_worker_that_says_it_is_a_manager_changes_nothing():
    liar = {**claims("m1", "m2", "m3"), "m4": "id-m2"}
    assert node_changes.changes(managers(), liar, settings({"m4": {"labels": {"a": "b"}}})) == []
    (text,) = node_claims.doubles(liar, managers(), settings())
    assert text.startswith("m2, m4 all say they are node id-m2, which the cluster lists as same")
    assert "no host must leave" in text
    assert "swarm_builtin.leave" not in text


def test_copy_of_a_workers_disk_is_to_leave_and_no_manager_is_named_for_it():
    both = claims("m4", "m5") | {"m5": "id-m4", "m1": "id-m4"}
    (text,) = node_claims.doubles(both, [*managers(), node("m4")], settings())
    assert "Have the copy leave, which is one of m4, m5, and apply" in text


@pytest.mark.parametrize(
    ("nodes", "who", "refused"),
    [
        (managers(), "m2", False),
        (managers("m3"), "m2", True),
        (managers("m3"), "m3", False),
        (managers("m2", "m3"), "m3", True),
        ([node("m1", "manager")], "m1", True),
        ([*managers(), node("m4")], "m4", False),
        ([*managers(), node("m4", "manager")], "m2", False),
        # Five, two of them gone: one of those may go, and nobody who is alive.
        (
            [*managers("m3"), node("m4", "manager"), node("m5", "manager", reach="unreachable")],
            "m3",
            False,
        ),
        (
            [*managers("m3"), node("m4", "manager"), node("m5", "manager", reach="unreachable")],
            "m2",
            True,
        ),
        ([node("m1", "manager"), node("m2", "manager")], "m2", False),
        ([node("m1", "manager"), node("m2", "manager", "down", "unreachable")], "m2", True),
    ],
)
def test_quorum(nodes, who, refused):
    text = node_quorum.refusal(nodes, f"id-{who}", "removing")
    assert bool(text) is refused


@pytest.mark.parametrize(
    ("off", "cure"),
    [
        (["m4"], "Start it and apply again; or remove it"),
        # Two lost votes beside two managers: with both, nobody could lead.
        (["m4", "m5"], "Before it starts, add a manager; or remove it"),
    ],
)
def test_former_managers_are_to_be_started_only_if_the_quorum_bears_it(off, cure):
    coming = [node(one, state="down") for one in off]
    nodes = [*managers()[:2], *coming]
    assert cure in node_quorum.return_refusal(nodes, "id-m2", coming)


@pytest.mark.parametrize(("state", "refused"), [("ready", False), ("unknown", True)])
def test_manager_of_which_a_new_leader_has_not_heard_bears_no_lost_vote(state, refused):
    """Found by a walk: the new leader lists it as reachable, and it is gone."""
    coming = [node("m5", state="down")]
    gone = node("m3", "manager", state=state, reach="reachable")
    nodes = [*managers()[:2], gone, node("m4", "manager"), *coming]
    found = node_quorum.return_refusal(nodes, "id-m4", coming)
    assert bool(found) == refused


def test_lost_vote_goes_even_while_the_old_managers_keep_their_role():
    lost = node("m3", "manager", reach="unreachable", Role="worker")
    there = [*managers()[:2], lost, node("m4", state="down")]
    pillar = settings_of({**PILLAR, "managers": ["m4"]}, minion("m1"))
    found = node_changes.changes(there, claims("m1", "m2", "m3", "m4"), pillar)
    assert [(one.minion, one.role) for one in found] == [("m3", "worker"), ("m4", "manager")]


def test_refusal_says_what_would_help():
    text = node_quorum.refusal(managers("m3"), "id-m2", "demoting")
    assert text == (
        "demoting same (id-m2) would cost the quorum: 2 of the other 2 managers are needed, and 1"
        " are reachable; bring same (id-m3) up first"
    )


def test_nobody_is_reachable_because_another_one_has_its_address_now():
    gone, back = node("m9", "manager", "down"), node("m1", "manager")
    gone["ManagerStatus"]["Addr"] = back["ManagerStatus"]["Addr"] = "10.77.0.11:2377"
    first, second = node_info.without_echo([gone, back])
    assert not node_info.is_reachable(first)
    assert second == back
    assert node_info.is_reachable(gone)
    gone["ManagerStatus"]["Addr"] = "10.77.0.19:2377"
    assert node_info.without_echo([gone, back]) == [gone, back]


def test_a_replaced_manager_is_lost_when_all_of_pillar_are_other_nodes():
    old = node("m9", "manager", "down", "unreachable")
    there, mine = [*managers(), old], settings()
    assert node_removal.lost_managers(there, claims("m1", "m2", "m3"), mine) == [old]
    assert node_removal.lost_managers(there, claims("m1", "m2"), mine) == []
    alive = node("m9", "manager")
    assert node_removal.lost_managers([*managers(), alive], claims("m1", "m2", "m3"), mine) == []
    (text,) = node_claims.strangers([*managers(), alive], claims("m1", "m2", "m3"))
    assert "is a manager of the cluster, but no minion of pillar" in text


def test_only_workers_that_are_down_for_long_are_dropped():
    there = [*managers("m3"), node("m4", state="down"), node("m5")]
    then = normalize.stamp("2026-01-01T01:00:00Z")
    assert node_removal.expired(there, {}, settings(prune_after=3599), then) == [there[3]]
    assert node_removal.expired(there, {}, settings(prune_after=3601), then) == []
    assert node_removal.expired(there, {}, settings(prune_after=None), then) == []


def test_a_host_that_has_joined_anew_leaves_its_old_node_behind():
    old, new = node("m4", state="down"), node("m4")
    new["ID"] = "id-new"
    there = [*managers(), old, new]
    assert node_removal.expired(there, {"m4": "id-new"}, settings(), 0) == [old]
    assert node_removal.expired(there, {}, settings(), 0) == []
    new["Status"]["State"] = "down"
    assert node_removal.expired(there, {"m4": "id-new"}, settings(), 0) == []


@pytest.mark.parametrize(
    ("change", "goes"),
    [
        ({}, True),
        ({"Description": {"Hostname": "m4"}}, False),
        ({"Status": {"State": "ready"}}, False),
        ({"ManagerStatus": {"Reachability": "reachable"}}, False),
        ({"CreatedAt": "2026-01-01T00:55:00Z"}, False),
        ({"ID": "id-m4"}, False),
    ],
    ids=["gone", "named", "up", "manager", "young", "claimed"],
)
def test_node_that_has_never_come_goes(change, goes):
    ghost = {**node("m4"), "ID": "id-ghost", "Description": {}, "Status": {"State": "unknown"}}
    ghost["CreatedAt"] = "2026-01-01T00:00:00Z"
    there = [*managers(), {**ghost, **change}]
    then = normalize.stamp("2026-01-01T01:00:00Z")
    assert bool(node_removal.expired(there, {"m4": "id-m4"}, settings(), then)) is goes


@pytest.mark.parametrize(
    ("state", "changed"), [("down", False), ("unknown", False), ("ready", True)]
)
def test_promotion_of_a_node_that_was_not_there_is_not_taken_back(state, changed):
    """Docker says: can't find manager in raft memberlist. It is one when it comes, and then not."""
    promised = node("m4", state=state)
    promised["Spec"]["Role"] = "manager"
    found = node_changes.change("m4", promised, settings())
    assert bool(found and found.role == "worker") is changed


def test_managers_as_in_classic_mode():
    there = [*managers("m3"), node("m4", Availability="drain")]
    found = node_info.as_managers(there, {"id-m1": "m1", "id-m2": "m2", "id-m4": "m4"})
    assert {name: one["role"] for name, one in found.items()} == {"m1": "leader", "m2": "manager"}
    shown = found["m1"]["nodes"]
    assert [(one["name"], one["status"]) for one in shown.values()] == [
        ("m1", "Ready"),
        ("m2", "Ready"),
        ("same", "Down"),
        ("m4", "Drain"),
    ]
