"""
Restart the engines of a swarm on one host at a time.

In builtin mode, the turn is a lock in the cluster (``swarm_raft_lock``); managers access it
directly, workers through a manager. In classic mode, it is a lock in Consul (``swarm_turn``). An
engine that is in no swarm takes no turn: bare hosts are set up all at once.
"""

import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import swarm_certs
import swarm_docker
import swarm_engine_drain
import swarm_errors
import swarm_files
import swarm_kv
import swarm_membership
import swarm_mode
import swarm_node_quorum
import swarm_nodes
import swarm_probe
import swarm_raft_lock
import swarm_turn
import swarm_wait

log = logging.getLogger(__name__)

Salt = Mapping[str, Callable]

TAKE, DRAIN, BACK, SETTLED, END = VERBS = ("take", "drain", "back", "settled", "end")
# Limits in seconds: until services run again as before; while no manager can tell who has the turn,
# or the quorum forbids a restart; until a manager answers.
_SETTLE, _STUCK, _ANSWER = 60, 60, 15
_LOCK = "swarm-formula-turn.lock"
# The section of this host's record while it has a turn.
_NOTE = "turn"
# Factor for the pauses of a worker: there may be many, so each asks less often than a manager.
_SLOW = 15


class Held(NamedTuple):
    """The turn of this host."""

    prove: Callable[[], None]  # raises NoContainerError if the engine starts no container any more
    changes: dict  # what became of the drain, for the report


class Keeper(Protocol):
    """Access to the lock; requests return what is still missing, ``None`` when done."""

    slow: float
    stuck: bool  # the last request failed for another reason than the turn of another host
    without: str  # why the node is not drained

    def ask(self, what: str) -> str | None:
        """Carry out or check one of ``VERBS``."""


class Raft:
    """Access to the lock on a manager."""

    slow = 5

    def __init__(self, salt: Salt, settings: dict, node: str) -> None:
        self._salt, self._settings, self._node = salt, settings, node
        self._turn: swarm_raft_lock.Turn | None = None
        self.stuck, self.without = False, ""

    def ask(self, what: str) -> str | None:
        """Carry out or check one of ``VERBS``."""
        self.stuck = False
        with swarm_mode.connect(self._salt) as client:
            try:
                return getattr(self, f"_{what}")(client)
            except swarm_errors.ApiError as err:
                # There is no leader, for a moment or for longer.
                self.stuck = True
                return f"{self._settings['id']} cannot ask whose turn it is: {err}"

    def _take(self, client: Any) -> str | None:
        me = self._settings["id"]
        if self._turn is None:
            seconds = swarm_raft_lock.lease(self._settings)
            self._turn, why = swarm_raft_lock.take(client, me, self._node, seconds)
            if self._turn is None:
                return why
        # Checked while no other engine may restart; another manager may still be coming back.
        refused = pause_refusal(swarm_mode.nodes(client), self._node)
        self.stuck = bool(refused)
        return refused

    def _drain(self, client: Any) -> str | None:
        turn = self._own(client)
        if turn is None:
            # Another host may have the turn by now, and restart its engine: this one waits again.
            self._turn, self.without = None, swarm_engine_drain.ENDED
            return None
        missing, self.without = swarm_engine_drain.drain(client, turn.before)
        return missing

    def _back(self, client: Any) -> str | None:
        swarm = swarm_mode.swarm(client)
        state = swarm.get("LocalNodeState")
        if state == "locked":
            self._salt["swarm_builtin.apply"]()
            return "the manager is being unlocked"
        if state != "active" or not swarm_membership.manager(swarm):
            return f"the engine is {state} in its cluster{' and no manager' * (state == 'active')}"
        return swarm_raft_lock.back(swarm_mode.nodes(client), self._node)

    def _restore(self, client: Any) -> None:
        me = self._settings["id"]
        swarm_engine_drain.restore_of(client, self._node, me, self._settings)

    def _settled(self, client: Any) -> str | None:
        self._restore(client)
        turn = self._own(client)
        return swarm_raft_lock.unsettled(client, turn.before) if turn else None

    def _end(self, client: Any) -> None:
        self._restore(client)
        if turn := self._own(client):
            swarm_raft_lock.remove(client, turn.id)
        self._turn = None

    def _own(self, client: Any) -> swarm_raft_lock.Turn | None:
        """Return this host's turn; a killed run may have taken it."""
        turn = swarm_raft_lock.find(client)
        return turn if turn and turn.holder == self._settings["id"] else None


class Managers:
    """Access to the lock on a worker, through ``swarm_turn.request`` on any manager."""

    slow = _SLOW

    def __init__(self, salt: Salt, settings: dict) -> None:
        self._salt, self._settings, self.stuck, self.without = salt, settings, False, ""
        self._taken = False
        # The managers need the node ID of the minion that asks.
        salt["swarm_builtin.tell"]()

    def ask(self, what: str) -> str | None:
        """Carry out or check one of ``VERBS``."""
        if what == TAKE and self._taken:
            return None  # a worker's restart costs no quorum
        if what == BACK:
            with swarm_mode.connect(self._salt) as client:
                state = swarm_mode.swarm(client).get("LocalNodeState")
            if state != "active":
                return f"the engine is {state} in its cluster"
        answer = self._answer(what)
        self.stuck = answer is None or bool(answer.get("stuck"))
        if answer is None:
            return self._silence()
        if answer.get("refused"):
            raise swarm_errors.SwarmError(f"nothing was changed: {answer['refused']}")
        self.without = str(answer.get("without") or "")
        self._taken = self._taken or (what == TAKE and not answer["missing"])
        if self.without == swarm_engine_drain.ENDED:
            self._taken = False
        return answer["missing"]

    def _answer(self, what: str) -> dict | None:
        """Return the first valid answer of a manager, ``None`` if there is none."""
        names = list(self._settings["managers"])
        random.shuffle(names)
        for name in names:
            found = self._salt["publish.publish"](
                name, "swarm_turn.request", arg=[what], tgt_type="list", timeout=_ANSWER
            )
            answer = found.get(name) if isinstance(found, dict) else None
            if isinstance(answer, dict) and "missing" in answer:
                return answer
        return None

    def _silence(self) -> str:
        me, names = self._settings["id"], ", ".join(self._settings["managers"])
        return (
            f"{me} is a worker, and the managers say when its engine may restart; none of {names}"
            " answers swarm_turn.request: the master's configuration has to let minions ask for it"
            f" (peer, see the state swarm.master), and a manager has to be up; {UNTURNED}"
        )


UNTURNED = "swarm:engine:turns: false does without turns, for 'salt -b 1'"


def pause_refusal(nodes: list[dict], node: str) -> str | None:
    """Return why a manager must not restart now, ``None`` if it may."""
    managers = swarm_nodes.managers(nodes)
    away = [one for one in managers if one["ID"] != node and not swarm_nodes.is_reachable(one)]
    if not away and len(managers) <= 2:  # noqa: PLR2004
        # One or two managers cannot restart without an interruption; waiting does not change that.
        return None
    refused = swarm_node_quorum.pause_refusal(nodes, node)
    names = ", ".join(map(swarm_nodes.title, away))
    return f"{refused}; bring {names} up first" if refused else None


def _keeper(salt: Salt, settings: dict, masterless: bool) -> Keeper | None:
    """Return the access to the cluster's lock, ``None`` if there is none or none is needed."""
    with swarm_mode.connect(salt) as client:
        swarm = swarm_mode.swarm(client)
        if swarm.get("LocalNodeState") != "active":
            return None
        if not swarm_membership.manager(swarm):
            return None if masterless else Managers(salt, settings)
        with contextlib.suppress(swarm_errors.ApiError):
            if len(swarm_mode.nodes(client)) == 1:
                return None
            _refuse_lock(client, settings)
        return Raft(salt, settings, swarm["NodeID"])


def _refuse_lock(client: Any, settings: dict) -> None:
    """Raise an error for a manager that would stay locked after its restart."""
    spec = client.inspect_swarm()["Spec"]
    locks = (spec.get("EncryptionConfig") or {}).get("AutoLockManagers")
    if locks and not settings["builtin"]["unlock_key"]:
        raise swarm_errors.SettingsError(
            f"the engine of {settings['id']} has to restart, and the cluster locks its managers"
            " (autolock): it would stay locked. Name the place of the key in"
            " swarm:builtin:unlock_key, and apply again; nothing was changed"
        )


@contextlib.contextmanager
def held(salt: Salt, settings: dict, masterless: bool) -> Iterator[Held]:
    """
    Hold this host's turn to restart its engine: wait for it, and end it when the node is back.

    With ``swarm:engine:drain``, the node is drained in its turn, and then gets its availability
    back. Call ``prove`` of what is yielded while the restart can be undone.

    The time limit of the wait starts again whenever another host has its turn. A node that does not
    come back, or starts no container, keeps the turn until it expires: no other node follows it.
    """
    trial = swarm_probe.before()
    if not settings["engine"]["turns"]:
        drained = foreseen(salt, settings, masterless)
        yield Held(trial.check, swarm_engine_drain.report(drained))
        trial.check()
        return
    with swarm_files.alone(_LOCK), _taken(salt, settings, masterless, trial) as drained:
        yield Held(trial.check, swarm_engine_drain.report(drained))


@contextlib.contextmanager
def _taken(salt: Salt, settings: dict, masterless: bool, trial: swarm_probe.Trial) -> Iterator[str]:
    """Yield what became of the drain."""
    if settings["mode"] == "classic":
        with _consuls(salt, settings):
            yield ""
            trial.check()
    elif keeper := _keeper(salt, settings, masterless):
        with _raft(keeper, settings, trial) as drained:
            yield drained
    else:
        yield foreseen(salt, settings, masterless)
        trial.check()


def foreseen(salt: Salt, settings: dict, masterless: bool) -> str:
    """Return whether the node would be drained, or why not; empty if the pillar asks for none."""
    engine = settings["engine"]
    if settings["mode"] == "classic" or not engine["drain"]:
        return ""
    with (
        contextlib.suppress(swarm_errors.ApiError),
        swarm_docker.unless_absent(test=True),
        swarm_mode.connect(salt) as client,
    ):
        swarm = swarm_mode.swarm(client)
        if swarm.get("LocalNodeState") != "active":
            return ""
        if not engine["turns"]:
            return "not drained: swarm:engine:turns is false"
        if not swarm_membership.manager(swarm):
            return swarm_engine_drain.UNASKED if masterless else swarm_engine_drain.WOULD
        nodes = swarm_mode.nodes(client)
        return swarm_engine_drain.without(nodes, swarm["NodeID"]) or swarm_engine_drain.WOULD
    return ""


def finish(salt: Salt, settings: dict, masterless: bool) -> None:
    """
    End the turn of a run that was killed after the engine had restarted.

    Others would wait until it expires, as a run with nothing to restart takes no turn itself.
    """
    noted = swarm_files.record(_NOTE)
    if not noted:
        return
    with swarm_files.alone(_LOCK):
        turns = settings["engine"]["turns"] and settings["mode"] != "classic"
        if keeper := turns and _keeper(salt, settings, masterless):
            _give_back(keeper, settings, swarm_probe.Trial(noted.get("image")))
        else:
            swarm_files.note(_NOTE, {})


@contextlib.contextmanager
def _raft(keeper: Keeper, settings: dict, trial: swarm_probe.Trial) -> Iterator[str]:
    _take(keeper, settings)
    try:
        swarm_files.note(_NOTE, {"taken": True, "image": trial.image})
        yield _drain(keeper, settings) if settings["engine"]["drain"] else ""
    except BaseException:
        # Raise the original error, not the subsequent one that the node is not back.
        try:
            _give_back(keeper, settings, trial)
        except swarm_errors.SwarmError as err:
            log.error("the turn to restart the engine stays until its age ends it: %s", err)
        raise
    _give_back(keeper, settings, trial)


def _take(keeper: Keeper, settings: dict) -> None:
    since: list[float] = []

    def probe() -> str | None:
        missing = keeper.ask(TAKE)
        if not (missing and keeper.stuck):
            since.clear()
            return missing
        since.append(time.monotonic())
        if since[-1] - since[0] > min(settings["timeout"], _STUCK):
            raise swarm_errors.SwarmError(f"nothing was changed: {missing}")
        return missing

    try:
        # The turn of another host is longer by the wait for its drain.
        limit = (3 + settings["engine"]["drain"]) * settings["timeout"]
        swarm_wait.until(probe, limit, moving=True, slow=keeper.slow)
    except BaseException:
        # The turn may have been taken although the answer was lost or the quorum forbids a restart.
        with contextlib.suppress(swarm_errors.SwarmError):
            keeper.ask(END)
        raise


def _drain(keeper: Keeper, settings: dict) -> str:
    """
    Drain this node; return what became of it, for the report.

    Tasks that do not end in time must not block an upgrade: the engine then ends them.
    """
    began, last = time.monotonic(), [None]
    ask = _patient(keeper, DRAIN)

    def probe() -> str | None:
        if (missing := ask()) not in {None, last[0]}:
            log.info("the node of %s is drained: %s", settings["id"], missing)
        last[0] = missing
        return missing

    with contextlib.suppress(swarm_errors.WaitTimeoutError):
        swarm_wait.until(probe, settings["timeout"], slow=3)
    unanswered = keeper.stuck
    # Another manager may have gone away meanwhile.
    _take(keeper, settings)
    seconds = time.monotonic() - began
    return swarm_engine_drain.outcome(keeper.without, seconds, last[0], unanswered)


def _patient(keeper: Keeper, what: str) -> Callable[[], str | None]:
    def probe() -> str | None:
        try:
            return keeper.ask(what)
        except swarm_errors.EngineUnreachableError as err:
            return str(err)

    return probe


def _give_back(keeper: Keeper, settings: dict, trial: swarm_probe.Trial) -> None:
    swarm_wait.until(_patient(keeper, BACK), settings["timeout"], slow=2)
    try:
        trial.check()
    except swarm_errors.NoContainerError as err:
        raise swarm_errors.NoContainerError(
            f"{err}. No other engine restarts meanwhile. Correct the cause and apply again on"
            f" {settings['id']}; 'swarm_turn.end' on a manager lets the others go on as it is"
        ) from err
    with contextlib.suppress(swarm_errors.WaitTimeoutError):
        # Services that failed before or are being updated must not delay other hosts for long.
        swarm_wait.until(_patient(keeper, SETTLED), min(settings["timeout"], _SETTLE), slow=3)
    swarm_wait.until(_patient(keeper, END), settings["timeout"], slow=2)
    swarm_files.note(_NOTE, {})


# ---- classic mode


@contextlib.contextmanager
def _consuls(salt: Salt, settings: dict) -> Iterator[None]:
    def connect() -> object:
        return swarm_kv.connect(settings, swarm_certs.NODE.current())

    if not (settings["own_store"] and _has_leader(connect)):
        # The store is external or does not run yet; or TLS is being enabled or disabled, and hosts
        # that have changed already run a separate Consul: there is no lock to take.
        yield
        return
    limit, ttl = 3 * settings["timeout"], settings["timeout"] + _SETTLE
    with swarm_turn.turn(connect, settings["id"], limit, "its engine", ttl):
        healthy = _healthy(salt, 0)
        yield
        if healthy:
            _healthy(salt, min(settings["timeout"], _SETTLE))


def _has_leader(connect: Callable) -> bool:
    try:
        return bool(swarm_kv.leader(connect()))
    except swarm_errors.SwarmError:
        return False


def _healthy(salt: Salt, seconds: float) -> bool:
    try:
        salt["swarm_classic.wait_healthy"](seconds)
    except swarm_errors.SwarmError:
        return False
    return True
