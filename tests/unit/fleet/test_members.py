import copy

import pytest

from swarm_formula.cluster import node_info
from swarm_formula.core import errors, modes
from swarm_formula.fleet import member_guard, member_nodes, member_rows, members
from swarm_formula.fleet import returns as fleet_returns
from swarm_formula.salt import minion_reports
from tests.unit.cluster_api import node as cluster_node

CLASSIC, BUILTIN = modes.MODES["classic"], modes.MODES["builtin"]
MANAGERS = {"m1": "10.77.0.11", "m2": "10.77.0.12", "m3": "10.77.0.13"}


def report(number, **more):
    return {
        "address": f"10.77.0.1{number}",
        "endpoint": f"10.77.0.1{number}:2275",
        "manager": number < 4,
        "server": number < 4,
        "managers": MANAGERS,
        "servers": MANAGERS,
        "labels": {"zone": "a"},
        "engine": "20.10.5",
        **more,
    }


def node(number, status="Healthy", error=""):
    address = f"10.77.0.1{number}:2275"
    return {
        "name": f"m{number}",
        "address": address,
        "status": status,
        "error": error,
        "version": "20.10.5",
        "labels": "kernelversion=6.1.0, operatingsystem=Debian GNU/Linux 12, zone=a",
    }


def said(*nodes):
    known = {one["address"]: one for one in nodes}
    return {
        "m1": {"role": "primary", "nodes": known},
        "m2": {"role": "replica", "nodes": known},
        "m3": {"error": "no connection"},
    }


def row(member, reports, heard):
    (found,) = (one for one in member_rows.rows([member], reports, heard) if one["id"] == member)
    return found["state"], found["why"]


@pytest.mark.parametrize(
    ("pillar", "member", "joins"),
    [
        ({"swarm": {"managers": ["m1"]}}, True, True),
        ({"swarm": {"managers": ["m1"], "autojoin": {"enabled": True}}}, True, True),
        ({"swarm": {"managers": ["m1"], "autojoin": {"enabled": False}}}, True, False),
        ({"swarm": {"managers": ["m1"], "autojoin": {"enabled": "no"}}}, True, False),
        ({"swarm": {}}, False, False),
        ({"swarm": {"labels": {"zone": "a"}}}, False, False),
        ({"swarm": ["m1"]}, False, False),
        ({}, False, False),
        (None, False, False),
    ],
    ids=str,
)
def test_members_are_those_whose_pillar_says_so(pillar, member, joins):
    """Who does not join by himself is one all the same: status shows him."""
    assert members.is_member("m1", pillar) is member
    assert members.joins("m1", pillar) is joins
    assert members.joins("m9", pillar) is False


@pytest.mark.parametrize(
    ("answer", "nodes", "state", "why"),
    [
        (report(4), [node(4)], "Healthy", ""),
        (report(4), [node(4, "Unhealthy", "timeout")], "Unhealthy", "timeout"),
        (report(4), [], "missing", "it is not in the list of the primary"),
        ("'swarm_node.report' is not available.", [], "not set up", "'swarm_node.report' is not"),
        (None, [], "no answer", "the minion does not answer"),
        (None, [node(4)], "Healthy", "the minion does not answer"),
        (None, [node(4, "Unhealthy", "x")], "Unhealthy", "the minion does not answer"),
    ],
)
def test_state_and_reason(answer, nodes, state, why):
    reports = {} if answer is None else {"m4": answer}
    found = row("m4", reports, said(*nodes))
    assert found[0] == state
    assert found[1].startswith(why)


def test_without_a_primary_nobody_can_tell():
    assert row("m4", {"m4": report(4)}, {}) == ("unknown", "no manager is primary")


def test_roles():
    reports = {f"m{number}": report(number) for number in (1, 2, 3, 4)}
    rows = member_rows.rows(list(reports), reports, said())
    roles = [one["role"] for one in rows]
    assert roles == ["primary, consul", "replica, consul", "manager, consul", "worker"]
    reports |= {name: report(int(name[1]), registry="m4") for name in ("m3", "m4")}
    rows = member_rows.rows(list(reports), reports, said(node(4)))
    assert [one["role"] for one in rows][2:] == ["manager, consul", "worker, registry"]
    assert rows[3]["why"] == ""


def test_role_is_what_the_managers_say_not_what_the_minions_pillar_was():
    heard = said({**node(2), "role": "worker"})
    del heard["m2"]
    (found, *_) = member_rows.rows(["m2"], {"m2": report(2)}, heard)
    assert found["role"] == "worker, consul"


def test_node_that_is_no_member_is_shown():
    rows = member_rows.rows(["m4"], {"m4": report(4)}, said(node(4), node(9)))
    assert [(one["id"], one["role"]) for one in rows] == [("m4", "worker"), ("(m9)", "no member")]


def test_only_members_that_are_up_and_not_healthy_are_joined():
    reports = {"m1": report(1), "m4": report(4), "m5": "not available"}
    rows = member_rows.rows(["m1", "m4", "m5", "m6"], reports, said(node(1), node(9)))
    assert member_rows.to_join(rows, reports) == ["m4", "m5"]


def test_outcomes():
    requisite = {"result": False, "comment": "One or more requisite failed: x"}
    returns = {
        "m1": {"a": {"result": True, "comment": ""}},
        "m2": {"a": requisite, "b": {"result": False, "comment": "no leader"}},
        "m3": ["Rendering SLS failed"],
    }
    assert fleet_returns.outcomes(returns, ["m1", "m2", "m3", "m4"]) == {
        "m2": "no leader",
        "m3": "Rendering SLS failed",
        "m4": "it does not answer",
    }


OTHERS = {"m2": report(2)}


@pytest.mark.parametrize(
    ("member", "others", "alive", "answering", "words"),
    [
        ("m4", OTHERS, {"m1", "m2", "m3"}, ["m1", "m2"], None),
        ("m1", OTHERS, {"m1", "m2", "m3"}, ["m1", "m2"], None),
        ("m3", OTHERS, {"m1", "m2"}, ["m1", "m2"], None),
        ("m1", OTHERS, {"m1", "m2"}, ["m1", "m2"], "removing Consul on m1 would cost the quorum"),
        ("m1", OTHERS, {"m1", "m2", "m3"}, ["m1"], "no other manager answers, or none leads"),
        ("m4", OTHERS, {"m1", "m2", "m3"}, [], "no other manager answers, or none leads"),
        ("m1", {}, set(), [], "no other manager of the pillar answers"),
    ],
)
def test_guard(member, others, alive, answering, words):
    heard = {name: {"role": "replica", "nodes": {}} for name in answering}
    if words is None:
        member_guard.guard(member, others, heard, alive)
        return
    with pytest.raises(errors.SwarmError, match=words):
        member_guard.guard(member, others, heard, alive)


def test_guard_goes_by_the_servers_that_raft_counts():
    """Pillar has three by now, and the others are not there yet."""
    with pytest.raises(errors.SwarmError, match="the only Consul server"):
        member_guard.guard("m1", OTHERS, said(), {"m1", "m2", "m3"}, {"m1"})
    with pytest.raises(errors.SwarmError, match="would cost the quorum: 2 of 2"):
        member_guard.guard("m1", OTHERS, said(), {"m1", "m2", "m3"}, {"m1", "m2"})


def test_guard_of_the_ca():
    others = {"m2": report(2, ca="m1")}
    with pytest.raises(errors.SwarmError, match="m1 was not removed: it is the CA"):
        member_guard.guard("m1", others, said(), {"m1", "m2", "m3"})


def test_guard_of_the_only_server():
    only = copy.deepcopy(report(2))
    only["servers"] = {"m1": "10.77.0.11"}
    with pytest.raises(errors.SwarmError, match="the only Consul server"):
        member_guard.guard("m1", {"m2": only}, said(), {"m1"})


def test_endpoint_of_a_dead_node_is_what_the_swarm_knows_by_its_name():
    def found(member, reports, *nodes):
        return member_nodes.endpoint(member, reports, said(*nodes), ["m1", "m2", "m3", "m4"])

    assert found("m4", {"m4": report(4)}) is None, "its own word is not enough"
    assert found("m4", {"m4": report(4)}, node(4)) == "10.77.0.14:2275"
    assert found("m4", {}, node(4)) == "10.77.0.14:2275"
    assert found("m5", {}, node(4)) is None


def test_line_of_a_table_cannot_be_forged():
    text = member_rows.table([{"id": "m1", "why": "x\nm2 Healthy\x1b[2J"}])
    assert text.splitlines() == ["id  why", "m1  x\\nm2 Healthy\\x1b[2J"]


def test_table():
    text = member_rows.table([{"id": "m1", "why": ""}, {"id": "m10", "why": "so"}])
    assert text.splitlines() == ["id   why", "m1", "m10  so"]
    assert "no minion" in member_rows.table([])


def builtin(number, manager=True, **more):
    """Return the report of a member in the engine's swarm mode."""
    own = {"mode": "builtin", "endpoint": f"id-{number}", "manager": manager}
    return report(number, **{**own, **more})


def cluster(**statuses):
    """Return what the managers say, of which m1 leads."""
    nodes = {
        f"id-{name[1:]}": {"name": name, "status": status} for name, status in statuses.items()
    }
    return {
        name: {"role": "leader" if name == "m1" else "manager", "nodes": nodes} for name in statuses
    }


@pytest.mark.parametrize(
    ("statuses", "keeper"),
    [
        ({"m1": "Ready", "m2": "Ready", "m3": "Ready"}, "m2"),
        ({"m1": "Drain", "m2": "Ready", "m3": "Drain"}, "m3"),
        ({"m1": "Ready"}, "m1"),
        ({}, None),
    ],
    ids=["any", "drained", "only one", "none"],
)
def test_backup_is_made_where_it_costs_the_least(statuses, keeper):
    reports = {f"m{number}": builtin(number) for number in (1, 2, 3)} | {"m4": builtin(4, False)}
    assert member_guard.keeper(reports, cluster(**statuses), MANAGERS, BUILTIN) == keeper


def test_worker_that_claims_to_lead_makes_no_backup():
    reports = {"m1": builtin(1), "a0": builtin(4)}
    heard = cluster(m1="Ready")
    heard["a0"] = heard["m1"]
    assert member_guard.keeper(reports, heard, MANAGERS, BUILTIN) == "m1"


def test_manager_whose_minion_does_not_answer_makes_no_backup():
    reports = {"m1": builtin(1), "m2": "not available", "m3": builtin(3)}
    heard = cluster(m1="Ready", m2="Ready", m3="Ready")
    assert member_guard.keeper(reports, heard, MANAGERS, BUILTIN) == "m3"


def test_snapshot_is_made_on_a_server():
    reports = {"m4": report(4), "m2": report(2), "m1": "not available", "a0": report(3)}
    assert member_guard.keeper(reports, {}, MANAGERS, CLASSIC) == "m2"
    assert member_guard.keeper({"m4": report(4)}, {}, MANAGERS, CLASSIC) is None


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        ("kernelversion=6.1.0, ostype=linux, storagedriver=overlay2, zone=b, disk=ssd",
         "disk=ssd, zone=b"),
        ({"zone": "b"}, "zone=b"),
        ({}, ""),
        ("", ""),
    ],
)  # fmt: skip
def test_labels_are_the_managers_word_and_not_a_stale_pillars(labels, shown):
    (found,) = member_rows.rows(["m4"], {"m4": report(4)}, said({**node(4), "labels": labels}))
    assert found["labels"] == shown


def test_labels_of_a_node_that_no_manager_knows_are_pillars():
    (found, *_) = member_rows.rows(["m4"], {"m4": report(4)}, said(node(1)))
    assert found["labels"] == "zone=a"


@pytest.mark.parametrize(
    ("there", "heard", "shown"),
    [
        (report(4), said({**node(4), "updated": "2026-11-28T09:00:00Z"}), "2026-11-28T09:00:00Z"),
        (
            report(4),
            said({**node(4), "updated": "2026-11-28T09:00:00.123Z"}),
            "2026-11-28T09:00:00Z",
        ),
        (report(4), said({**node(4), "updated": ""}), "now"),
        (report(4), said(), "now"),
        (None, said({**node(4), "updated": "2026-11-28T09:00:00Z"}), "2026-11-28T09:00:00Z"),
        (None, said(), ""),
        (report(4, state="error"), said({**node(4), "updated": "2026-11-28T09:00:00Z"}), "now"),
    ],
)
def test_time_of_what_is_shown(there, heard, shown):
    view = minion_reports.read_managers(heard)
    (found, *_) = member_rows.rows(["m4"], {"m4": there} if there else {}, view)
    assert found["as of"] == shown


LOCKED = {"endpoint": "", "state": "locked"}


def rows_of(reports, heard):
    found = member_rows.rows(list(reports), reports, heard)
    return {one["id"]: (one["role"], one["state"], one["why"]) for one in found}


def full(number, **more):
    """Return a node as the leader lists it."""
    return {
        **node(number, "Ready"),
        "role": "manager" if number < 4 else "worker",
        "labels": {"zone": "a"},
        **more,
    }


def led(*nodes):
    known = {f"id-{one['name'][1:]}": one for one in nodes}
    return {"m1": {"role": "leader", "nodes": known}, "m2": {"role": "manager", "nodes": known}}


@pytest.mark.parametrize(
    ("state", "error", "why"),
    [
        ("error", "context deadline exceeded", "context deadline exceeded"),
        ("error", "", "its swarm mode has failed: an apply there repairs it"),
        ("locked", "", "'docker swarm unlock' there"),
        ("pending", "", "it waits for a manager"),
    ],
)
def test_engine_whose_swarm_mode_has_failed_is_no_ready_node(state, error, why):
    """The managers list its node as ready until its heartbeat is missed, or as what it was."""
    failed = builtin(4, False, **{"endpoint": "", "state": state, "error": error})
    reports = {"m1": builtin(1, state="active"), "m4": failed}
    found = rows_of(reports, led(full(1), full(4)))
    assert found.keys() == {"m1", "m4"}, "its node is not shown as that of no member as well"
    role, shown, told = found["m4"]
    assert (role, shown) == ("worker", state.capitalize())
    assert told.startswith(why)
    assert member_rows.to_join(
        member_rows.rows(list(reports), reports, led(full(1), full(4))), reports
    ) == ["m4"]


def test_managers_that_are_locked_are_why_nobody_leads():
    reports = {"m1": builtin(1, **LOCKED), "m2": builtin(2, **LOCKED), "m4": builtin(4, False)}
    reports["m4"]["state"] = "active"
    found = rows_of(reports, {})
    assert {host: one[1] for host, one in found.items()} == {
        "m1": "Locked",
        "m2": "Locked",
        "m4": "unknown",
    }
    assert found["m4"][2] == "no manager leads the cluster: m1 is locked, m2 is locked"


def test_no_manager_is_called_primary_in_builtin_mode():
    assert rows_of({"m4": builtin(4, False)}, {})["m4"][2] == "no manager leads the cluster"


@pytest.mark.parametrize(
    ("report_of", "node_of", "why"),
    [
        ({}, {}, ""),
        ({"labels": {"zone": "b", "ssd": True}}, {}, "pillar: ssd=true, zone=b; not applied yet"),
        ({"manager": True}, {}, "pillar: a manager; not applied yet"),
        ({}, {"role": "manager"}, "pillar: no manager; not applied yet"),
        ({"labels": {"zone": "b"}}, {"status": "Drain"}, "pillar: zone=b; not applied yet"),
        ({"availability": "drain"}, {}, "pillar: drain; not applied yet"),
        ({"availability": "active"}, {"status": "Pause"}, "pillar: active; not applied yet"),
        ({"availability": "active"}, {}, ""),
        ({"availability": "drain"}, {"status": "Drain"}, ""),
        (
            {"availability": "active", "labels": {}},
            {"status": "Drain", "labels": {node_info.DRAINED: "active"}},
            "drained for a restart of its engine, active before; an apply there restores it",
        ),
        # What is more to be known comes first.
        ({"labels": {"zone": "b"}}, {"status": "Down", "error": "heartbeat"}, "heartbeat"),
    ],
)
def test_what_pillar_has_otherwise_is_shown_beside_the_managers_word(report_of, node_of, why):
    reports = {"m1": builtin(1), "m4": builtin(4, **{"manager": False, **report_of})}
    assert rows_of(reports, led(full(1), full(4, **node_of)))["m4"][2] == why


def test_labels_that_are_not_there_yet_are_told_in_classic_mode_too():
    reports = {"m1": report(1), "m4": report(4, labels={"zone": "b"})}
    found = rows_of(reports, said(node(1), node(4)))
    assert found["m4"] == ("worker", "Healthy", "pillar: zone=b; not applied yet")
    assert found["m1"][2] == ""


def test_report_of_a_minion_with_a_former_version_is_read():
    assert minion_reports.read(report(4)) == {**report(4), "mode": "classic", "ca": None} | {
        "state": "",
        "error": "",
        "availability": None,
        "registry": None,
    }


def test_node_without_a_host_name_is_shown_by_its_id():
    """A join that was interrupted leaves one."""
    nameless = {**cluster_node("m9"), "Description": {}}
    found = node_info.as_managers([cluster_node("m1", "manager", leader=True), nameless], {})
    (row,) = (one for one in member_rows.rows([], {}, found) if one["address"] == "10.77.0.19")
    assert (row["id"], row["role"]) == ("(id-m9)", "no member")
