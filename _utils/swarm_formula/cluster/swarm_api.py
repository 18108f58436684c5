"""
Connect to the engine's API of swarm mode, and read its state.
"""

import contextlib
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from swarm_formula.cluster import leave, membership, node_info, peers
from swarm_formula.core import addresses, errors, host_files
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.docker import engine_api

_STALE = "update out of sequence"
_TRIES = 5
_KNOCK = 2
_CERTIFICATE = "swarm/certificates/swarm-node.crt"


def connect(salt: Salt) -> contextlib.AbstractContextManager[Any]:
    """Return a context manager that yields a client of this host's engine."""
    return engine_api.connect_local(salt, "swarm mode")


def swarm(client: Any) -> dict[str, Any]:
    """Return the section ``Swarm`` of the engine's ``/info``."""
    return client.info().get("Swarm") or {}


def is_certified_manager(client: Any) -> bool:
    """
    Check whether this node still has the certificate of a manager.

    No API reports it. An engine that starts with it joins Raft, whatever role the leader has set.
    """
    from swarm_formula.tls import pki

    place = Path(client.info()["DockerRootDir"] or "/var/lib/docker") / _CERTIFICATE
    with contextlib.suppress(OSError):
        return "swarm-manager" in pki.units(place.read_text(encoding="utf-8"))
    return False


def former_address(swarm: Mapping[str, Any], settings: Settings) -> str:
    """
    Return the address that a worker advertises if its host has lost it, empty otherwise.

    A disk that was moved to another host takes it along. As a manager, the node would be contacted
    at that address.
    """
    has = swarm.get("NodeAddr") or ""
    if membership.manager(swarm) or has in {"", settings["address"]}:
        return ""
    return "" if addresses.is_own(has) else has


def nodes(client: Any) -> list[dict[str, Any]]:
    """Return all nodes of the cluster. Works only on managers."""
    with engine_api.translated("nodes of the cluster"):
        return node_info.without_echo(client.nodes())


def listing(client: Any, swarm: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nodes as this manager sees them, for other members; empty without a leader."""
    with contextlib.suppress(errors.ApiError):
        if cluster := membership.manager(swarm) and membership.cluster_id(swarm):
            return leave.listing(nodes(client), cluster)
    return {}


def listens(settings: Settings, swarm: Mapping[str, Any] | None = None) -> list[str]:
    """
    Return the other hosts on which something listens on the managers' port.

    Tries the managers of the pillar, the members whose names this host can resolve, and the
    managers that the engine lists.
    """
    port = settings["builtin"]["port"]
    found = peers.places(settings, swarm or {})
    return [name for name, address in found.items() if _answers(address, port)]


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=_KNOCK):
            return True
    except OSError:
        return False


def retried(change: Callable[[], None]) -> None:
    """Repeat a read-modify-write if the object has been changed in between."""
    for left in reversed(range(_TRIES)):
        try:
            change()
        except errors.ApiError as err:
            if _STALE not in str(err) or not left:
                raise
        else:
            return


def patient(probe: Callable[[], str | None]) -> Callable[[], str | None]:
    """
    Return a probe that returns the text of an API error instead of raising it.

    While managers come and go, there may be no leader for a moment: that is not a failure.
    """

    def patient() -> str | None:
        try:
            return probe()
        except errors.ApiError as err:
            return str(err)

    return patient


def is_last_manager(client: Any) -> bool:
    """Check whether the cluster has no other manager."""
    return len(node_info.managers(nodes(client))) == 1


def alone(**limit: float) -> contextlib.AbstractContextManager[None]:
    """Lock out other runs on this host: one at a time adds and removes managers."""
    return host_files.alone("swarm-formula-mode.lock", **limit)
