"""
Describe the nodes of a cluster in swarm mode, by the API's answers and the pillar. Pure.

``nodes`` is the response of ``/nodes``, and ``node`` one of them.
"""

from collections.abc import Mapping
from typing import Any

from swarm_formula.cluster.membership import manager
from swarm_formula.core import addresses, errors, normalize

MANAGER, WORKER = "manager", "worker"
# The states in which a cluster lists a node: NodeState in Docker's API.
READY = "ready"
STATES = (READY, "down", "unknown", "disconnected")
# The label of a node that the formula has drained for a restart of its engine, with the
# availability that the node had before.
DRAINED = "swarm-formula.drained"


def label_texts(labels: Mapping[str, Any]) -> dict[str, str]:
    """Return labels in Docker's form, without the labels that are to be removed."""
    return normalize.table({key: value for key, value in labels.items() if value is not None})


def drained_from(node: dict[str, Any]) -> str | None:
    """Return the former availability of a node that the formula has drained, else ``None``."""
    found = (node["Spec"].get("Labels") or {}).get(DRAINED)
    # Docker would refuse a text that somebody has put there by hand.
    return found if found in {None, "active", "pause", "drain"} else "active"


def role(node: dict[str, Any]) -> str:
    """Return the role in a node's spec."""
    return str(node["Spec"]["Role"])


def own_role(swarm: Mapping[str, Any]) -> str:
    """Return the role that this node acts in, by the section ``Swarm`` of ``/info``."""
    return MANAGER if manager(swarm) else WORKER


def managers(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the nodes that are managers."""
    return [one for one in nodes if one.get("ManagerStatus")]


def is_half_demoted(node: dict[str, Any]) -> bool:
    """Check whether a node's role is worker while Raft still counts it as a manager."""
    return role(node) == WORKER and bool(node.get("ManagerStatus"))


def is_half_promoted(node: dict[str, Any]) -> bool:
    """
    Check whether an offline node was promoted and has not become a manager yet.

    Docker reverts a promotion only for a node in Raft; the node becomes a manager when it is back.
    """
    return _is_promoted(node) and is_away(node)


def is_coming(node: dict[str, Any]) -> bool:
    """Check whether a node that is online was promoted and is not in Raft yet."""
    return _is_promoted(node) and not is_away(node)


def _is_promoted(node: dict[str, Any]) -> bool:
    return role(node) == MANAGER and not node.get("ManagerStatus")


def is_lost_vote(node: dict[str, Any]) -> bool:
    """Check whether Raft still counts the vote of a node that already acts as a worker."""
    return is_half_demoted(node) and not is_reachable(node)


def is_reachable(node: dict[str, Any]) -> bool:
    """Check whether a manager is reachable in Raft."""
    return (node.get("ManagerStatus") or {}).get("Reachability") == "reachable"


def without_echo(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """
    Return the nodes; mark a manager that is down as unreachable if another node has its address.

    Raft regards a manager as reachable as long as something answers at its address, which may be a
    reinstalled host that is another manager now.
    """
    there = {raft_address(one) for one in nodes if not is_down(one)} - {None}
    return [
        {**one, "ManagerStatus": {**one["ManagerStatus"], "Reachability": "unreachable"}}
        if is_down(one) and is_reachable(one) and raft_address(one) in there
        else one
        for one in nodes
    ]


def raft_address(node: dict[str, Any]) -> str | None:
    """Return the address at which other nodes contact a manager, ``None`` for a worker."""
    place = (node.get("ManagerStatus") or {}).get("Addr")
    return addresses.host(place) if place else None


def is_leader(node: dict[str, Any]) -> bool:
    """Check whether a manager is the leader."""
    return bool((node.get("ManagerStatus") or {}).get("Leader"))


def by_id(nodes: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the nodes by their IDs."""
    return {one["ID"]: one for one in nodes}


def title(node: dict[str, Any]) -> str:
    """Return a node's host name and ID."""
    return f"{node['Description'].get('Hostname') or '?'} ({node['ID']})"


def is_down(node: dict[str, Any]) -> bool:
    """Check whether the managers report a node as down."""
    return _state(node) == "down"


def is_lost(node: dict[str, Any]) -> bool | None:
    """
    Check whether a manager is gone; ``None`` while the others cannot tell.

    A new leader lists each node as unknown until it reports, and as reachable for a while.
    """
    if is_down(node):
        return True if not is_reachable(node) else None
    return False if _state(node) == READY else None


def is_away(node: dict[str, Any]) -> bool:
    """Check whether a node is in any state but ready."""
    return _state(node) != READY


def state(nodes: list[dict[str, Any]], node: str) -> str:
    """Return the state in which a node is listed, empty if it is not listed."""
    found = by_id(nodes).get(node)
    return _state(found) if found else ""


def only(nodes: list[dict[str, Any]], node: str) -> dict[str, Any]:
    """Return the node with this ID; raise an error if the cluster has none."""
    found = by_id(nodes).get(node)
    if found is None:
        raise errors.SwarmError(f"the cluster knows no node {node}")
    return found


def status(node: dict[str, Any]) -> str:
    """Return a node's state in one word: ``Ready``, or why it is not ready for tasks."""
    state = _state(node).capitalize()
    if state == "Ready" and node.get("ManagerStatus") and not is_reachable(node):
        return "Unreachable"
    availability = str(node["Spec"]["Availability"])
    return state if state != "Ready" or availability == "active" else availability.capitalize()


def _state(node: dict[str, Any]) -> str:
    return str(node["Status"]["State"])


def as_managers(
    nodes: list[dict[str, Any]], minions: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """
    Return the managers' view of the cluster in the format of classic mode, for status reports.

    minions
        ``{node ID: minion ID}``; other nodes are shown with their host name.
    """
    shown = {
        one["ID"]: {
            "name": minions.get(one["ID"]) or one["Description"].get("Hostname") or "",
            "hostname": one["Description"].get("Hostname") or "",
            "address": one["Status"].get("Addr") or "",
            "id": one["ID"],
            "status": status(one),
            "role": MANAGER if one.get("ManagerStatus") else WORKER,
            "labels": one["Spec"].get("Labels") or {},
            "error": one["Status"].get("Message") or "",
            "version": (one["Description"].get("Engine") or {}).get("EngineVersion") or "",
            # The leader hears of a node that is ready all the time.
            "updated": "" if _state(one) == READY else one["UpdatedAt"],
        }
        for one in nodes
    }
    return {
        shown[one["ID"]]["name"]: {
            "role": "leader" if is_leader(one) else MANAGER,
            "nodes": shown,
        }
        for one in nodes
        if one.get("ManagerStatus") and (is_reachable(one) or is_leader(one))
    }
