"""
What it would cost the cluster if a node left it by force. Pure.

``listed`` is what a manager with a leader says of the nodes, as ``swarm_leader.list_nodes`` does:
``{"cluster": ID, "nodes": {node ID: reachability, or None of a worker}}``; empty if none says so.
"""

import swarm_membership
from swarm_turn import majority

_REACHABLE = "reachable"


def listing(nodes: list[dict], cluster: str) -> dict:
    """Return the nodes of a cluster, and which managers the raft counts."""
    return {
        "cluster": cluster,
        "nodes": {one["ID"]: (one.get("ManagerStatus") or {}).get("Reachability") for one in nodes},
    }


def is_listing(value: object) -> bool:
    """Say whether this is an answer of a manager with a leader: errors are texts."""
    return isinstance(value, dict) and isinstance(value.get("nodes"), dict) and bool(value["nodes"])


def refusal(
    swarm: dict, settings: dict, node: str, listed: dict, recorded: str | None
) -> str | None:
    """
    Return why a node must not leave by force, ``None`` if it may.

    node
        Its ID, which an engine that has failed does not tell.

    recorded
        The ID of the cluster of which this node was a manager when it has last told, if it was.
    """
    if node in listed.get("nodes", {}):
        return _cost(node, listed["nodes"])
    if listed and recorded == listed["cluster"]:
        return None  # the others have removed it
    if not recorded and _has_no_raft(swarm, settings):
        return None
    return (
        "no manager tells what the cluster would lose: this node may hold the last copy of it, or a"
        " vote that the quorum needs. Bring a majority of the managers up, and let minions ask them"
        " (peer, see the state swarm.master)"
    )


def _has_no_raft(swarm: dict, settings: dict) -> bool:
    if swarm_membership.manager(swarm):
        return False
    state = swarm.get("LocalNodeState")
    # Of one that is pending, the engine knows: it is not forced, and refuses for a manager.
    return state in {"active", "pending"} or (state == "error" and not settings["is_manager"])


def needs_force(swarm: dict, node: str, listed: dict) -> bool:
    """Say whether the engine is to be forced; a worker's leaves without, a manager's never."""
    if swarm_membership.manager(swarm) or swarm.get("LocalNodeState") not in {"active", "pending"}:
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
