"""
Find the nodes of a cluster in swarm mode that are gone for good. Pure.

``nodes`` is the response of ``/nodes``; ``claims`` is ``{minion ID: node ID}``, as minions report.
"""

from typing import Any

from swarm_formula.cluster import node_info
from swarm_formula.core import normalize
from swarm_formula.core.settings_types import Settings

# Seconds after which a node that has not reported its host name is given up.
_COMING = 600


def lost_managers(
    nodes: list[dict[str, Any]], claims: dict[str, str], settings: Settings
) -> list[dict[str, Any]]:
    """
    Return the managers that are not ready and that no minion reports as its node.

    Only if every manager in the pillar is another node of the cluster: a host was replaced.
    """
    known = node_info.by_id(nodes)
    if not all(claims.get(one) in known for one in settings["managers"]):
        return []
    claimed = set(claims.values())
    return [
        one
        for one in nodes
        if one.get("ManagerStatus")
        and one["ID"] not in claimed
        # A node that already acts as a worker is up, even if its minion has not reported it yet.
        # Raft's reachability is no help: a new leader lists all as reachable for a while.
        and node_info.is_away(one)
    ]


def expired(
    nodes: list[dict[str, Any]], claims: dict[str, str], settings: Settings, now: float
) -> list[dict[str, Any]]:
    """
    Return the nodes to prune: workers that are down for longer than ``prune_after``, or whose host
    has joined again as another node; and nodes that never came up, because an interrupted join
    leaves a node without a host name.
    """
    claimed, after = set(claims.values()), settings["builtin"]["prune_after"]
    there = {_address(one) for one in nodes if one["ID"] in claimed and not node_info.is_down(one)}
    return [
        one
        for one in nodes
        if _has_never_come(one, claimed, now)
        or (
            node_info.is_down(one)
            and not one.get("ManagerStatus")
            and (
                (one["ID"] not in claimed and _address(one) and _address(one) in there)
                or (after is not None and now - normalize.stamp(one["UpdatedAt"]) > after)
            )
        )
    ]


def _has_never_come(node: dict[str, Any], claimed: set[str], now: float) -> bool:
    nameless = not node["Description"].get("Hostname") and node["ID"] not in claimed
    waits = node["Status"]["State"] == "unknown" and not node.get("ManagerStatus")
    return nameless and waits and now - normalize.stamp(node["CreatedAt"]) > _COMING


def _address(node: dict[str, Any]) -> str | None:
    # For a node that was never reached, Docker reports a placeholder instead of an address.
    address = node["Status"].get("Addr")
    return None if address in {"", "0.0.0.0", None} else address  # noqa: S104
