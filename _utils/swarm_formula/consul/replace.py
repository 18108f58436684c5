"""
Replace Consul's container and configuration on one host; restore the old ones if that fails.

A server is replaced only in its turn, and only while the remaining servers are a majority.
"""

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator
from typing import Any

from swarm_formula.consul import backup, config_file, raft, restart_lock
from swarm_formula.consul.raft import Standing
from swarm_formula.consul.standing import Consul
from swarm_formula.core import wait
from swarm_formula.docker import trial as docker_trial

log = logging.getLogger(__name__)

_PATHS = "swarm:consul:options, swarm:consul:image"
# Seconds that the servers may need to notice that the previous server in turn is back.
_NOTICE = 30


def replace(
    consul: Consul, spec: dict[str, Any], text: str, probe: Callable[[], str | None]
) -> None:
    """Replace the container and the configuration; restore the old ones if the probe fails."""

    trial = functools.partial(config_file.trial, text, functools.partial(_trial, consul, probe))
    docker_trial.apply(consul.salt, consul.name, spec, trial, _PATHS)


def prove(consul: Consul, probe: Callable[[], str | None]) -> None:
    """Wait until a container that was started before works."""
    with docker_trial.named(_PATHS), _trial(consul, probe):
        pass


def _trial(
    consul: Consul, probe: Callable[[], str | None]
) -> contextlib.AbstractContextManager[None]:
    return docker_trial.trial(consul.salt, consul.name, lambda: wait.until(probe, consul.limit))


@contextlib.contextmanager
def turn(consul: Consul, refusal: Callable[[Standing], str | None]) -> Iterator[None]:
    """Hold the turn of this server, and wait in it until the server may go down."""
    connect = functools.partial(config_file.connect, consul.settings)
    with restart_lock.turn(connect, consul.me, 3 * consul.limit):
        probe = functools.partial(consul.probed, refusal)
        wait.until(probe, min(consul.limit, _NOTICE))
        yield


def restart(
    consul: Consul,
    before: Standing,
    spec: dict[str, Any],
    text: str,
    then: Callable[[], str | None] | None = None,
) -> None:
    """
    Replace a server in its turn. Before it gets another image, Consul's data is saved.

    then
        One more probe that has to succeed in the turn.
    """

    def back(found: Standing) -> str | None:
        if consul.me not in found.alive:
            return f"Consul of {consul.me} is not back yet"
        # With an empty volume, it is a new server, which answers before it may vote.
        voted = consul.me in before.voters
        missing = raft.not_in(found, consul.me) if voted else None
        return missing or (then() if then else None)

    with turn(consul, functools.partial(no_restart, consul)):
        if consul.container().get("image", spec["image"]) != spec["image"]:
            kept = backup.keep(consul.settings, "-before-upgrade")
            log.info("Consul of %s gets %s; its data is in %s", consul.me, spec["image"], kept)
        replace(consul, spec, text, functools.partial(consul.probed, back))


def no_restart(consul: Consul, found: Standing) -> str | None:
    """Return why this server must not restart now, or ``None``."""
    # Consul removes a server that is down from Raft's list within a minute, if the others are a
    # majority. It still counts here, as it is coming back: until then, the remaining servers
    # tolerate no further loss.
    due = found.voters | (found.lost & set(consul.settings["servers"]))
    return raft.refusal(due, set(found.alive), consul.me)
