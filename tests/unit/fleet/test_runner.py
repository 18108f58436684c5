"""
The runner: what it asks, whom it joins, whom it refuses to remove.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from salt.exceptions import SaltReqTimeoutError

from _runners import swarm as runner
from swarm_formula.core import errors
from swarm_formula.salt import current_pillar
from swarm_formula.salt import runner as salt_runner
from swarm_formula.salt.runner import Master
from tests.unit.fleet.test_members import node, report, said

JOINED = {"a": {"result": True, "comment": ""}}
NODES = {"nodes": {"*": {}}}
MEMBER = {"swarm": {"managers": ["m1"], **NODES}}


class Fleet:
    """Minions: what their pillar is, and what they answer."""

    def __init__(self):
        self.pillars = {f"m{number}": MEMBER for number in (1, 2, 3, 4)}
        self.reports = {name: report(int(name[1])) for name in self.pillars}
        self.managers = said(node(1), node(2), node(3))
        self.heard = {}  # what another member is told than that
        self.alive = ["m1", "m2", "m3"]
        self.states, self.saved = {}, {}
        self.services = {}  # manager: its list
        self.more = {}  # function: the answer of each member
        self.asked, self.events = [], []

    def ask(self, minions, function, *args, **kwargs):
        """Stand in for the local client."""
        minions = list(minions)
        self.asked.append((function, minions, args, kwargs))
        if function in self.more:
            answer = self.more[function]
            return dict.fromkeys(minions, answer() if callable(answer) else answer)
        answers = {
            "swarm_node.report": self.reports,
            "swarm_node.managers": {**dict.fromkeys(self.reports, self.managers), **self.heard},
            "swarm_backup.save": self.saved,
            "swarm_service.status": self.services,
            "swarm_consul.status": {key: {"servers": self.alive} for key in self.reports},
            "state.apply": {name: self.states.get(name, JOINED) for name in self.reports},
        }.get(function, {key: {} for key in self.reports})
        return {name: answers[name] for name in minions if name in answers}

    def calls(self, function):
        """Return whom a function was asked of, and with what."""
        return [
            (minions, args, kwargs)
            for name, minions, args, kwargs in self.asked
            if name == function
        ]


def install(fleet, monkeypatch):
    """Have the runner ask these minions."""
    show = {"pillar.show_pillar": lambda minion: fleet.pillars.get(minion, {})}
    monkeypatch.setattr(runner, "__salt__", show, raising=False)
    monkeypatch.setattr(runner, "__opts__", {"output": "json"}, raising=False)
    monkeypatch.setattr(runner, "__context__", {}, raising=False)
    monkeypatch.setattr(Master, "accepted", lambda _: list(fleet.pillars))
    monkeypatch.setattr(Master, "ask", staticmethod(fleet.ask))
    monkeypatch.setattr(Master, "fire", lambda _, *args, **data: fleet.events.append((*args, data)))


@pytest.fixture
def fleet(monkeypatch):
    fleet = Fleet()
    install(fleet, monkeypatch)
    return fleet


def three(fleet, **more):
    """Have the pillar name three managers."""
    swarm = {"swarm": {"managers": ["m1", "m2", "m3"], **NODES, **more}}
    fleet.pillars = dict.fromkeys(fleet.pillars, swarm)


def test_only_managers_of_the_masters_pillar_speak_for_the_swarm(fleet):
    """A worker that calls itself a manager is not asked, and nothing is done through it."""
    fleet.reports["m4"] |= {"manager": True, "managers": {"m4": "10.77.0.14"}, "ca": "m4"}
    fleet.reports = {"m4": fleet.reports["m4"], **fleet.reports}
    fleet.heard["m4"] = {"m4": {"role": "primary", "nodes": {}}}
    assert [one["state"] for one in runner.status()][:3] == ["Healthy"] * 3
    runner.remove("m3")
    for name, minions, _, _ in fleet.asked:
        assert "m4" not in minions or name in {"saltutil.refresh_pillar", "swarm_node.report"}, name


def test_managers_that_disagree_are_a_complaint_and_remove_refuses(fleet):
    three(fleet)
    fleet.heard["m2"] = said(node(1), node(2), node(9))
    rows = {one["id"]: one["why"] for one in runner.status()}
    words = (
        "the managers m1, m3 and m2 list different nodes: 10.77.0.13:2275 m3 is listed by m1, m3"
    )
    assert all(words in rows[name] for name in ("m1", "m2", "m3"))
    assert rows["m4"] == "it is not in the list of the primary"
    assert words in runner.reconcile(test=True)["complaints"][0]
    refused = runner.remove("m4")["refused"]
    assert words in refused
    assert runner.__context__ == {"retcode": 1}
    assert fleet.calls("state.apply") == []


def test_most_managers_decide_what_a_status_shows(fleet):
    three(fleet)
    fleet.heard["m1"] = said(node(1))
    assert [one["state"] for one in runner.status()][:3] == ["Healthy"] * 3


@pytest.mark.parametrize("answer", [None, "no such function", {}, {"m2": {"error": "no leader"}}])
def test_manager_that_does_not_know_disagrees_with_nobody(fleet, answer):
    three(fleet)
    fleet.heard["m2"] = answer
    assert "refused" not in runner.remove("m4")


def test_remove_needs_another_manager_of_the_pillar(fleet):
    del fleet.reports["m1"]
    assert "no other manager of the pillar answers" in runner.remove("m4")["refused"]
    runner.__context__.clear()
    assert "refused" not in runner.remove("m4", force=True, lose_cluster=True)


def test_two_members_with_one_node_are_refused_by_name(fleet):
    fleet.reports["m4"]["endpoint"] = fleet.reports["m3"]["endpoint"]
    for member, other in (("m3", "m4"), ("m4", "m3")):
        assert (
            f"its node 10.77.0.13:2275 is also that of {other}" in runner.remove(member)["refused"]
        )
    rows = {one["id"]: one["why"] for one in runner.status()}
    assert "m3 and m4 have the same node 10.77.0.13:2275" in rows["m3"]
    assert "m3 and m4 have the same node 10.77.0.13:2275" in rows["m4"]
    assert "refused" not in runner.remove("m3", node="10.77.0.13:2275")


def rotation(changing, *late, since=1):
    return {"changing": changing, "since": since, "waits for": list(late)}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("a\n\x1b[2Jb"),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=5), one, max_size=3),
    max_leaves=8,
)
STATES = st.fixed_dictionaries(
    {},
    optional={
        "changing": st.booleans() | ANYTHING,
        "since": ANYTHING,
        "waits for": st.lists(ANYTHING) | ANYTHING,
        "task": ANYTHING,
        "log": ANYTHING,
    },
)
LIES = (
    "swarm_ca.complaints",
    "swarm_ca.renew",
    "swarm_ca.renewable",
    "swarm_ca.rotate",
    "swarm_ca.rotation",
    "swarm_consul.admit",
    "swarm_leader.rotate",
    "swarm_service.export",
    "swarm_service.renew_logins",
    "swarm_service.logs",
    "swarm_service.rollback",
    "swarm_service.scale",
    "swarm_service.tasks",
    "swarm_node.report",
    "swarm_node.managers",
    "swarm_consul.status",
    "swarm_consul.deregister",
    "swarm_consul.expel",
    "swarm_backup.save",
    "swarm_service.status",
    "swarm_leader.expel",
    "swarm_leader.drop",
    "state.apply",
)


def texts(value):
    """Return all texts in what a runner returns."""
    if isinstance(value, dict):
        return [one for pair in value.items() for part in pair for one in texts(part)]
    if isinstance(value, list):
        return [one for part in value for one in texts(part)]
    return [value] if isinstance(value, str) else []


# Each command of the runner; those that raise an error when they are refused come last.
COMMANDS = {
    "status": [runner.status],
    "reconcile": [runner.reconcile],
    "join": [lambda: runner.join("m4")],
    "remove": [
        lambda: runner.remove("m4"),
        lambda: runner.remove("m4", force=True, lose_cluster=True),
    ],
    "backup": [runner.backup],
    "rotate": [
        *(lambda: runner.rotate("all"), lambda: runner.rotate("ca")),
        *(lambda: runner.rotate("join-token"), lambda: runner.rotate("junk")),
        *(lambda: runner.rotate("gossip"), lambda: runner.rotate("acl")),
        lambda: runner.rotate("registry"),
    ],
    "services": [runner.services],
    "ps": [lambda: runner.ps("web")],
    "logs": [lambda: runner.logs("web")],
    "scale": [lambda: runner.scale(web=3)],
    "rollback": [lambda: runner.rollback("web")],
    "export": [runner.export],
}


def test_all_commands_are_tried_with_lies():
    public = {
        name
        for name, one in vars(runner).items()
        if getattr(one, "__module__", "") == runner.__name__ and not name.startswith("_")
    }
    assert public == set(COMMANDS)


def told(call):
    """Return what a command returns, or the text of its refusal."""
    try:
        return call()
    except errors.SwarmError as err:
        return str(err)


@given(
    st.sampled_from(["classic", "builtin"]),
    st.dictionaries(st.sampled_from(["m1", "m2", "m3", "m4"]),
                    st.dictionaries(st.sampled_from(LIES),
                                    ANYTHING | STATES | st.lists(STATES, max_size=2), max_size=4)),
    st.sampled_from([None, "nested"]),
)  # fmt: skip
def test_whatever_minions_answer_no_runner_breaks_and_nothing_unescaped_is_shown(
    mode, lies, output
):
    with pytest.MonkeyPatch.context() as patch:
        fleet = Fleet()
        three(fleet, mode=mode)
        install(fleet, patch)
        for one in fleet.reports.values():
            one |= {"ca": "m1", "mode": mode}
        fleet.services = {name: [ROW] for name in fleet.reports}
        fleet.more = {"swarm_ca.renewable": ["gossip", "acl"]}
        fleet.more["swarm_ca.rotate"] = fleet.more["swarm_ca.rotation"] = rotation(True, "m2")
        honest = fleet.ask

        def ask(minions, function, *args, **kwargs):
            found = honest(minions, function, *args, **kwargs)
            return {name: lies.get(name, {}).get(function, one) for name, one in found.items()}

        patch.setattr(Master, "ask", staticmethod(ask))
        patch.setitem(runner.__opts__, "output", output)
        results = [told(call) for calls in COMMANDS.values() for call in calls]
    lines = [line for one in texts(results) for line in (one.split("\n") if not output else [one])]
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({}, "its answer is nonsense: 'changing' or 'waits for'"),
        (rotation(True, 1), "not finished: \\x1b. To resume"),
        ({"changing": True}, "its answer is nonsense"),
        (1, "its answer is nonsense: no dictionary"),
        ("gone\x1b", "m1: gone\\x1b. To resume"),
    ],
)
def test_odd_answer_of_the_ca_ends_its_rotation(builtin, answer, words):
    builtin.more["swarm_ca.rotate"] = builtin.more["swarm_ca.rotation"] = answer
    builtin.more["swarm_ca.complaints"] = ["\x1b"]
    assert words in runner.rotate("ca")["ca"]


@pytest.mark.parametrize("said", [[1], [None, {}]])
def test_complaints_of_the_ca_may_be_anything(builtin, said):
    for name in ("swarm_ca.rotate", "swarm_ca.rotation"):
        builtin.more[name] = rotation(True, "m4")
    builtin.more["swarm_ca.complaints"] = said
    assert runner.rotate("ca")["ca"].startswith("not finished: ")


PLACES = [f"10.77.0.1{number}:2275" for number in (1, 2, 3, 4, 9)]
REPORTED = st.fixed_dictionaries(
    {
        "endpoint": st.sampled_from([*PLACES, ""]),
        "manager": st.booleans(),
        "server": st.booleans(),
        "mode": st.sampled_from(["classic", "builtin"]),
        "ca": st.sampled_from(["m1", "m2", "m4", None]),
        "state": st.sampled_from(["", "error", "active"]),
    }
)


@given(st.sampled_from(["classic", "builtin"]), REPORTED, st.sampled_from(["m2", "m4", "m9"]))
def test_nothing_that_a_worker_reports_names_another_machine_in_a_removal(mode, lie, member):
    """What is done to a node is done to the removed member's own, or nothing is done."""
    with pytest.MonkeyPatch.context() as patch:
        fleet = Fleet()
        three(fleet, mode=mode)
        install(fleet, patch)
        fleet.managers = said(*map(node, (1, 2, 3, 4)), {**node(9), "name": "web"})
        fleet.reports["m4"] |= lie
        fleet.reports = dict(reversed(fleet.reports.items()))
        runner.remove(member)
    own = f"10.77.0.1{member[1]}:2275"
    for name in ("swarm_leader.expel", "swarm_leader.drop"):
        assert all(args == (own,) for _, args, _ in fleet.calls(name))
    assert all(kwargs["endpoint"] == own for _, _, kwargs in fleet.calls("swarm_consul.deregister"))
    for name, minions, args, _ in fleet.asked:
        if name in {"state.apply", "swarm_consul.expel", "swarm_ca.forget"}:
            assert (list(minions) if name == "state.apply" else list(args)) == [member]
        if name == "swarm_ca.forget":
            assert minions != ["m4"], "the CA is not who says so"


def test_address_of_who_was_removed_is_free_for_another(fleet):
    for one in fleet.reports.values():
        one["ca"] = "m1"
    runner.remove("m4")
    assert fleet.calls("swarm_ca.forget") == [(["m1"], ("m4",), {})]


def test_without_a_ca_there_is_nothing_to_forget(fleet):
    runner.remove("m4")
    assert fleet.calls("swarm_ca.forget") == []


def test_status_is_a_table_or_data(fleet, monkeypatch):
    rows = runner.status()
    assert [(one["id"], one["state"]) for one in rows] == [
        ("m1", "Healthy"),
        ("m2", "Healthy"),
        ("m3", "Healthy"),
        ("m4", "missing"),
    ]
    monkeypatch.setitem(runner.__opts__, "output", None)
    assert runner.status().splitlines()[0].startswith("id  role")


def test_members_report_by_the_pillar_as_it_is_now(fleet):
    """Those that report from another one, from none, or in a former version, refresh theirs."""
    fleet.reports["m1"]["pillar"] = current_pillar.digest(MEMBER["swarm"])
    fleet.reports["m2"]["pillar"] = current_pillar.digest({**MEMBER["swarm"], "labels": {}})
    fleet.reports["m4"] = "1 fault(s) in the pillar of m4"
    runner.status()
    asked = [(name, minions) for name, minions, _, _ in fleet.asked]
    assert asked[:3] == [
        ("swarm_node.report", ["m1", "m2", "m3", "m4"]),
        ("saltutil.refresh_pillar", ["m2", "m3", "m4"]),
        ("swarm_node.report", ["m2", "m3", "m4"]),
    ]


def test_no_member_refreshes_a_pillar_that_is_as_the_master_compiles_it(fleet):
    for name, one in fleet.reports.items():
        one["pillar"] = current_pillar.digest(fleet.pillars[name]["swarm"])
    assert [one["state"] for one in runner.status()][:3] == ["Healthy"] * 3
    refreshed = fleet.calls("saltutil.refresh_pillar")
    assert not any(minions for minions, _, _ in refreshed)
    runner.remove("m3")
    # It does more than to look, and by more values of the pillar.
    assert refreshed[-1] != fleet.calls("saltutil.refresh_pillar")[-1]


def test_who_is_no_member_is_not_even_asked(fleet):
    fleet.pillars["db1"] = {"swarm": {}}
    fleet.pillars["db2"] = {}
    runner.reconcile()
    assert all({"db1", "db2"}.isdisjoint(minions) for _, minions, _, _ in fleet.asked)


def test_reconcile_joins_those_that_are_up_and_missing(fleet):
    fleet.pillars["m5"] = MEMBER  # does not answer
    assert runner.reconcile(test=True) == {"healthy": 3, "down": ["m5"], "would join": ["m4"]}
    assert fleet.calls("state.apply") == []
    assert runner.reconcile() == {"healthy": 3, "down": ["m5"], "joined": ["m4"], "failed": {}}
    assert fleet.calls("state.apply") == [(["m4"], (), {"mods": "swarm.join", "queue": True})]
    assert fleet.events == [("m4", "joined", {})]


def test_failure_is_told_with_its_reason(fleet):
    fleet.states["m4"] = {"a": {"result": False, "comment": "no leader"}}
    assert runner.reconcile()["failed"] == {"m4": "no leader"}
    assert fleet.events == [("m4", "failed", {"reason": "no leader"})]


def test_many_are_joined_in_batches(fleet):
    for number in range(120):
        fleet.pillars[f"w{number}"] = MEMBER
        fleet.reports[f"w{number}"] = "'swarm_node.report' is not available."
    assert len(runner.reconcile()["joined"]) == 121
    assert [len(minions) for minions, *_ in fleet.calls("state.apply")] == [50, 50, 21]


def test_join_leaves_those_alone_that_are_no_members(fleet):
    fleet.pillars["db1"] = {}
    assert runner.join("m4", "db1") == {"joined": ["m4"], "failed": {}, "no members": ["db1"]}
    assert fleet.calls("state.apply")[0][0] == ["m4"]


def test_remove_of_a_live_node(fleet):
    fleet.managers = said(node(1), node(4))
    done = runner.remove("m4")
    assert done["cleaned"] is True
    (clean,) = fleet.calls("state.apply")
    assert clean == (["m4"], (), {"mods": "swarm.clean", "queue": True})
    (deregister,) = fleet.calls("swarm_consul.deregister")
    assert deregister[0] != ["m4"]
    assert deregister[2] == {"endpoint": "10.77.0.14:2275"}
    assert fleet.calls("swarm_consul.expel") == [(["m1"], ("m4",), {})]
    assert fleet.events[-1] == ("m4", "removed", {})


@pytest.mark.parametrize("cli", ["salt-run", "salt-master"])
def test_steps_of_a_removal_are_told_while_it_goes_on(fleet, monkeypatch, capsys, cli):
    monkeypatch.setitem(runner.__opts__, "__cli", cli)
    runner.remove("m4")
    steps = [data["message"] for _, word, data in fleet.events if word == "progress"]
    assert steps == [
        "asking the 4 members of m1",
        "applying swarm.clean",
        "waiting until Consul has lost it",
    ]
    out, err = capsys.readouterr()
    assert out == "", "who reads JSON there gets nothing else"
    assert err == ("".join(f"m4: {one}\n" for one in steps) if cli == "salt-run" else "")


def test_who_does_not_answer_costs_one_wait(fleet):
    del fleet.reports["m4"]
    runner.remove("m4")
    assert [name for name, minions, *_ in fleet.asked if "m4" in minions] == [
        "saltutil.refresh_pillar"
    ]


BAD = {"a": {"result": False, "comment": "network backend cannot be removed"}}


def test_consul_of_a_node_that_could_not_be_cleaned_is_not_waited_for(fleet):
    fleet.states["m4"] = BAD
    done = runner.remove("m4")
    assert done["cleaned"] == "network backend cannot be removed"
    assert fleet.calls("swarm_consul.expel")[0][2] == {"timeout": 0}


@pytest.mark.parametrize(("states", "limit"), [(JOINED, {}), (BAD, {"force": False})])
def test_node_that_could_not_be_cleaned_is_not_struck_off_while_it_runs(fleet, states, limit):
    """Its engine would not notice, and stay active for ever."""
    for name, one in fleet.reports.items():
        one |= {"mode": "builtin", "endpoint": f"id-{name}"}
    known = {f"id-m{number}": node(number, "Ready") for number in (1, 2, 3, 4)}
    fleet.managers = {
        "m1": {"role": "leader", "nodes": known},
        "m2": {"role": "manager", "nodes": known},
    }
    builtin = {"swarm": {"managers": ["m1"], **NODES, "mode": "builtin"}}
    fleet.pillars = dict.fromkeys(fleet.pillars, builtin)
    fleet.states["m4"] = states
    runner.remove("m4")
    assert fleet.calls("swarm_leader.drop") == [(["m1"], ("id-m4",), limit)]


@pytest.mark.parametrize(("took", "asked"), [(1, ["m1", "m2", "m3"]), (180, ["m1"])])
def test_who_has_waited_in_vain_is_the_last_to_be_asked(fleet, monkeypatch, took, asked):
    """Three members that each wait for ``swarm:timeout`` are nine minutes."""
    clock = [0]

    def ask(minions, function, *_, **__):
        clock[0] += took
        fleet.asked.append((function, minions, (), {}))
        return dict.fromkeys(minions, "Consul of m4 is still alive")

    monkeypatch.setattr(Master, "ask", staticmethod(ask))
    monkeypatch.setattr(salt_runner.time, "monotonic", lambda: clock[0])
    answer = Master({}, {}, {}).ask_until_done(["m1", "m2", "m3"], "swarm_consul.expel", "m4")
    assert answer == "Consul of m4 is still alive"
    assert [minions for minions, *_ in fleet.calls("swarm_consul.expel")] == [
        [one] for one in asked
    ]


def test_remove_of_a_dead_node_whose_key_is_gone(fleet):
    fleet.managers = said(node(1), node(4, "Unhealthy"))
    del fleet.reports["m4"], fleet.pillars["m4"]
    assert runner.remove("m4")["cleaned"] == "the minion does not answer"
    assert fleet.calls("state.apply") == []
    assert fleet.calls("swarm_consul.deregister")[0][2] == {"endpoint": "10.77.0.14:2275"}
    # Consul of a host whose minion alone is off runs on.
    assert fleet.calls("swarm_consul.expel")[0][2] == {"timeout": 60}


def test_remove_of_a_node_that_the_swarm_has_forgotten_drops_nobody_elses_key(fleet):
    del fleet.reports["m4"], fleet.pillars["m4"]
    assert runner.remove("m4")["deregistered"] == "the swarm does not know it"
    assert fleet.calls("swarm_consul.deregister") == []


def test_remove_of_a_cleaned_node_with_a_name_of_its_own_tells_what_is_left(fleet):
    """Its minion has no node any more, and its host name is not its ID."""
    down = {**node(4, "Down"), "name": "Web-4.example.com"}
    gone = {**node(7, "Down"), "name": "m3"}
    fleet.managers = said(node(1), node(2), down, gone)
    fleet.reports["m4"]["endpoint"] = ""
    left = runner.remove("m4")["left"]
    assert "Web-4.example.com (10.77.0.14:2275)" in left
    assert "m3" not in left
    assert fleet.calls("swarm_consul.deregister") == []
    fleet.managers = said(node(1))
    assert "left" not in runner.remove("m4")


def test_remove_below_quorum_is_refused_before_anything_is_done(fleet):
    three(fleet)
    fleet.alive = ["m1", "m2"]
    assert "would cost the quorum" in runner.remove("m1")["refused"]
    assert runner.__context__ == {"retcode": 1}
    assert fleet.calls("state.apply") == []
    assert runner.remove("m1", force=True, lose_cluster=True)["cleaned"] is True


def test_node_of_the_registry_is_not_removed_while_pillar_names_it(fleet):
    three(fleet, registry={"node": "m4"})
    told = runner.remove("m4")["refused"]
    assert "m4 was not removed: it runs the swarm's registry (swarm:registry:node)" in told
    assert fleet.calls("state.apply") == []
    three(fleet, registry={"node": "m3"})
    assert runner.remove("m4")["cleaned"] is True
    three(fleet, registry={"node": "m4"})
    assert runner.remove("m4", force=True, lose_cluster=True)["cleaned"] is True


@pytest.mark.parametrize(("minion", "asked"), [(None, "m1"), ("m3", "m3")])
def test_backup(fleet, minion, asked):
    fleet.saved = {name: {"path": "/b"} for name in fleet.reports}
    assert runner.backup(minion, path="/b", __pub_user="root") == {"minion": asked, "path": "/b"}
    assert fleet.calls("swarm_backup.save") == [([asked], (), {"path": "/b"})]


def test_server_whose_consul_is_down_does_not_prevent_a_backup_by_another(fleet):
    three(fleet)
    fleet.saved = {"m1": "ERROR: no Consul", "m2": {"path": "/b"}, "m3": {"path": "/c"}}
    assert runner.backup() == {"minion": "m2", "path": "/b"}
    assert [minions for minions, *_ in fleet.calls("swarm_backup.save")] == [["m1"], ["m2"]]
    assert runner.__context__ == {}
    fleet.saved = {name: f"ERROR: {name}" for name in fleet.reports}
    assert runner.backup() == {"minion": "m1", "refused": "ERROR: m1"}
    fleet.asked.clear()
    assert runner.backup("m2") == {"minion": "m2", "refused": "ERROR: m2"}
    assert len(fleet.calls("swarm_backup.save")) == 1


def test_backup_that_is_refused_or_that_nobody_can_make(fleet):
    fleet.saved = dict.fromkeys(fleet.reports, "ERROR: would cost the quorum")
    assert runner.backup("m1") == {"minion": "m1", "refused": "ERROR: would cost the quorum"}
    assert runner.__context__.pop("retcode") == 1
    fleet.reports = {}
    assert runner.backup()["refused"].startswith("no member answers")
    assert runner.__context__ == {"retcode": 1}


# m1 answers; m2 and m3 do not, as 3008 and as 3006 say it.
FOUND = {
    "m1": {"ret": True, "jid": "1", "retcode": 0},
    "m2": {"ret": "Minion did not return. [Not connected]", "out": "no_return", "retcode": 1},
    "m3": {},
}


class Client:
    """Salt's client."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def cmd(self, tgt, fun, *_, **options):
        """Check what is asked for, and answer."""
        assert (tgt, fun, options["tgt_type"]) == (["m1", "m2", "m3"], "test.ping", "list")
        return FOUND


def test_who_does_not_answer_is_missing(monkeypatch):
    monkeypatch.setattr(salt_runner.salt.client, "get_local_client", lambda mopts: Client())
    assert Master({}, {}, {}).ask(["m1", "m2", "m3"], "test.ping") == {"m1": True}
    assert Master({}, {}, {}).ask([], "test.ping") == {}


class Queues(Client):
    """
    Salt's client that gives up on queued jobs: m1 has nothing to do before, m3 does not answer.

    What ``looks`` has is what m2 applies when it is asked; ``returns`` is the job cache by then.
    """

    def __init__(self, *looks, returns=()):
        self.looks, self.returns, self.jids = list(looks), dict(returns), []

    def cmd(self, tgt, fun, *_, **options):
        """Answer with what a minion applies, or take what it has to apply."""
        if fun == "saltutil.is_running":
            return {"m2": {"ret": self.looks.pop(0), "jid": "2"}} if "m2" in tgt else {}
        self.jids.append(options["jid"])
        return {"m1": {"ret": {"a": {}}, "jid": options["jid"]}, "m2": {}, "m3": {}}

    def get_cache_returns(self, jid):
        """Return what is there after so many looks."""
        assert [jid] == self.jids
        return self.returns.get(len(self.looks), {})


@pytest.fixture
def queue(monkeypatch):
    """Return a function that has m1 to m3 apply a state, with such a client."""
    monkeypatch.setattr(salt_runner.time, "sleep", lambda _: None)

    def apply(client, **options):
        monkeypatch.setattr(salt_runner.salt.client, "get_local_client", lambda mopts: client)
        return Master({}, {}, {}).ask(["m1", "m2", "m3"], "state.apply", mods="x", **options)

    return apply


BUSY = [{"fun": "state.apply"}]


def test_minion_that_applies_something_else_before_is_waited_for(queue):
    """Between two states, it has none; at the end, it has none before its return is there."""
    client = Queues(BUSY, [], [], BUSY, [], [], returns={0: {"m2": {"ret": {"b": {}}}}})
    assert queue(client, queue=True) == {"m1": {"a": {}}, "m2": {"b": {}}}


def test_minion_that_is_idle_and_has_not_returned_does_not_answer(queue):
    """Salt 3006.24 and 3006.25 give the queued job another ID: nobody sees its return."""
    client = Queues(BUSY, [], [], [], BUSY)
    assert queue(client, queue=True) == {"m1": {"a": {}}}
    assert client.looks == [BUSY]


def test_what_is_not_queued_is_not_waited_for(queue):
    assert queue(Queues()) == {"m1": {"a": {}}}


def test_master_whose_workers_are_all_busy_is_named(monkeypatch):
    def cmd(*_, **__):
        raise SaltReqTimeoutError("Salt request timed out")

    monkeypatch.setattr(salt_runner.salt.client, "get_local_client", lambda mopts: Client())
    monkeypatch.setattr(Client, "cmd", cmd)
    words = r"did not publish swarm_node\.report.*worker_threads.*said: Salt request timed out"
    with pytest.raises(errors.SwarmError, match=words):
        Master({}, {}, {}).ask(["m1"], "swarm_node.report")


@pytest.fixture(params=["classic", "builtin"])
def two(fleet, request):
    """Two swarms: m1 and m2; m3 and m4, in one of the modes. Each knows of its own nodes only."""
    kinds = {"m1": {"mode": "classic"}, "m3": {"mode": request.param}}
    members = {"m1": (1, 2), "m3": (3, 4)}
    fleet.reports = {}
    for manager, numbers in members.items():
        nodes = {one["address"]: one for one in map(node, numbers)}
        heard = {manager: {"role": "primary", "nodes": nodes}}
        address = {manager: f"10.77.0.1{manager[1]}"}
        for number in numbers:
            name = f"m{number}"
            own = {"manager": name == manager, "managers": address, "servers": address}
            fleet.pillars[name] = {"swarm": {"managers": [manager], **NODES, **kinds[manager]}}
            fleet.reports[name] = report(number, **own, **kinds[manager])
            fleet.heard[name] = heard
    fleet.alive = ["m1"]
    return fleet


def test_each_swarm_is_asked_of_its_own_managers(two, monkeypatch):
    assert [(one["id"], one["swarm"], one["state"]) for one in runner.status()] == [
        ("m1", "m1", "Healthy"),
        ("m2", "m1", "Healthy"),
        ("m3", "m3", "Healthy"),
        ("m4", "m3", "Healthy"),
    ]
    assert [one["id"] for one in runner.status(swarm="m4")] == ["m3", "m4"]
    assert runner.reconcile() == {"healthy": 4, "down": [], "joined": [], "failed": {}}
    assert two.calls("state.apply") == []
    monkeypatch.setitem(runner.__opts__, "output", None)
    assert runner.status().splitlines()[0].startswith("id  swarm  role")
    assert runner.status(swarm="m4").splitlines()[0].startswith("id  role")


def test_a_swarm_whose_set_up_has_failed_says_nothing_of_another(two):
    two.heard |= {"m3": {}, "m4": {}}
    rows = {one["id"]: one["state"] for one in runner.status()}
    assert rows == {"m1": "Healthy", "m2": "Healthy", "m3": "unknown", "m4": "unknown"}
    assert runner.reconcile(swarm="m1", test=True)["would join"] == []
    assert runner.reconcile(test=True)["would join"] == ["m3", "m4"]


def test_a_member_that_was_moved_by_its_pillar_is_missing_where_it_is_to_be(two):
    two.pillars["m2"] = two.pillars["m3"]
    # And is not asked for what the managers of that swarm say: it hears others still.
    assert {one["id"]: one["state"] for one in runner.status(swarm="m3")}["m2"] == "missing"
    assert runner.reconcile()["joined"] == ["m2"]


def test_a_member_that_does_not_join_by_itself_is_shown_and_left_alone(two):
    two.pillars["m4"]["swarm"]["autojoin"] = {"enabled": False}
    two.heard |= {"m3": {}, "m4": {}}
    assert [one["id"] for one in runner.status(swarm="m3")] == ["m3", "m4"]
    assert runner.reconcile(test=True)["would join"] == ["m3"]
    assert runner.join("m4")["no members"] == ["m4"]


def test_a_member_is_removed_by_its_own_swarm(two):
    assert runner.remove("m4")["cleaned"] is True
    told = {name for _, names, _, _ in two.asked for name in names}
    assert {"m1", "m2"}.isdisjoint(told)


def test_a_node_of_which_only_its_name_is_left_is_removed_by_the_swarm_that_lists_it(two):
    del two.reports["m4"], two.pillars["m4"]
    done = runner.remove("m4")
    assert "refused" not in done
    changes = ("swarm_consul.deregister", "swarm_leader.expel", "swarm_leader.drop")
    assert {name for one in changes for names, _, _ in two.calls(one) for name in names} == {"m3"}


def test_a_node_that_nobody_lists_is_removed_where_one_says(two):
    assert "name one by a member, as swarm=m1" in runner.remove("m9")["refused"]
    assert runner.__context__.pop("retcode") == 1
    assert "refused" not in runner.remove("m9", swarm="m3")
    assert "no swarm has a member m8" in runner.remove("m9", swarm="m8")["refused"]


def test_a_backup_is_of_one_swarm(two):
    two.saved = {name: {"path": "/b"} for name in two.reports}
    assert "nothing was backed up: there are several" in runner.backup()["refused"]
    assert runner.backup(swarm="m4")["minion"] == "m3"
    assert runner.backup("m2")["minion"] == "m2"


# ---- services

ROW = {
    "service": "web",
    "mode": "replicated",
    "image": "nginx",
    "wanted": 2,
    "running": 1,
    "update": "paused",
    "since": "2026-01-02T03:04:05",
    "why not": "web.1 on m2: task: non-zero exit (1)",
}


def test_services_are_those_of_the_first_manager_that_tells(fleet):
    pillar = {"swarm": {"managers": ["m1", "m2", "m3"], **NODES}}
    fleet.pillars = {name: pillar for name in fleet.pillars}
    fleet.services = {"m1": None, "m2": [ROW], "m3": [ROW, ROW]}
    assert runner.services() == [{"swarm": "m1,m2,m3", **ROW}]
    assert [minions for minions, *_ in fleet.calls("swarm_service.status")] == [["m1"], ["m2"]]
    former = {key: one for key, one in ROW.items() if key != "since"}
    fleet.services = {"m1": [former], "m2": [ROW]}
    assert runner.services() == [{"swarm": "m1,m2,m3", **ROW, "since": ""}]


def test_services_are_a_table_for_people(fleet, monkeypatch):
    monkeypatch.setattr(runner, "__opts__", {}, raising=False)
    fleet.services = {"m1": [{**ROW, "image": "a\nb"}]}
    head, row = runner.services().splitlines()
    assert head.split() == [
        "service",
        "mode",
        "image",
        "wanted",
        "running",
        "update",
        "since",
        "why",
        "not",
    ]
    assert "a\\nb" in row
    fleet.services = {"m1": []}
    assert runner.services() == "there are no services"


@pytest.mark.parametrize("said", [None, "no such function", [{"service": "web"}], [1], {"a": 1}])
def test_services_that_no_manager_lists_are_an_error(fleet, said):
    """A minion may say anything."""
    fleet.services = {"m1": said}
    with pytest.raises(errors.SwarmError, match="no manager lists the services of m1"):
        runner.services()


TASK = {"task": "web.1 on m1", "state": "running", "exit code": 0, "error": "", "log": ["a\x1b"]}
CALLS = [
    (lambda: runner.ps("web"), "swarm_service.tasks", (("web",), {}), [TASK]),
    (lambda: runner.logs("web", 5), "swarm_service.logs", (("web",), {"lines": 5}), [TASK]),
    (lambda: runner.scale(web=3, __pub_x=1), "swarm_service.scale", (("web", 3), {}), {"r": {}}),
    (lambda: runner.rollback("web"), "swarm_service.rollback", (("web",), {}), {"image": {}}),
]


@pytest.fixture
def led(fleet, monkeypatch):
    """Two managers with a service, of which the second leads."""
    pillar = {"swarm": {"managers": ["m1", "m2"], **NODES}}
    fleet.pillars = {name: pillar for name in fleet.pillars}
    fleet.services = {"m1": [ROW], "m2": [ROW]}
    fleet.answers, ask = {}, fleet.ask

    def answered(minions, function, *args, **kwargs):
        told = ask(minions, function, *args, **kwargs)
        return {**told, **fleet.answers} if function in fleet.functions else told

    fleet.functions = {one[1] for one in CALLS} | {"swarm_service.export"}

    def asked(minions, *args, **kwargs):
        told = answered(minions, *args, **kwargs)
        return {name: one for name, one in told.items() if name in minions}

    monkeypatch.setattr(Master, "ask", staticmethod(asked))
    return fleet


@pytest.mark.parametrize(("call", "function", "args", "answer"), CALLS)
def test_managers_are_asked_until_one_answers(led, call, function, args, answer):
    led.answers = {"m1": None, "m2": answer}
    assert call()
    assert [(minions, *rest) for minions, *rest in led.calls(function)] == [
        (["m1"], *args),
        (["m2"], *args),
    ]


@pytest.mark.parametrize(("call", "function", "args", "answer"), CALLS)
def test_error_of_the_leader_is_the_error(led, call, function, args, answer):
    led.answers = {"m1": None, "m2": "ERROR: service web: gave up"}
    with pytest.raises(errors.SwarmError, match="m1,m2: ERROR: service web: gave up"):
        call()


def test_tasks_and_logs_are_text_for_people(led, monkeypatch):
    monkeypatch.setattr(runner, "__opts__", {}, raising=False)
    led.answers = {"m1": [TASK]}
    head, row = runner.ps("web").splitlines()
    assert head.split()[:2] == ["task", "state"]
    assert row.startswith("web.1 on m1")
    assert runner.logs("web") == "web.1 on m1  a\\x1b"


@pytest.mark.parametrize("said", [[1], {"a": 1}])
def test_answers_of_another_shape_are_no_answers(led, said):
    led.answers = dict.fromkeys(("m1", "m2"), said)
    for call in (runner.ps, runner.logs):
        with pytest.raises(errors.SwarmError, match="no manager"):
            call("web")


@pytest.mark.parametrize("log", [3, "a", {"a": 1}])
def test_log_of_another_shape_is_no_log(led, log):
    led.answers = {"m1": [{**TASK, "log": log}]}
    with pytest.raises(errors.SwarmError, match="no manager has the logs of web"):
        runner.logs("web")


@pytest.mark.parametrize(
    ("output", "shown"), [("yaml", "a\x1b\nb"), ("json", "a\\x1b\\nb"), ("nested", "a\\x1b\\nb")]
)
def test_export_is_the_pillar_of_one_swarm(led, monkeypatch, output, shown):
    """What a terminal would obey is escaped by Salt in YAML, and here elsewhere."""
    monkeypatch.setitem(runner.__opts__, "output", output)
    led.answers = {"m1": {"services": {"web": {"args": ["a\x1b\nb"]}}}}
    assert runner.export() == {"swarm": {"services": {"web": {"args": [shown]}}}}


def test_service_that_no_swarm_has_and_that_several_have(led):
    with pytest.raises(errors.SwarmError, match="no swarm has a service wep"):
        runner.ps("wep")
    led.pillars["m4"] = {"swarm": {"managers": ["m4"], **NODES}}
    led.services["m4"] = [ROW]
    with pytest.raises(errors.SwarmError, match="service web: there are several swarms"):
        runner.rollback("web")
    led.answers = {"m4": {"image": {}}}
    assert runner.rollback("web", swarm="m4") == {"image": {}}


# ---- rotation


def in_builtin(pillar):
    return {"swarm": {**pillar["swarm"], "mode": "builtin"}}


@pytest.fixture
def builtin(fleet):
    """A cluster of builtin mode with the managers m1 and m2, and the CA m1."""
    fleet.pillars = {name: in_builtin(one) for name, one in fleet.pillars.items()}
    for name, one in fleet.reports.items():
        manager = name in ("m1", "m2")
        one |= {"mode": "builtin", "endpoint": f"id-{name}", "ca": "m1", "manager": manager}
    known = {f"id-m{number}": node(number, "Ready") for number in (1, 2, 3, 4)}
    fleet.managers = {
        "m1": {"role": "leader", "nodes": known},
        "m2": {"role": "manager", "nodes": known},
    }
    fleet.more = {"swarm_leader.rotate": True, "swarm_ca.valid_until": "2030-06-15"}
    return fleet


def test_removal_of_a_worker_rotates_the_token_and_tells_what_its_certificate_opens(builtin):
    done = runner.remove("m4")
    assert done["join tokens"] is True
    assert builtin.calls("swarm_leader.rotate") == [(["m1"], (), {})]
    assert "m4 stays valid until 2030-06-15" in done["certificate"]
    assert "salt-run swarm.rotate ca" in done["certificate"]
    assert "CA" not in done


def test_removal_of_a_manager_tells_that_it_has_a_copy_of_the_ca(builtin):
    builtin.managers["m1"]["nodes"]["id-m4"]["role"] = "manager"
    done = runner.remove("m4")
    assert "m4 was a manager and has a copy of the CA" in done["CA"]
    assert "salt-run swarm.rotate ca" in done["CA"]


def test_nonsense_of_a_manager_about_the_drain_is_refused(builtin):
    builtin.more["swarm_leader.expel"] = True
    assert "nonsense: True" in runner.remove("m4")["refused"]
    assert builtin.calls("swarm_leader.drop") == []


def test_removal_of_a_manager_rotates_both_tokens(builtin):
    builtin.managers["m1"]["nodes"]["id-m4"]["role"] = "manager"
    runner.remove("m4")
    assert builtin.calls("swarm_leader.rotate") == [(["m1"], (), {"managers": True})]


def test_token_that_stays_is_told_with_the_cure(builtin):
    builtin.more["swarm_leader.rotate"] = "no leader"
    done = runner.remove("m4")
    assert done["join tokens"] == "not rotated: no leader. Later: salt-run swarm.rotate join-token"


def test_tokens_are_rotated_by_one_manager(builtin):
    assert runner.rotate("join-token") == {"join-token": True}
    assert builtin.calls("swarm_leader.rotate") == [(["m1"], (), {"managers": True})]
    assert runner.__context__ == {}


def test_logins_to_registries_are_renewed_on_all_nodes_and_then_by_the_leader(builtin):
    builtin.more["swarm_service.renew_logins"] = True
    builtin.more["state.apply"] = {"a state": {"result": True, "comment": ""}}
    assert runner.rotate("registry") == {"registry": True}
    ((nodes, _, kwargs),) = builtin.calls("state.apply")
    assert (sorted(nodes), kwargs["mods"]) == (["m1", "m2", "m3", "m4"], "swarm.registries")
    assert builtin.calls("swarm_service.renew_logins") == [(["m1"], (), {})]
    builtin.more["swarm_service.renew_logins"] = "m1 does not lead the cluster"
    done = runner.rotate("registry")["registry"]
    assert done.startswith("not finished: m1 does not lead the cluster. To resume: ")
    assert runner.__context__["retcode"] == 1


def test_logins_are_not_passed_on_if_a_node_has_not_logged_in(builtin):
    builtin.more["state.apply"] = {"a state": {"result": False, "comment": "no password"}}
    done = runner.rotate("registry")["registry"]
    told = "; ".join(f"{host}: no password" for host in ("m1", "m2", "m3", "m4"))
    assert done.startswith(f"not finished: {told}. To resume: ")
    assert builtin.calls("swarm_service.renew_logins") == []


@pytest.mark.parametrize("what", ["join-token", "ca", "junk"])
def test_what_the_swarm_does_not_have_is_not_rotated(fleet, what):
    assert "nothing was rotated" in runner.rotate(what)["refused"]
    assert runner.__context__["retcode"] == 1
    assert fleet.calls("swarm_ca.rotate") == fleet.calls("swarm_leader.rotate") == []


def test_ca_is_rotated_by_applies_on_the_nodes_that_pillar_names(builtin):
    builtin.pillars["m5"] = in_builtin(MEMBER)
    builtin.reports["m5"] = {**builtin.reports["m4"], "endpoint": ""}
    builtin.reports["x"] = builtin.reports["m4"]
    builtin.more["swarm_ca.rotate"] = rotation(True, "m1", "m2")
    steps = [rotation(True, "m1"), rotation(True, "m1", since=2), rotation(False, since=3)]
    builtin.more["swarm_ca.rotation"] = lambda: steps.pop(0)
    assert runner.rotate("ca") == {"ca": True}
    apply = (["m1", "m2", "m3", "m4"], (), {"mods": "swarm", "queue": True})
    assert builtin.calls("state.apply") == [apply] * 3


def test_ca_that_is_no_node_does_not_become_one(builtin):
    del builtin.managers["m1"]["nodes"]["id-m3"]
    for one in builtin.reports.values():
        one["ca"] = "m3"
    builtin.more["swarm_ca.rotate"] = rotation(True, "m1")
    builtin.more["swarm_ca.rotation"] = rotation(False)
    runner.rotate("ca")
    mods = [(minions, more["mods"]) for minions, _, more in builtin.calls("state.apply")]
    assert mods == [(["m3"], "swarm.ca"), (["m1", "m2", "m4"], "swarm")]


def test_host_that_holds_up_the_ca_ends_the_command_with_its_name(builtin):
    for name in ("swarm_ca.rotate", "swarm_ca.rotation"):
        builtin.more[name] = rotation(True, "m4")
    builtin.more["swarm_ca.complaints"] = ["the change of the CA waits for m4"]
    done = runner.rotate("ca")["ca"]
    assert "waits for m4" in done
    assert done.endswith("To resume: salt-run swarm.rotate ca")
    assert len(builtin.calls("state.apply")) == 2
    assert runner.__context__["retcode"] == 1


def test_worker_that_poses_as_manager_and_ca_rotates_nothing(builtin):
    """It would answer that all is done."""
    posing = {**builtin.reports["m4"], "manager": True, "ca": "a4"}
    builtin.reports = {"a4": {**posing, "endpoint": "id-a4"}, **builtin.reports}
    builtin.pillars = {"a4": in_builtin(MEMBER), **builtin.pillars}
    builtin.more["swarm_ca.rotate"] = rotation(False)
    assert runner.rotate("all") == {"join-token": True, "ca": True}
    asked = builtin.calls("swarm_leader.rotate") + builtin.calls("swarm_ca.rotate")
    assert [minions for minions, *_ in asked] == [["m1"], ["m1"]]


# ---- secrets of Consul


@pytest.fixture
def classic(fleet):
    """A swarm of classic mode with three managers and the CA m1, which answers for each step."""
    three(fleet)
    for one in fleet.reports.values():
        one["ca"] = "m1"
    fleet.managers = said(*map(node, (1, 2, 3, 4)))
    phases = iter(["made", "used", "done"])
    fleet.more = {
        "swarm_ca.renewable": ["gossip", "acl"],
        "swarm_ca.renew": lambda: next(phases),
        "swarm_ca.valid_until": "2030-06-15",
        "swarm_consul.admit": True,
        "swarm_consul.renewed": True,
        "swarm_consul.retire": True,
    }
    return fleet


STEPS = ("swarm_ca.renew", "swarm_consul.admit", "swarm_consul.renewed", "swarm_consul.retire")


def steps(fleet):
    """Return the steps of a renewal in their order."""
    order = (*STEPS, "state.apply")
    return [(name, words.get("step")) for name, _, _, words in fleet.asked if name in order]


@pytest.mark.parametrize("kind", ["gossip", "acl"])
def test_secret_of_consul_is_renewed_and_the_old_one_goes_last(classic, kind):
    assert runner.rotate(kind) == {kind: True}
    assert steps(classic) == [
        ("swarm_ca.renew", "begin"),
        ("swarm_consul.admit", None),
        ("swarm_ca.renew", "follow"),
        ("state.apply", None),
        ("swarm_consul.renewed", None),
        ("swarm_consul.retire", None),
        ("swarm_ca.renew", "end"),
    ]
    assert classic.calls("swarm_consul.renewed") == [(["m1", "m2", "m3", "m4"], (kind,), {})]


@pytest.mark.parametrize(
    ("step", "last"),
    [
        ("swarm_ca.renew", "swarm_ca.renew"),
        ("swarm_consul.admit", "swarm_consul.admit"),
        ("swarm_consul.renewed", "swarm_consul.renewed"),
        ("swarm_consul.retire", "swarm_consul.retire"),
    ],
)
def test_renewal_that_fails_keeps_the_old_one_and_tells_how_to_go_on(classic, step, last):
    classic.more[step] = "no leader"
    done = runner.rotate("gossip")["gossip"]
    assert "no leader" in done
    assert done.endswith("resume soon with salt-run swarm.rotate gossip")
    assert steps(classic)[-1][0] == last
    assert ("swarm_ca.renew", "end") not in steps(classic)
    assert runner.__context__["retcode"] == 1


def test_renewal_that_was_interrupted_goes_on_where_it_was(classic):
    phases = iter(["used", "done"])
    classic.more["swarm_ca.renew"] = lambda: next(phases)
    assert runner.rotate("gossip") == {"gossip": True}
    assert classic.calls("swarm_consul.admit") == []


def test_server_that_is_off_and_not_listed_any_more_blocks_the_renewal(classic):
    """It would bring the old secret back."""
    del classic.reports["m3"]
    classic.managers = said(*map(node, (1, 2, 4)))
    assert "the minions of m3, servers of Consul, do not answer" in runner.rotate("acl")["acl"]
    assert steps(classic) == []


def test_node_that_does_not_answer_blocks_the_renewal_before_it_begins(classic):
    del classic.reports["m4"]
    assert "m4 do not answer" in runner.rotate("gossip")["gossip"]
    assert steps(classic) == []


def test_removed_host_and_what_it_knew_of_consul(classic):
    done = runner.remove("m4")
    assert done["gossip"].endswith("salt-key -d m4, then salt-run swarm.rotate gossip")
    assert "acl" not in done, "only servers and managers know the management token"
    assert runner.remove("m3")["acl"].endswith("salt-run swarm.rotate acl")


def test_removed_manager_knew_all_that_its_copy_of_the_ca_has(classic):
    """Also the management token, though it was no server."""
    three(classic, consul={"servers": ["m1", "m2"]})
    classic.alive = ["m1", "m2"]
    assert runner.remove("m3")["acl"].endswith("salt-run swarm.rotate acl")


def test_secrets_of_ones_own_are_not_rotated_and_it_is_told_what_to_edit(classic):
    for one in classic.reports.values():
        one["ca"] = None
    assert "swarm:consul:gossip_key" in runner.rotate("gossip")["refused"]
    assert "swarm:consul:acl_token" in runner.rotate("acl")["refused"]
