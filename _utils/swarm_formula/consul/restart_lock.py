"""
Restart Consul servers, managers and engines on one host at a time.

The turn is a lock in Consul. All minions apply at the same time, and nothing else coordinates them.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from swarm_formula.consul import agent_api
from swarm_formula.core import errors, wait

_KEY = "swarm-formula/turn"
# Seconds; longer than a turn lasts. The turn of a minion that is killed expires by itself.
_TTL = 120
# In Consul's answer to a request with a session that has ended.
_EXPIRED = "invalid session"


def _take(client: agent_api.Client, session: str, mine: str, what: str) -> str | None:
    """Try to acquire the turn; return ``None``, or a message that names its holder or the error."""
    try:
        if agent_api.call("turn", client.kv.put, _KEY, mine, acquire=session):
            return None
        entry = end_stale(client, mine)
    except errors.StoreError as err:
        # The holder may be restarting the leader, and then Consul does not answer for a moment.
        return str(err)
    holder = entry["Value"].decode() if entry and entry["Value"] else "another host"
    return f"{mine} waits for its turn to restart {what}: {holder} has it"


def end_stale(client: agent_api.Client, mine: str) -> dict[str, Any] | None:
    """
    End the turn of a killed run on this host; return the lock's entry in Consul, if there is one.

    There is no other run on this host, because Salt runs one state run at a time.
    """
    entry: dict[str, Any] | None
    _, entry = agent_api.call("turn", client.kv.get, _KEY)
    if entry and entry.get("Session") and entry["Value"] == mine.encode():
        agent_api.call("turn", client.session.destroy, entry["Session"])
    return entry


@contextlib.contextmanager
def turn(
    connect: Callable[[], agent_api.Client],
    mine: str,
    timeout: float,
    what: str = "Consul or a manager",
    ttl: int = _TTL,
) -> Iterator[None]:
    """
    Hold the turn to restart ``what``; ``connect`` returns a client.

    Waits up to ``timeout`` seconds, which start again whenever another host gets the turn.
    """
    client = connect()
    made: dict[str, str] = {}
    # Without a health check, because the host's own Consul may go down during the turn.
    create = {"name": _KEY, "checks": [], "lock_delay": 0, "behavior": "delete", "ttl": ttl}

    def take() -> str | None:
        try:
            if not made:
                made["id"] = agent_api.call("turn", client.session.create, **create)
        except errors.StoreError as err:
            return str(err)
        missing = _take(client, made["id"], mine, what)
        if missing and _EXPIRED in missing:
            # It has waited for longer than the TTL.
            made.clear()
        return missing

    try:
        wait.until(take, timeout, moving=True)
        yield
    finally:
        # If Consul is not back yet, the TTL ends the turn.
        with contextlib.suppress(errors.StoreError):
            if made:
                agent_api.call("turn", connect().session.destroy, made["id"])
