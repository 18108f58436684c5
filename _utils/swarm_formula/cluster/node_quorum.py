"""
Check which managers of a cluster in swarm mode may be removed or go offline. Pure.

``nodes`` is the response of ``/nodes``.
"""

from collections.abc import Mapping
from typing import Any

from swarm_formula.cluster import node_info
from swarm_formula.core import normalize
from swarm_formula.core.quorum import majority

# Seconds within which a new worker gets its certificate, and the managers list a host that has
# gone as down.
_SETTLED = 20


def refusal(nodes: list[dict[str, Any]], node: str, doing: str) -> str | None:
    """Return why a manager must not be removed, ``None`` if it may or is not a manager."""
    all_managers = node_info.managers(nodes)
    if node not in {one["ID"] for one in all_managers}:
        return None
    rest = [one for one in all_managers if one["ID"] != node]
    if not rest:
        return f"{doing} {node} was refused: it is the last manager"
    alive = sum(map(node_info.is_reachable, rest))
    # The current managers need a quorum to remove it, and the remaining ones need their own.
    found = node_info.by_id(nodes)[node]
    need = max(majority(len(all_managers)) - node_info.is_reachable(found), majority(len(rest)))
    if alive >= need:
        return None
    away = _titles([one for one in all_managers if not node_info.is_reachable(one)])
    return (
        f"{doing} {node_info.title(found)} would cost the quorum: {need} of the other"
        f" {len(rest)} managers are needed, and {alive} are reachable; bring {away} up first"
    )


def returning(
    nodes: list[dict[str, Any]], records: Mapping[str, Mapping[str, Any]], now: float
) -> list[dict[str, Any]]:
    """
    Return the workers that may still have the certificate of a manager.

    If such a node starts again, it joins Raft as a manager, and only then becomes a worker: its
    vote is lost, and the managers need a quorum that includes it to remove it. No API shows the
    certificate. The record in the mine shows that a node was a manager, until its minion knows that
    it is none any more.

    now
        Seconds since the epoch.
    """
    were = {one["node"] for one in records.values()}
    return [
        one
        for one in nodes
        if one["ID"] in were and not one.get("ManagerStatus")
        if node_info.is_away(one) or now - normalize.stamp(one["UpdatedAt"]) < _SETTLED
    ]


def return_refusal(
    nodes: list[dict[str, Any]], node: str, coming: list[dict[str, Any]]
) -> str | None:
    """
    Return why a manager must not be demoted, ``None`` if the others keep the quorum even if former
    managers come back as such.

    coming
        These former managers: see ``returning``.
    """
    all_managers = node_info.managers(nodes)
    rest = [one for one in all_managers if one["ID"] != node]
    if len(rest) == len(all_managers) or _bear(rest, coming):
        return None
    # An older release may have demoted too many already: to start one would cost the quorum now.
    cure = "Start it and apply again" if _bear(all_managers, coming) else _ADD
    title = node_info.title(node_info.by_id(nodes)[node])
    return f"demoting {title} would cost the quorum when {_returns(coming)}. {cure}; {_GONE}"


def return_warning(nodes: list[dict[str, Any]], coming: list[dict[str, Any]]) -> str | None:
    """Return a warning if the managers lose their quorum when former managers come back."""
    if _bear(node_info.managers(nodes), coming):
        return None
    return f"the managers lose their quorum when {_returns(coming)}. {_ADD}; {_GONE}"


_ADD = "Before it starts, add a manager"
_GONE = (
    "or remove it from the cluster: 'docker node rm NODE' on a manager, after which it joins as a"
    " new node, or salt-run swarm.remove ID if it is gone for good"
)


def _bear(managers: list[dict[str, Any]], coming: list[dict[str, Any]]) -> bool:
    """Check whether managers have a quorum with as many lost votes."""
    # A new leader lists a manager that is gone as reachable for a while, but not as ready.
    alive = sum(node_info.is_reachable(one) and not node_info.is_away(one) for one in managers)
    return not managers or not coming or alive >= majority(len(managers) + len(coming))


def _returns(coming: list[dict[str, Any]]) -> str:
    return (
        f"{_titles(coming)} starts: it was a manager, and went away before it was known to be a"
        " worker"
    )


def _titles(nodes: list[dict[str, Any]]) -> str:
    return ", ".join(map(node_info.title, nodes))


def pause_refusal(nodes: list[dict[str, Any]], node: str) -> str | None:
    """Return why a manager must not go offline, ``None`` if the others keep the quorum."""
    all_managers = node_info.managers(nodes)
    alive = sum(node_info.is_reachable(one) for one in all_managers if one["ID"] != node)
    need = majority(len(all_managers))
    if alive >= need:
        return None
    found = node_info.by_id(nodes)[node]
    return (
        f"to stop the engine of {node_info.title(found)} would cost the quorum: {need} of"
        f" {len(all_managers)} managers are needed, and without it {alive} would be there"
    )


def restart_refusal(nodes: list[dict[str, Any]], node: str) -> str | None:
    """Return why an engine must not restart; two managers recover from it if both are reachable."""
    others = [one for one in node_info.managers(nodes) if one["ID"] != node]
    return None if all(map(node_info.is_reachable, others)) else pause_refusal(nodes, node)
