"""
Replace Consul's container and configuration on one host; restore the old ones if that fails.

A server is replaced only in its turn, and only while the remaining servers are a majority.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator

import swarm_consul_file
import swarm_raft
import swarm_trial
import swarm_turn
import swarm_wait
from swarm_consul_look import Consul
from swarm_raft import Standing

# Seconds that the servers may need to notice that the previous server in turn is back.
_NOTICE = 30


def replace(consul: Consul, spec: dict, text: str, probe: Callable[[], str | None]) -> None:
    """Replace the container and the configuration; restore the old ones if the probe fails."""

    def prove() -> None:
        swarm_wait.until(probe, consul.limit)

    paths = "swarm:consul:options, swarm:consul:image"
    told = functools.partial(swarm_trial.trial, consul.salt, consul.name, prove)
    trial = functools.partial(swarm_consul_file.trial, text, told)
    swarm_trial.apply(consul.salt, consul.name, spec, trial, paths)


@contextlib.contextmanager
def turn(consul: Consul, refusal: Callable[[Standing], str | None]) -> Iterator[None]:
    """Hold the turn of this server, and wait in it until the server may go down."""
    connect = functools.partial(swarm_consul_file.connect, consul.settings)
    with swarm_turn.turn(connect, consul.me, 3 * consul.limit):
        probe = functools.partial(consul.probed, refusal)
        swarm_wait.until(probe, min(consul.limit, _NOTICE))
        yield


def restart(
    consul: Consul,
    before: Standing,
    spec: dict,
    text: str,
    then: Callable[[], str | None] | None = None,
) -> None:
    """Replace a server in its turn; ``then`` is one more probe that has to succeed in it."""

    def back(found: Standing) -> str | None:
        if consul.me not in found.alive:
            return f"Consul of {consul.me} is not back yet"
        # With an empty volume, it is a new server, which answers before it may vote.
        voted = consul.me in before.voters
        missing = swarm_raft.not_in(found, consul.me) if voted else None
        return missing or (then() if then else None)

    with turn(consul, functools.partial(no_restart, consul)):
        replace(consul, spec, text, functools.partial(consul.probed, back))


def no_restart(consul: Consul, found: Standing) -> str | None:
    """Return why this server must not restart now, or ``None``."""
    # Consul removes a server that is down from Raft's list within a minute, if the others are a
    # majority. It still counts here, as it is coming back: until then, the remaining servers
    # tolerate no further loss.
    due = found.voters | (found.lost & set(consul.settings["servers"]))
    return swarm_raft.refusal(due, set(found.alive), consul.me)
