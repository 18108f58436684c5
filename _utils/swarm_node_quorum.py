"""
Check which managers of a cluster in swarm mode may be removed or go offline. Pure.

``nodes`` is the response of ``/nodes``.
"""

import swarm_nodes
from swarm_turn import majority


def refusal(nodes: list[dict], node: str, doing: str) -> str | None:
    """Return why a manager must not be removed, ``None`` if it may or is not a manager."""
    all_managers = swarm_nodes.managers(nodes)
    if node not in {one["ID"] for one in all_managers}:
        return None
    rest = [one for one in all_managers if one["ID"] != node]
    if not rest:
        return f"{doing} {node} was refused: it is the last manager"
    alive = sum(map(swarm_nodes.is_reachable, rest))
    # The current managers need a quorum to remove it, and the remaining ones need their own.
    found = swarm_nodes.by_id(nodes)[node]
    need = max(majority(len(all_managers)) - swarm_nodes.is_reachable(found), majority(len(rest)))
    if alive >= need:
        return None
    away = ", ".join(swarm_nodes.title(one) for one in rest if not swarm_nodes.is_reachable(one))
    return (
        f"{doing} {swarm_nodes.title(found)} would cost the quorum: {need} of the other"
        f" {len(rest)} managers are needed, and {alive} are reachable; bring {away} up first"
    )


def pause_refusal(nodes: list[dict], node: str) -> str | None:
    """Return why a manager must not go offline, ``None`` if the others keep the quorum."""
    all_managers = swarm_nodes.managers(nodes)
    alive = sum(swarm_nodes.is_reachable(one) for one in all_managers if one["ID"] != node)
    need = majority(len(all_managers))
    if alive >= need:
        return None
    found = swarm_nodes.by_id(nodes)[node]
    return (
        f"to stop the engine of {swarm_nodes.title(found)} would cost the quorum: {need} of"
        f" {len(all_managers)} managers are needed, and without it {alive} would be there"
    )


def restart_refusal(nodes: list[dict], node: str) -> str | None:
    """Return why an engine must not restart; two managers recover from it if both are reachable."""
    others = [one for one in swarm_nodes.managers(nodes) if one["ID"] != node]
    return None if all(map(swarm_nodes.is_reachable, others)) else pause_refusal(nodes, node)
