"""
A restart of an engine in a swarm: who may, who waits, and what ends the turn.
"""

import contextlib
import copy
import re
import threading
from unittest.mock import Mock

import pytest

from _modules import swarm_turn
from swarm_formula.cluster import node_info, raft_lock, swarm_api
from swarm_formula.consul import agent_api
from swarm_formula.core import errors, host_files, wait
from swarm_formula.engine import keeper as engine_keeper
from swarm_formula.engine import node_drain, restart_turn
from swarm_formula.engine import probe as engine_probe
from tests.unit import consul_agent
from tests.unit.cluster.test_raft_lock import Raft, service, task
from tests.unit.cluster_api import ClusterApi, node
from tests.unit.execution import mocked
from tests.unit.pillars import BUILTIN, VALID, settings_of
from tests.unit.pillars import node as minion

THREE = [node("m1", "manager", leader=True), node("m2", "manager"), node("m3", "manager")]
WORKER = node("m4")


class Api(Raft, ClusterApi):
    """A cluster with configs."""

    def __init__(self, me, nodes, shared=None, **more):
        ClusterApi.__init__(self, me, copy.deepcopy(nodes), **more)
        Raft.__init__(self)
        if shared:
            self.configs_ = shared.configs_

    tasks = Raft.tasks


@pytest.fixture
def turn(monkeypatch, tmp_path):
    """Return a function that gives a host's turn over an API, and whom it asked by the master."""
    monkeypatch.setattr(host_files, "_LOCKS", tmp_path)
    monkeypatch.setattr(wait, "_FIRST", 0.001)
    monkeypatch.setattr(wait, "_LAST", 0.001)
    monkeypatch.setattr(restart_turn, "_STUCK", 0.05)

    def turn(host, api, publish=None, masterless=False, **pillar):
        settings = settings_of({**BUILTIN, **pillar}, minion(host))
        salt = mocked("swarm_builtin.tell", "swarm_builtin.apply", publish__publish=publish or {})
        monkeypatch.setattr(swarm_api, "connect", lambda _: api.connect())
        return restart_turn.held(salt, settings, masterless), salt

    return turn


def holder(api):
    found = raft_lock.find(api)
    return found.holder if found else None


def test_manager_has_the_turn_and_gives_it_back(turn):
    api = Api("m1", THREE)
    with turn("m1", api)[0]:
        assert holder(api) == "m1"
    assert holder(api) is None


class Killed(BaseException):
    """The minion is killed: nothing of the run is done any more."""


def kill(api, held, monkeypatch):
    """Kill a run in its turn, after the engine's restart."""
    with monkeypatch.context() as patch, contextlib.suppress(Killed), held:
        patch.setattr(restart_turn, "_give_back", Mock(side_effect=Killed))
        raise Killed


def test_turn_of_a_run_that_was_killed_ends_with_the_next_one(turn, monkeypatch):
    """It finds nothing to restart: seen when a minion was killed while it waited for its tasks."""
    api = Api("m1", THREE)
    held, salt = turn("m1", api)
    kill(api, held, monkeypatch)
    assert holder(api) == "m1"
    settings = settings_of(BUILTIN, minion("m1"))
    for _ in range(2):
        restart_turn.finish(salt, settings, masterless=False)
        assert holder(api) is None
    assert host_files.record("turn") == {}


def test_turn_of_another_is_not_ended_for_it(turn, monkeypatch):
    api = Api("m1", THREE)
    held, salt = turn("m1", api)
    kill(api, held, monkeypatch)
    # It was too old, and m2 has it now.
    raft_lock.remove(api, raft_lock.find(api).id)
    raft_lock.take(api, "m2", "id-m2", 100)
    restart_turn.finish(salt, settings_of(BUILTIN, minion("m1")), masterless=False)
    assert holder(api) == "m2"
    assert host_files.record("turn") == {}


def test_worker_that_was_killed_in_its_turn_has_it_ended_by_a_manager(
    turn, request_of, monkeypatch
):
    api = Api("m1", [*THREE, WORKER])
    publish = request_of(api, "m4", {"m4": "id-m4"})
    held, salt = turn("m4", Api("m4", [*THREE, WORKER], api), publish)
    kill(api, held, monkeypatch)
    assert holder(api) == "m4"
    restart_turn.finish(salt, settings_of(BUILTIN, minion("m4")), masterless=False)
    assert holder(api) is None


def test_without_a_note_nobody_is_asked(turn):
    api = Api("m4", [*THREE, WORKER])
    _, salt = turn("m4", api)
    restart_turn.finish(salt, settings_of(BUILTIN, minion("m4")), masterless=False)
    salt["publish.publish"].assert_not_called()


@pytest.mark.parametrize(
    ("nodes", "state", "pillar"),
    [
        ([], "inactive", {}),
        (THREE, "pending", {}),
        (THREE, "locked", {}),
        ([node("m1", "manager", leader=True)], "active", {}),
        (THREE, "active", {"engine": {"turns": False}}),
    ],
    ids=["bare", "pending", "locked", "alone", "without turns"],
)
def test_engine_that_nobody_misses_takes_no_turn(turn, nodes, state, pillar):
    api = Api("m1", nodes, state=state)
    with turn("m1", api, **pillar)[0]:
        assert holder(api) is None
    assert api.made == 0


def test_worker_without_a_master_takes_no_turn(turn):
    api = Api("m4", [*THREE, WORKER])
    with turn("m4", api, masterless=True)[0]:
        assert api.made == 0


def away(*hosts):
    return [
        {**one, "ManagerStatus": {"Reachability": "unreachable"}}
        if one["Description"]["Hostname"] in hosts
        else one
        for one in THREE
    ]


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (THREE, None),
        (THREE[:2], None),
        (THREE[:1], None),
        (away("m3"), "would cost the quorum: 2 of 3 managers are needed"),
        (away("m2")[:2], "would cost the quorum: 2 of 2 managers are needed"),
        (away("m1"), None),
    ],
)
def test_quorum(nodes, words):
    found = engine_keeper.pause_refusal(nodes, "id-m1")
    assert (found is None) is (words is None)
    assert not words or (words in found and found.endswith(" up first"))


def test_restart_that_would_cost_the_quorum_is_refused_and_leaves_no_turn(turn):
    api = Api("m1", away("m3"))
    words = r"nothing was changed: .* cost the quorum: .*; bring m3 \(id-m3\) up first"
    with pytest.raises(errors.SwarmError, match=words), turn("m1", api)[0]:
        pytest.fail("it restarts")
    assert holder(api) is None


def test_manager_that_would_stay_locked_is_not_restarted(turn):
    api = Api("m1", THREE)
    api.spec["EncryptionConfig"]["AutoLockManagers"] = True
    with (
        pytest.raises(errors.SwarmError, match=r"place of the key in swarm:builtin:unlock"),
        turn("m1", api)[0],
    ):
        pytest.fail("it restarts")
    with turn("m1", api, builtin={"unlock_key": "/etc/key"})[0]:
        assert holder(api) == "m1"


def test_manager_that_comes_back_locked_is_unlocked_in_its_turn(turn):
    api = Api("m1", THREE)
    held, salt = turn("m1", api, builtin={"unlock_key": "/etc/key"})

    def unlock():
        api.state = "active"

    salt["swarm_builtin.apply"].side_effect = unlock
    with held:
        api.state = "locked"
    assert holder(api) is None


def test_turn_of_another_is_waited_for_and_named(turn, monkeypatch):
    api = Api("m1", THREE)
    raft_lock.take(api, "m2", "id-m2", 10**12)
    monkeypatch.setattr(restart_turn, "wait", Impatient)
    with (
        pytest.raises(errors.WaitTimeoutError, match="restart its engine: m2 has it since"),
        turn("m1", api)[0],
    ):
        pytest.fail("two at a time")
    assert holder(api) == "m2", "what is another's is left alone"


class Impatient:
    """Waits for nothing."""

    @staticmethod
    def until(probe, *_, **__):
        if missing := probe():
            raise errors.WaitTimeoutError(missing)


def test_node_that_does_not_come_back_keeps_its_turn(turn, monkeypatch):
    """So that no other host follows it into the same pit."""
    api = Api("m1", THREE)
    held, _ = turn("m1", api)

    def lost():
        with held:
            monkeypatch.setattr(restart_turn, "wait", Impatient)
            api.known["id-m1"]["Status"]["State"] = "down"

    with pytest.raises(errors.WaitTimeoutError, match=r"m1 \(id-m1\) is Down to the managers"):
        lost()
    assert holder(api) == "m1"


def test_error_in_the_turn_is_told_and_the_turn_given_back(turn):
    api = Api("m1", THREE)
    with pytest.raises(ZeroDivisionError), turn("m1", api)[0]:
        raise ZeroDivisionError
    assert holder(api) is None


@pytest.fixture
def engine(monkeypatch):
    """Whether the engine starts containers; it is tried before and after a restart."""
    engine = Mock(refuses=None)

    def check(trial):
        if trial.image and engine.refuses:
            raise errors.NoContainerError(engine.refuses)

    monkeypatch.setattr(engine_probe, "before", lambda: engine_probe.Trial("sha256:1"))
    monkeypatch.setattr(engine_probe.Trial, "check", check)
    return engine


@pytest.mark.parametrize("host", ["m1", "m4"], ids=["manager", "worker"])
def test_engine_that_starts_no_container_keeps_its_turn(turn, request_of, engine, host):
    """An option or a version with which the engine runs, and none of its containers."""
    nodes = [*THREE, WORKER]
    api = Api("m1", nodes)
    publish = request_of(api, "m4", {"m4": "id-m4"})
    held, salt = turn(host, Api(host, nodes, api), publish)
    with pytest.raises(errors.NoContainerError, match=r"no /nowhere\. .*again on m"), held:
        engine.refuses = "no /nowhere"
    assert holder(api) == host
    # Its next run ends the turn, once the cause is gone.
    settings = settings_of(BUILTIN, minion(host))
    with pytest.raises(errors.NoContainerError):
        restart_turn.finish(salt, settings, masterless=False)
    engine.refuses = None
    restart_turn.finish(salt, settings, masterless=False)
    assert holder(api) is None


def test_restart_that_can_be_undone_is_proven_in_its_turn(turn, engine):
    api, seen = Api("m1", THREE), []
    with turn("m1", api)[0] as held:
        engine.refuses = "no /nowhere"
        with pytest.raises(errors.NoContainerError):
            held.prove()
        seen.append(holder(api))
        engine.refuses = None
    assert (seen, holder(api)) == (["m1"], None)


@pytest.mark.parametrize(
    ("nodes", "pillar"), [([node("m1", "manager")], {}), (THREE, {"engine": {"turns": False}})]
)
def test_engine_that_takes_no_turn_has_to_start_containers_as_well(turn, engine, nodes, pillar):
    with pytest.raises(errors.NoContainerError), turn("m1", Api("m1", nodes), **pillar)[0]:
        engine.refuses = "no /nowhere"


# ---- workers


@pytest.fixture
def request_of(monkeypatch, turn):
    """Return a function that answers ``swarm_turn.request`` on a manager of an API."""

    def request_of(api, caller, claims, **pillar):
        settings = settings_of({**BUILTIN, **pillar}, minion("m1"))
        salt = mocked(swarm_settings__get=settings, swarm_builtin__claims=claims)
        monkeypatch.setattr(swarm_turn, "__salt__", salt, raising=False)

        def publish(tgt, fun, arg=None, **_):
            assert fun == "swarm_turn.request"
            monkeypatch.setattr(swarm_api, "connect", lambda _: api.connect())
            return {tgt: swarm_turn.request(*arg, __pub_id=caller)}

        return publish

    return request_of


def test_worker_has_its_turn_by_a_manager(turn, request_of):
    api = Api("m1", [*THREE, WORKER])
    worker = Api("m4", [*THREE, WORKER], api)
    publish = request_of(api, "m4", {"m4": "id-m4"})
    held, salt = turn("m4", worker, publish)

    with held:
        assert holder(api) == "m4"
        assert raft_lock.find(api).holder == "m4"
    assert holder(api) is None
    salt["swarm_builtin.tell"].assert_called_once_with()


def test_worker_that_no_manager_answers_is_told_of_the_masters_configuration(turn):
    api = Api("m4", [*THREE, WORKER])
    words = r"nothing was changed: m4 is a worker, .* answers swarm_turn\.request: .*\(peer"
    with pytest.raises(errors.SwarmError, match=words), turn("m4", api)[0]:
        pytest.fail("it restarts")


@pytest.mark.parametrize(
    ("caller", "claims", "words"),
    [
        ("m9", {"m9": "id-m4"}, "does not name m9 among managers and nodes"),
        ("m4", {}, "says that it is m4: salt m4 swarm_builtin.tell"),
        ("m4", {"m4": "id-m9"}, "says that it is m4"),
    ],
)
def test_who_is_no_member_gets_no_turn(request_of, caller, claims, words):
    api = Api("m1", [*THREE, WORKER])
    (answer,) = request_of(api, caller, claims)("m1", "swarm_turn.request", ["take"]).values()
    assert words in answer["refused"]
    assert api.made == 0


def test_request_that_came_by_no_master_does_nothing(request_of):
    api = Api("m1", [*THREE, WORKER])
    request_of(api, "m4", {"m4": "id-m4"})
    assert swarm_turn.request("take") == {}
    assert swarm_turn.request("__class__", __pub_id="m4") == {}
    assert api.made == 0


@pytest.mark.parametrize("what", ["back", "settled", "end"])
def test_worker_touches_no_turn_but_its_own(request_of, what):
    api = Api("m1", [*THREE, WORKER])
    raft_lock.take(api, "m2", "id-m2", 10**12)
    publish = request_of(api, "m4", {"m4": "id-m4"})
    assert publish("m1", "swarm_turn.request", [what]) == {"m1": {"missing": None}}
    assert holder(api) == "m2"


def test_worker_answers_no_request(request_of):
    api = Api("m4", [*THREE, WORKER])
    assert request_of(api, "m5", {})("m4", "swarm_turn.request", ["take"]) == {"m4": {}}


def test_turn_is_shown_and_ended_by_hand(monkeypatch, request_of):
    api = Api("m1", THREE)
    request_of(api, "m4", {})
    monkeypatch.setattr(swarm_api, "connect", lambda _: api.connect())
    assert swarm_turn.status() == swarm_turn.end() == {}
    raft_lock.take(api, "m2", "id-m2", 77)
    assert swarm_turn.status()["holder"] == "m2"
    assert swarm_turn.end() == {"turn": {"old": "m2", "new": None}}
    assert holder(api) is None


# ---- drained


class Placing(Api):
    """A cluster that moves the tasks of a drained node to another one, unless told not to."""

    moves = True

    def update_node(self, which, version, spec):
        super().update_node(which, version, spec)
        others = (
            [one for one in self.known if one != which] if spec["Availability"] == "drain" else ()
        )
        for one in self.tasks_ if others and self.moves else ():
            if one["NodeID"] == which:
                one |= {"NodeID": others[0], "ID": f"{one['ID']} moved"}

    def restart(self):
        """Have all tasks ended and started again."""
        for one in self.tasks_:
            one["ID"] += " again"

    def availability(self, host):
        spec = self.known[f"id-{host}"]["Spec"]
        return spec["Availability"], spec["Labels"].get(node_info.DRAINED)


DRAINS = {"engine": {"drain": True}}
ACTIVE = ("active", None)


@pytest.fixture
def placing():
    """A cluster of three managers and a worker, with a service on two of the nodes."""
    api = Placing("m1", [*THREE, WORKER])
    api.services_ = [service("web", "Replicated")]
    api.tasks_ = [task("t1", "web", "id-m1"), task("t4", "web", "id-m4")]
    return api


@pytest.mark.parametrize("host", ["m1", "m4"], ids=["manager", "worker"])
def test_node_is_drained_in_its_turn_and_active_after_it(turn, request_of, placing, host):
    publish = request_of(placing, "m4", {"m4": "id-m4"}, **DRAINS)
    api = placing if host == "m1" else Api("m4", [*THREE, WORKER], placing)
    held, _ = turn(host, api, publish, **DRAINS)
    with held as mine:
        assert placing.availability(host) == ("drain", "active")
        assert not any(one["NodeID"] == f"id-{host}" for one in placing.tasks_)
        assert mine.changes["drain"]["new"].startswith("drained before the restart, in 0 s")
        # What ran before the drain is not forgotten.
        assert raft_lock.find(placing).before["services"] == {"web": 2}
        assert placing.made == 1
    assert placing.availability(host) == ACTIVE
    assert {one["Spec"]["Availability"] for one in placing.known.values()} == {"active"}
    assert holder(placing) is None


@pytest.mark.parametrize("host", ["m1", "m4"], ids=["manager", "worker"])
def test_node_is_active_before_its_services_are_waited_for(
    turn, request_of, placing, monkeypatch, host
):
    """Tasks of global services come back to an active node only."""
    seen = []
    note = lambda *_: seen.append(placing.availability(host))  # noqa: E731
    monkeypatch.setattr(raft_lock, "unsettled", note)
    publish = request_of(placing, "m4", {"m4": "id-m4"}, **DRAINS)
    api = placing if host == "m1" else Api("m4", [*THREE, WORKER], placing)
    with turn(host, api, publish, **DRAINS)[0]:
        monkeypatch.setattr(swarm_api, "connect", lambda _: api.connect())
    assert seen == [ACTIVE]


@pytest.mark.parametrize("host", ["m1", "m4"], ids=["manager", "worker"])
def test_end_of_a_turn_ends_the_drain(turn, request_of, placing, monkeypatch, host):
    publish = request_of(placing, "m4", {"m4": "id-m4"}, **DRAINS)
    api = placing if host == "m1" else Api("m4", [*THREE, WORKER], placing)
    held, salt = turn(host, api, publish, **DRAINS)
    kill(api, held, monkeypatch)
    monkeypatch.setattr(swarm_api, "connect", lambda _: api.connect())
    keeper = engine_keeper.find(salt, settings_of(BUILTIN, minion(host)), masterless=False)
    assert keeper.ask("end") is None
    assert (placing.availability(host), holder(placing)) == (ACTIVE, None)


def test_node_is_not_drained_unless_pillar_asks_for_it(turn, placing):
    with turn("m1", placing)[0] as mine:
        assert placing.availability("m1") == ACTIVE
        placing.restart()
    assert mine.changes == {}
    assert placing.asked == []


@pytest.mark.parametrize(
    ("before", "pillar", "after"),
    [
        ("pause", {}, "pause"),
        ("active", {"nodes": {"m4": {}, "m1": {"availability": "pause"}}}, "pause"),
        ("drain", {}, "drain"),
    ],
    ids=["as it was", "as pillar has it", "drained by hand"],
)
def test_availability_is_that_of_pillar_else_that_of_before(turn, placing, before, pillar, after):
    placing.known["id-m1"]["Spec"]["Availability"] = before
    with turn("m1", placing, **DRAINS, **pillar)[0] as mine:
        assert placing.availability("m1")[0] == "drain"
        placing.restart()
    assert placing.availability("m1") == (after, None)
    assert ("drain already" in mine.changes["drain"]["new"]) is (before == "drain")


def test_availability_that_somebody_sets_during_the_drain_stays(turn, placing):
    with turn("m1", placing, **DRAINS)[0]:
        placing.known["id-m1"]["Spec"]["Availability"] = "pause"
    assert placing.availability("m1") == ("pause", None)


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (THREE[:1], "no other node is ready to take its tasks"),
        ([THREE[0], node("m4", state="down")], "no other node is ready"),
        ([THREE[0], node("m4", Availability="drain")], "no other node is ready"),
    ],
    ids=["alone", "the other is down", "the other is drained"],
)
def test_node_whose_tasks_no_other_can_take_is_not_drained(turn, nodes, words):
    api = Placing("m1", nodes)
    with turn("m1", api, **DRAINS)[0] as mine:
        assert api.availability("m1") == ACTIVE
    assert words in mine.changes["drain"]["new"]


def test_tasks_that_do_not_end_do_not_hold_up_the_restart(turn, placing, monkeypatch):
    placing.moves = False
    monkeypatch.setattr(restart_turn, "wait", Hasty)
    with turn("m1", placing, **DRAINS)[0] as mine:
        assert placing.availability("m1") == ("drain", "active")
    assert mine.changes["drain"]["new"].endswith("not done: 1 task(s) still run on it: web")
    assert placing.availability("m1") == ACTIVE


def test_drain_that_no_manager_answers_is_not_claimed(turn, request_of, placing, monkeypatch):
    publish = request_of(placing, "m4", {"m4": "id-m4"}, **DRAINS)
    worker = Api("m4", [*THREE, WORKER], placing)

    def silent(tgt, fun, arg=None, **more):
        return {} if arg == ["drain"] else publish(tgt, fun, arg, **more)

    monkeypatch.setattr(restart_turn, "wait", Hasty)
    with turn("m4", worker, silent, **DRAINS)[0] as mine:
        assert placing.availability("m4") == ACTIVE
    assert re.match(
        "restarted after .*perhaps not drained: m4 is a w", mine.changes["drain"]["new"]
    )


class Hasty:
    """Waits as little as the real one, and for nothing else."""

    @staticmethod
    def until(probe, timeout, **more):
        wait.until(probe, min(timeout, 0.05), **more)


def test_quorum_is_looked_at_again_after_the_drain(turn, placing, monkeypatch):
    """A drain takes minutes, in which another manager may go away."""
    drained = node_drain.drain

    def drain(client, before):
        placing.known["id-m3"]["ManagerStatus"]["Reachability"] = "unreachable"
        return drained(client, before)

    monkeypatch.setattr(node_drain, "drain", drain)
    with (
        pytest.raises(errors.SwarmError, match="would cost the quorum"),
        turn("m1", placing, **DRAINS)[0],
    ):
        pytest.fail("it restarts")
    assert (placing.availability("m1"), holder(placing)) == (ACTIVE, None)


@pytest.mark.parametrize("host", ["m1", "m4"], ids=["manager", "worker"])
def test_turn_that_somebody_ends_during_the_drain_is_waited_for_again(
    turn, request_of, placing, monkeypatch, host
):
    """Another host has it by then, and two engines would restart at once."""
    publish = request_of(placing, "m4", {"m4": "id-m4"}, **DRAINS)
    api = placing if host == "m1" else Api("m4", [*THREE, WORKER], placing)
    drained, settings = node_drain.drain, settings_of(BUILTIN, minion("m1"))

    def drain(client, before):
        drained(client, before)
        raft_lock.remove(placing, raft_lock.find(placing).id)
        node_drain.restore_of(placing, before["node"], host, settings)
        raft_lock.take(placing, "m2", "id-m2", 10**12)
        return node_drain.Answer("tasks still run")

    monkeypatch.setattr(node_drain, "drain", drain)
    monkeypatch.setattr(restart_turn, "wait", Hasty)
    with (
        pytest.raises(errors.WaitTimeoutError, match="restart its engine: m2 has it since"),
        turn(host, api, publish, **DRAINS)[0],
    ):
        pytest.fail("two at a time")
    assert (placing.availability(host), holder(placing)) == (ACTIVE, "m2")


@pytest.mark.parametrize("host", ["m1", "m4"], ids=["manager", "worker"])
def test_drain_of_a_run_that_was_killed_is_undone_by_the_next_one(
    turn, request_of, placing, monkeypatch, host
):
    publish = request_of(placing, "m4", {"m4": "id-m4"}, **DRAINS)
    api = placing if host == "m1" else Api("m4", [*THREE, WORKER], placing)
    held, salt = turn(host, api, publish, **DRAINS)
    kill(api, held, monkeypatch)
    assert placing.availability(host) == ("drain", "active")
    # The pillar need not ask for drains any more, and somebody may have ended the turn.
    settings = settings_of(BUILTIN, minion(host))
    raft_lock.remove(placing, raft_lock.find(placing).id)
    monkeypatch.setattr(swarm_api, "connect", lambda _: api.connect())
    restart_turn.finish(salt, settings, masterless=False)
    assert placing.availability(host) == ACTIVE


def test_engine_that_starts_no_container_stays_drained(turn, engine, placing):
    held, salt = turn("m1", placing, **DRAINS)
    with pytest.raises(errors.NoContainerError), held:
        engine.refuses = "no /nowhere"
    assert placing.availability("m1") == ("drain", "active")
    engine.refuses = None
    restart_turn.finish(salt, settings_of(BUILTIN, minion("m1")), masterless=False)
    assert placing.availability("m1") == ACTIVE


def test_turn_that_is_ended_by_hand_ends_the_drain(turn, request_of, placing, monkeypatch):
    request_of(placing, "m4", {})
    kill(placing, turn("m1", placing, **DRAINS)[0], monkeypatch)
    monkeypatch.setattr(swarm_api, "connect", lambda _: placing.connect())
    assert swarm_turn.end() == {"turn": {"old": "m1", "new": None}}
    assert placing.availability("m1") == ACTIVE


@pytest.mark.parametrize(
    "claims",
    [{"m4": "id-m2"}, {"m4": "id-m2", "m2": "id-m2"}, {"m4": "id-m4", "m9": "id-m4"}],
    ids=["another's", "another's as well", "two say so"],
)
def test_worker_has_no_node_drained_but_its_own(request_of, placing, claims):
    publish = request_of(placing, "m4", claims, **DRAINS)
    publish("m1", "swarm_turn.request", ["take"])
    (answer,) = publish("m1", "swarm_turn.request", ["drain"]).values()
    assert "not certain which node is m4" in answer["without"]
    assert {one["Spec"]["Availability"] for one in placing.known.values()} == {"active"}


def test_worker_without_a_turn_is_not_drained(request_of, placing):
    publish = request_of(placing, "m4", {"m4": "id-m4"}, **DRAINS)
    raft_lock.take(placing, "m2", "id-m2", 10**12)
    (answer,) = publish("m1", "swarm_turn.request", ["drain"]).values()
    assert answer["missing"] is None
    assert placing.asked == []


@pytest.mark.parametrize("what", ["settled", "end"])
def test_worker_ends_no_drain_but_its_own(request_of, placing, what):
    held = raft_lock.take(placing, "m2", "id-m2", 10**12)[0]
    node_drain.drain(placing, held.before)
    publish = request_of(placing, "m4", {"m4": "id-m2"}, **DRAINS)
    publish("m1", "swarm_turn.request", [what])
    assert placing.availability("m2") == ("drain", "active")


@pytest.mark.parametrize(
    ("host", "state", "engine_of", "words"),
    [
        ("m1", "active", {}, ""),
        ("m1", "active", {"drain": True}, "would be drained first"),
        ("m4", "active", {"drain": True}, "would be drained first"),
        ("m1", "inactive", {"drain": True}, ""),
        ("m1", "active", {"drain": True, "turns": False}, "turns is false"),
    ],
)
def test_drain_is_foreseen(turn, host, state, engine_of, words):
    api = Api(host, [*THREE, WORKER], state=state)
    _, salt = turn(host, api)
    settings = settings_of({**BUILTIN, "engine": engine_of}, minion(host))
    told = restart_turn.foreseen(salt, settings, masterless=False)
    assert words in told
    assert bool(told) is bool(words)
    assert (api.made, api.asked) == (0, [])


def test_worker_without_a_master_is_not_drained(turn):
    with turn("m4", Api("m4", [*THREE, WORKER]), masterless=True, **DRAINS)[0] as mine:
        assert "without a master" in mine.changes["drain"]["new"]


# ---- classic mode


def test_classic_engines_take_turns_by_consul(monkeypatch, tmp_path):
    monkeypatch.setattr(host_files, "_LOCKS", tmp_path)
    inside, most = set(), []
    with consul_agent.running() as agent:
        port = agent.settings["consul"]["http_port"]
        settings = settings_of({**VALID, "consul": {"http_port": port}})
        salt = mocked(swarm_classic__wait_healthy=errors.SwarmError("not there"))

        def host():
            with restart_turn.held(salt, settings, masterless=False):
                assert agent.keys["swarm-formula/turn"][0] == "m1"
                inside.add(1)
                most.append(len(inside))
                inside.clear()

        threads = [threading.Thread(target=host) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == [1, 1, 1]
        assert agent.keys == {}


def test_classic_engine_without_consul_takes_no_turn(monkeypatch, tmp_path):
    monkeypatch.setattr(host_files, "_LOCKS", tmp_path)
    error = errors.StoreError("Consul on this host does not answer")
    monkeypatch.setattr(agent_api, "leader", lambda _: (_ for _ in ()).throw(error))
    settings, reached = settings_of(VALID), []
    with restart_turn.held(mocked(), settings, masterless=False):
        reached.append(True)
    assert reached
