"""
Check the node IDs that minions report for themselves, ``{minion ID: node ID}``. Pure.
"""

from collections.abc import Collection, Mapping
from typing import Any

from swarm_formula.cluster import node_info
from swarm_formula.core.settings_types import Settings


def believed(claims: Mapping[str, str], managers: Collection[str]) -> dict[str, str]:
    """Drop node IDs that several minions report, unless exactly one of them is in ``managers``."""
    found = {}
    for minion, node in claims.items():
        rivals = {one for one, other in claims.items() if other == node} - {minion}
        if not rivals or (minion in managers and rivals.isdisjoint(managers)):
            found[minion] = node
    return found


def minions(claims: Mapping[str, str], managers: Collection[str]) -> dict[str, str]:
    """Return ``{node ID: minion ID}`` of the node IDs that are believed."""
    return {node: minion for minion, node in believed(claims, managers).items()}


def doubles(
    claims: Mapping[str, str], nodes: list[dict[str, Any]], settings: Settings
) -> list[str]:
    """
    Return a problem text for each node ID that several minions report.

    The reports do not show which minion is right, so the remedy never is that a manager leaves: a
    worker may lie. The host name in the cluster's list is shown for comparison.
    """
    known = node_info.by_id(nodes)
    by_node: dict[str, list[str]] = {}
    for minion, node in claims.items():
        by_node.setdefault(node, []).append(minion)
    return [
        _doubled(node, minions, known.get(node), settings["managers"])
        for node, minions in by_node.items()
        if len(minions) > 1
    ]


def _doubled(
    node: str, minions: list[str], listed: dict[str, Any] | None, managers: Collection[str]
) -> str:
    name = f", which the cluster lists as {node_info.title(listed)}" if listed else ""
    text = (
        f"{', '.join(minions)} all say they are node {node}{name}: one disk is a copy of another's,"
        " or one of them lies."
    )
    workers = [one for one in minions if one not in managers]
    if listed and (listed.get("ManagerStatus") or not workers):
        return (
            f"{text} It is a manager: no host must leave because of this. Look at"
            f" {', '.join(workers or minions)} ('docker info' there tells its Node Address), and"
            " set up again the one that is the copy"
        )
    return (
        f"{text} 'docker info' on each tells its Node Address. Have the copy leave, which is one of"
        f" {', '.join(workers)}, and apply there again: salt ID swarm_builtin.leave force=True"
    )


def strangers(nodes: list[dict[str, Any]], claims: Mapping[str, str]) -> list[str]:
    """Return a problem text for each reachable manager that no minion reports as its node."""
    return [
        f"{node_info.title(one)} is a manager of the cluster, but no minion of pillar: demote it,"
        " or have its minion apply swarm"
        for one in nodes
        if one.get("ManagerStatus")
        and node_info.is_reachable(one)
        and one["ID"] not in claims.values()
    ]
