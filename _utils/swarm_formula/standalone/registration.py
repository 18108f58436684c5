"""
Register a node with the managers again, if its engine has another ID than before.

A manager takes a host that was installed again at the same address for an error, as long as the
store has its key: "shows up with another ID ... Please remove it from cluster, it can be added
back". A host that is back within the TTL of that key would stay ``Pending`` for ever.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from swarm_formula.core import errors, wait

_ANOTHER = "shows up with another ID"
# Seconds within which the primary learns from the store that a node is gone.
_NOTICED = 20


def is_due(settings: Mapping[str, Any], missing: str) -> bool:
    """Check whether a node has to be registered again, by the primary's word on it."""
    return settings["managed_store"] and _ANOTHER in missing


def renew(
    salt: Mapping[str, Callable[..., Any]],
    settings: Mapping[str, Any],
    missing: Callable[[], str | None],
) -> None:
    """
    Remove this node from the managers' list, and have its agent register it again.

    missing
        Returns what the primary says of this node.
    """
    agent = settings["agent"]["container"]

    def probe() -> str | None:
        said = missing() or ""
        return said if _ANOTHER in said else None

    # Stopped, or it might register the node before the primary has noticed that it is gone.
    salt["swarm_container.stop"](agent)
    try:
        salt["swarm_consul.deregister"]()
        with contextlib.suppress(errors.WaitTimeoutError):
            wait.until(probe, _NOTICED)
    finally:
        salt["swarm_container.start"](agent)
