"""
Restart the engines of a swarm on one host at a time.

In builtin mode, the turn is a lock in the cluster (``engine.keeper``). In classic mode, it is a
lock in Consul (``consul.restart_lock``). An engine that is in no swarm takes no turn: bare hosts
are set up all at once.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from swarm_formula.cluster import membership, swarm_api
from swarm_formula.core import errors, host_files, modes, wait
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.docker import engine_api
from swarm_formula.engine import keeper as engine_keeper
from swarm_formula.engine import node_drain
from swarm_formula.engine import probe as engine_probe
from swarm_formula.engine.keeper import Keeper
from swarm_formula.tls import cert_files, certificate_due

log = logging.getLogger(__name__)


# Limits in seconds: until services run again as before; while no manager can tell who has the turn,
# or the quorum forbids a restart.
_SETTLE, _STUCK = 60, 60
_LOCK = "swarm-formula-turn.lock"
# The section of this host's record while it has a turn.
_NOTE = "turn"


class Held(NamedTuple):
    """The turn of this host."""

    prove: Callable[[], None]  # raises NoContainerError if the engine starts no container any more
    changes: dict[str, Any]  # what became of the drain, for the report


@contextlib.contextmanager
def held(salt: Salt, settings: Settings, masterless: bool) -> Iterator[Held]:
    """
    Hold this host's turn to restart its engine: wait for it, and end it when the node is back.

    With ``swarm:engine:drain``, the node is drained in its turn, and then gets its availability
    back. Call ``prove`` of what is yielded while the restart can be undone.

    The time limit of the wait starts again whenever another host has its turn. A node that does not
    come back, or starts no container, keeps the turn until it expires: no other node follows it.
    """
    trial = engine_probe.before()
    if not settings["engine"]["turns"]:
        drained = foreseen(salt, settings, masterless)
        yield Held(trial.check, node_drain.report(drained))
        trial.check()
        return
    with host_files.alone(_LOCK), _taken(salt, settings, masterless, trial) as drained:
        yield Held(trial.check, node_drain.report(drained))


@contextlib.contextmanager
def _taken(
    salt: Salt, settings: Settings, masterless: bool, trial: engine_probe.Trial
) -> Iterator[str]:
    """Yield what became of the drain."""
    if not modes.of(settings).cluster_turns:
        with _consuls(salt, settings):
            yield ""
            trial.check()
    elif keeper := engine_keeper.find(salt, settings, masterless):
        with _raft(keeper, settings, trial) as drained:
            yield drained
    else:
        yield foreseen(salt, settings, masterless)
        trial.check()


def foreseen(salt: Salt, settings: Settings, masterless: bool) -> str:
    """Return whether the node would be drained, or why not; empty if the pillar asks for none."""
    engine = settings["engine"]
    if not (modes.of(settings).cluster_turns and engine["drain"]):
        return ""
    with (
        contextlib.suppress(errors.ApiError),
        engine_api.unless_absent(test=True),
        swarm_api.connect(salt) as client,
    ):
        swarm = swarm_api.swarm(client)
        if swarm.get("LocalNodeState") != "active":
            return ""
        if not engine["turns"]:
            return "not drained: swarm:engine:turns is false"
        if not membership.manager(swarm):
            return node_drain.UNASKED if masterless else node_drain.WOULD
        nodes = swarm_api.nodes(client)
        return node_drain.without(nodes, swarm["NodeID"]) or node_drain.WOULD
    return ""


def finish(salt: Salt, settings: Settings, masterless: bool) -> None:
    """
    End the turn of a run that was killed after the engine had restarted.

    Others would wait until it expires, as a run with nothing to restart takes no turn itself.
    """
    noted = host_files.record(_NOTE)
    if not noted:
        return
    with host_files.alone(_LOCK):
        turns = settings["engine"]["turns"] and modes.of(settings).cluster_turns
        if keeper := turns and engine_keeper.find(salt, settings, masterless):
            _give_back(keeper, settings, engine_probe.Trial(noted.get("image")))
        else:
            host_files.note(_NOTE, {})


@contextlib.contextmanager
def _raft(keeper: Keeper, settings: Settings, trial: engine_probe.Trial) -> Iterator[str]:
    _take(keeper, settings)
    try:
        host_files.note(_NOTE, {"taken": True, "image": trial.image})
        yield _drain(keeper, settings) if settings["engine"]["drain"] else ""
    except BaseException:
        # Raise the original error, not the subsequent one that the node is not back.
        try:
            _give_back(keeper, settings, trial)
        except errors.SwarmError as err:
            log.error("the turn to restart the engine stays until its age ends it: %s", err)
        raise
    _give_back(keeper, settings, trial)


def _take(keeper: Keeper, settings: Settings) -> None:
    since: list[float] = []

    def probe() -> str | None:
        missing = keeper.ask(engine_keeper.TAKE)
        if not (missing and keeper.stuck):
            since.clear()
            return missing
        since.append(time.monotonic())
        if since[-1] - since[0] > min(settings["timeout"], _STUCK):
            raise errors.SwarmError(f"nothing was changed: {missing}")
        return missing

    try:
        # The turn of another host is longer by the wait for its drain.
        limit = (3 + settings["engine"]["drain"]) * settings["timeout"]
        wait.until(probe, limit, moving=True, slow=keeper.slow)
    except BaseException:
        # The turn may have been taken although the answer was lost or the quorum forbids a restart.
        with contextlib.suppress(errors.SwarmError):
            keeper.ask(engine_keeper.END)
        raise


def _drain(keeper: Keeper, settings: Settings) -> str:
    """
    Drain this node; return what became of it, for the report.

    Tasks that do not end in time must not block an upgrade: the engine then ends them.
    """
    began = time.monotonic()
    last: list[str | None] = [None]
    ask = _patient(keeper, engine_keeper.DRAIN)

    def probe() -> str | None:
        if (missing := ask()) not in {None, last[0]}:
            log.info("the node of %s is drained: %s", settings["id"], missing)
        last[0] = missing
        return missing

    with contextlib.suppress(errors.WaitTimeoutError):
        wait.until(probe, settings["timeout"], slow=3)
    unanswered = keeper.stuck
    # Another manager may have gone away meanwhile.
    _take(keeper, settings)
    seconds = time.monotonic() - began
    return node_drain.outcome(keeper.without, seconds, last[0], unanswered)


def _patient(keeper: Keeper, what: str) -> Callable[[], str | None]:
    def probe() -> str | None:
        try:
            return keeper.ask(what)
        except errors.EngineUnreachableError as err:
            return str(err)

    return probe


def _give_back(keeper: Keeper, settings: Settings, trial: engine_probe.Trial) -> None:
    wait.until(_patient(keeper, engine_keeper.BACK), settings["timeout"], slow=2)
    try:
        trial.check()
    except errors.NoContainerError as err:
        raise errors.NoContainerError(
            f"{err}. No other engine restarts meanwhile. Correct the cause and apply again on"
            f" {settings['id']}; 'swarm_turn.end' on a manager lets the others go on as it is"
        ) from err
    with contextlib.suppress(errors.WaitTimeoutError):
        # Services that failed before or are being updated must not delay other hosts for long.
        wait.until(
            _patient(keeper, engine_keeper.SETTLED), min(settings["timeout"], _SETTLE), slow=3
        )
    wait.until(_patient(keeper, engine_keeper.END), settings["timeout"], slow=2)
    host_files.note(_NOTE, {})


# ---- classic mode


@contextlib.contextmanager
def _consuls(salt: Salt, settings: Settings) -> Iterator[None]:
    from swarm_formula.consul import agent_api, restart_lock

    def connect() -> Any:
        files = certificate_due.consul_files(settings, cert_files.NODE.current())
        return agent_api.connect(settings, files)

    if not (settings["managed_store"] and _has_leader(connect)):
        # The store is external or does not run yet; or TLS is being enabled or disabled, and hosts
        # that have changed already run a separate Consul: there is no lock to take.
        yield
        return
    limit, ttl = 3 * settings["timeout"], settings["timeout"] + _SETTLE
    with restart_lock.turn(connect, settings["id"], limit, "its engine", ttl):
        healthy = _healthy(salt, 0)
        yield
        if healthy:
            _healthy(salt, min(settings["timeout"], _SETTLE))


def _has_leader(connect: Callable[[], Any]) -> bool:
    from swarm_formula.consul import agent_api

    try:
        return bool(agent_api.leader(connect()))
    except errors.SwarmError:
        return False


def _healthy(salt: Salt, seconds: float) -> bool:
    try:
        salt["swarm_classic.wait_healthy"](seconds)
    except errors.SwarmError:
        return False
    return True
