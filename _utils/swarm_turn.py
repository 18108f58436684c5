"""
One after the other: what takes a Consul server or a manager down does so on one host at a time.

The turn is a lock in Consul. All minions run at the same time, and nothing else is between them.
"""

import contextlib
from collections.abc import Callable, Iterator

import swarm_errors
import swarm_kv
import swarm_wait

_KEY = "swarm-formula/turn"
# Longer than a turn lasts; that of a minion which was killed in its turn ends by itself.
_TTL = 120


def majority(count: int) -> int:
    """Return how many of ``count`` servers are a quorum."""
    return count // 2 + 1


def _take(client: object, session: str, mine: str, what: str) -> str | None:
    """Try to take the turn; return who has it, ``None`` if it is ours."""
    try:
        if swarm_kv.call("turn", client.kv.put, _KEY, mine, acquire=session):
            return None
        entry = end_stale(client, mine)
    except swarm_errors.StoreError as err:
        # Whose turn it is may be the leader's, and then nobody answers for a moment.
        return str(err)
    holder = entry["Value"].decode() if entry and entry["Value"] else "another host"
    return f"{mine} waits for its turn to restart {what}: {holder} has it"


def end_stale(client: object, mine: str) -> dict | None:
    """
    End the turn of a run of this very host that was killed in it; return whose turn Consul knows.

    There is no other run on this host: Salt has one at a time.
    """
    _, entry = swarm_kv.call("turn", client.kv.get, _KEY)
    if entry and entry.get("Session") and entry["Value"] == mine.encode():
        swarm_kv.call("turn", client.session.destroy, entry["Session"])
    return entry


@contextlib.contextmanager
def turn(
    connect: Callable,
    mine: str,
    timeout: float,
    what: str = "Consul or a manager",
    ttl: int = _TTL,
) -> Iterator[None]:
    """
    Hold the turn to restart ``what``; ``connect`` gives a client.

    Waits for it up to ``timeout`` seconds, which begin again whenever another host has its turn.
    """
    client, made = connect(), {}
    # Without a health check: the host's own Consul is what goes down in the turn.
    create = {"name": _KEY, "checks": [], "lock_delay": 0, "behavior": "delete", "ttl": ttl}

    def take() -> str | None:
        try:
            if not made:
                made["id"] = swarm_kv.call("turn", client.session.create, **create)
        except swarm_errors.StoreError as err:
            return str(err)
        return _take(client, made["id"], mine, what)

    try:
        swarm_wait.until(take, timeout, moving=True)
        yield
    finally:
        # A Consul that is not back cannot be told; then the TTL ends the turn.
        with contextlib.suppress(swarm_errors.StoreError):
            if made:
                swarm_kv.call("turn", connect().session.destroy, made["id"])
