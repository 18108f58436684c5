"""
Find stale endpoints of overlay networks: their container no longer exists, as after a host crash.

The store keeps these endpoints forever, with their names and addresses, and a network with such an
endpoint cannot be removed. This module decides which containers are certainly gone and which may
only be unreachable.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from swarm_formula.core import addresses, deadlines, errors
from swarm_formula.docker import engine_api

# Serf's status codes: a member that has left or was forced to leave, and a failed member.
_LEFT, _FAILED = 3, 4
_TIMEOUT = 5


class Verdict(NamedTuple):
    """The result for the users of a network."""

    gone: set[str]  # names of endpoints whose container no longer exists
    notes: list[str]  # why other containers may still exist, and the remedy


def judge(
    ends: Mapping[str, Mapping[str, Any]],
    names_on: Callable[[str], set[str] | None],
    members: Mapping[str, tuple[str, int]] | None,
    asks: bool = True,
) -> Verdict:
    """
    Return the endpoints of a network whose container certainly no longer exists. Pure.

    ends
        ``{ID: endpoint}`` from the store.

    names_on
        Function that returns the names of all containers on a host, ``None`` if its engine does not
        answer.

    members
        ``{address: (name, status)}`` of Consul's members, ``None`` if unknown.

    asks
        Whether other engines accept this node's certificate, so that ``names_on`` asks them.
    """
    gone, notes = set(), []
    for host in sorted({str(one.get("locator") or "") for one in ends.values()}):
        mine = {str(one["name"]) for one in ends.values() if str(one.get("locator") or "") == host}
        there = names_on(host)
        if there is not None:
            gone |= mine - there
            notes += [_note_used(host, mine & there)] if mine & there else []
        elif members is not None and _has_left(members, host):
            gone |= mine
        else:
            notes.append(_note_away(host, mine, members) if asks else _note_unasked(host, mine))
    return Verdict(gone, notes)


def _has_left(members: Mapping[str, tuple[str, int]], host: str) -> bool:
    # Consul no longer lists this address: the member left or failed more than three days ago.
    return bool(host) and members.get(host, ("", _LEFT))[1] == _LEFT


def _note_used(host: str, names: set[str]) -> str:
    return f"{', '.join(sorted(names))} on {host}"


def _note_unasked(host: str, names: set[str]) -> str:
    return (
        f"{', '.join(sorted(names))} on {host}, whose engine does not take the certificate of a"
        " worker: apply on a manager, which asks it, and again"
    )


def _note_away(host: str, names: set[str], members: Mapping[str, tuple[str, int]] | None) -> str:
    minion = (members or {}).get(host, ("", 0))[0]
    cure = (
        f"take it out of pillar, 'salt-run swarm.remove {minion}'"
        if minion
        else "'docker network disconnect -f NETWORK CONTAINER' on the engine of this host"
    )
    return (
        f"{', '.join(sorted(names))} on {minion or host}, whose engine does not answer: bring that"
        f" host up; only if it is gone for good, {cure}, and again"
    )


def members(
    found: list[dict[str, Any]], own: str, servers: Mapping[str, str]
) -> dict[str, tuple[str, int]] | None:
    """
    Return ``{address: (name, status)}`` from Consul's list of members. Pure.

    Return ``None`` if the list lacks this host: with ACLs, Consul omits members that the client may
    not see.

    servers
        ``{ID: address}`` from the pillar. They never count as left, because Consul itself removes a
        server that is down (autopilot, ``CleanupDeadServers``).
    """
    listed = {one["Addr"]: (one["Name"], one["Status"]) for one in found if one.get("Addr")}
    if own not in listed:
        return None
    away = {
        address: (name, _FAILED)
        for name, address in servers.items()
        if listed.get(address, ("", _LEFT))[1] == _LEFT
    }
    return {**listed, **away}


def asker(
    port: int, own: str, local: set[str], tls: Mapping[str, str | None] | None
) -> Callable[[str], set[str] | None]:
    """
    Return a function that returns the container names of a host, ``None`` without an answer.

    own, local
        The address of this host, and the names of its containers.
    """

    def names(host: str) -> set[str] | None:
        if host == own:
            return local
        # OSError: that of requests, and the one for a certificate that is not there (yet).
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            return _ask(addresses.endpoint(host, port), tls)
        return None

    return names


def _ask(endpoint: str, tls: Mapping[str, str | None] | None) -> set[str]:
    session = deadlines.Session()
    session.trust_env = False
    secure: dict[str, Any] = (
        {"cert": (tls["cert"], tls["key"]), "verify": tls["ca"] or False} if tls else {}
    )
    scheme = "https" if tls else "http"
    answer = session.get(f"{scheme}://{endpoint}/containers/json?all=1", timeout=_TIMEOUT, **secure)
    answer.raise_for_status()
    return container_names(answer.json())


def container_names(found: list[dict[str, Any]]) -> set[str]:
    """Return the names of all containers in an engine's list. Pure."""
    # Names of links contain a slash.
    names = {name.lstrip("/") for one in found for name in one["Names"] or []}
    return {name for name in names if "/" not in name}


def free(client: Any, network: Mapping[str, Any], names: set[str]) -> None:
    """Remove endpoints whose container is gone from the store, through the engine."""
    for name in sorted(names):
        with engine_api.translated(f"endpoint {name} of network {network['Name']}"):
            engine_api.found(
                client.disconnect_container_from_network, name, network["Id"], force=True
            )


def refusal(name: str, what: str, users: list[str], verdict: Verdict) -> errors.ApiError:
    """Return the error that names the users of a network and their hosts. Pure."""
    where = f" ({'; '.join(verdict.notes)})" if verdict.notes else ""
    return errors.ApiError(
        f"network {name} {what} while containers use it: {', '.join(users)}{where}: "
        f"disconnect them first (docker network disconnect {name} CONTAINER, which cuts the"
        " container off that network), apply, and connect them again; or take the change back"
    )
