"""
Check what the cluster would lose if a node left it by force. Pure.

``listed`` is the answer of ``swarm_leader.list_nodes`` from a manager that has a leader:
``{"cluster": ID, "nodes": {node ID: reachability, or None for a worker}}``; empty without one.
"""

from collections.abc import Mapping
from typing import Any

from swarm_formula.cluster import membership
from swarm_formula.core.quorum import majority
from swarm_formula.core.settings_types import Settings

_REACHABLE = "reachable"


def listing(nodes: list[dict[str, Any]], cluster: str) -> dict[str, Any]:
    """Return the nodes of a cluster, and the reachability of its managers in Raft."""
    return {
        "cluster": cluster,
        "nodes": {one["ID"]: (one.get("ManagerStatus") or {}).get("Reachability") for one in nodes},
    }


def is_listing(value: object) -> bool:
    """Check whether this is the node list of a manager with a leader; errors are texts."""
    return isinstance(value, dict) and isinstance(value.get("nodes"), dict) and bool(value["nodes"])


def refusal(
    swarm: Mapping[str, Any],
    settings: Settings,
    node: str,
    listed: dict[str, Any],
    recorded: str | None,
) -> str | None:
    """
    Return why a node must not leave by force, ``None`` if it may.

    node
        The node's ID, which an engine whose swarm mode has failed does not report.

    recorded
        The ID of the cluster in the manager record that this node last sent to the mine, if any.
    """
    if node in listed.get("nodes", {}):
        return _cost(node, listed["nodes"])
    if listed and recorded == listed["cluster"]:
        return None  # the other managers have removed the node
    if not recorded and _has_no_raft(swarm, settings):
        return None
    return (
        "no manager tells what the cluster would lose: this node may hold the last copy of it, or a"
        " vote that the quorum needs. Bring a majority of the managers up, and let minions ask them"
        " (peer, see the state swarm.master)"
    )


def _has_no_raft(swarm: Mapping[str, Any], settings: Settings) -> bool:
    if membership.manager(swarm):
        return False
    state = swarm.get("LocalNodeState")
    # A pending engine knows its own role: without force, it refuses to leave as a manager.
    return state in {"active", "pending"} or (state == "error" and not settings["is_manager"])


def needs_force(swarm: Mapping[str, Any], node: str, listed: dict[str, Any]) -> bool:
    """Check whether leaving needs force; a worker leaves without it, a manager never does."""
    if membership.manager(swarm) or swarm.get("LocalNodeState") not in {"active", "pending"}:
        return True
    return bool(listed.get("nodes", {}).get(node))


def _cost(node: str, nodes: dict[str, str | None]) -> str | None:
    if not nodes[node]:
        return None
    rest = [reach for other, reach in nodes.items() if reach and other != node]
    if not rest:
        return (
            "it is the last manager: the cluster, its services, secrets and configs would be gone."
            " Give swarm:managers another one and apply swarm on both first"
        )
    alive, need = rest.count(_REACHABLE), majority(len(rest) + 1)
    if alive >= need:
        return None
    return (
        f"it would cost the quorum: {need} of {len(rest) + 1} managers are needed, and {alive} of"
        " the others are reachable. Bring the others up first; without force, a manager that is"
        " well becomes a worker before it leaves"
    )
