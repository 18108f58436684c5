"""
Find the node of each member in the managers' lists. Pure.

``reports`` holds the result of ``swarm_node.report`` for each member, or an error text; members
that do not answer are missing. ``said`` holds the result of ``swarm_node.managers`` on one minion.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from swarm_formula.salt import minion_reports

Report = dict[str, Any]  # of a minion on itself
Reports = Mapping[str, Report]
Heard = Mapping[str, Report | str]
Said = Mapping[str, dict[str, Any]]

# States of an engine's swarm mode in which the managers' word of its node is out of date.
FAILED = {
    "error": "its swarm mode has failed: an apply there repairs it, or tells why not",
    "locked": "'docker swarm unlock' there; or an apply, if swarm:builtin:unlock_key has the key",
    "pending": "it waits for a manager that takes it in",
}


def _judge(said: Said) -> dict[str, Any] | None:
    """Return the answer of the primary or the leader, ``None`` without one."""
    heads = ("primary", "leader")
    return next((one for one in said.values() if one.get("role") in heads), None)


def has_judge(said: Said) -> bool:
    """Check whether an answer has the list of a primary or a leader."""
    return _judge(said) is not None


def nodes(said: Said) -> dict[str, dict[str, Any]]:
    """Return the primary's nodes by the ``endpoint`` of a report: engine address or node ID."""
    judge = _judge(said)
    return judge["nodes"] if judge else {}


def authority(reports: Reports) -> str | None:
    """Return the minion that is the CA, according to the reports."""
    return next((one.get("ca") for one in reports.values() if one.get("ca")), None)


def node_keys(members: Iterable[str], reports: Heard, known: Said) -> dict[str, str | None]:
    """Return the key of each member's node: from its report, else by the host name of the node."""
    named: dict[str, list[str]] = {}
    for key, node in known.items():
        named.setdefault(node["name"], []).append(key)
    return {member: _node_key(member, reports.get(member), known, named) for member in members}


def _node_key(
    member: str, report: Report | str | None, known: Said, named: Mapping[str, list[str]]
) -> str | None:
    # An engine whose swarm mode has failed does not report its node.
    if isinstance(report, dict) and failure(report) is None:
        return report["endpoint"] if report["endpoint"] in known else None
    keys = [key for name in minion_reports.names(member) for key in named.get(name, ())]
    return keys[0] if len(keys) == 1 else None


def failure(report: Report | str | None) -> str | None:
    """Return the state of a member's engine if its swarm mode has failed, else ``None``."""
    state = report.get("state") if isinstance(report, dict) else None
    return state if state in FAILED else None


def strangers(members: Iterable[str], reports: Heard, known: Said) -> dict[str, dict[str, Any]]:
    """Return the nodes that are of no member, by their keys."""
    seen = {*node_keys(members, reports, known).values()}
    return {key: node for key, node in known.items() if key not in seen}


def endpoint(
    member: str,
    reports: Heard,
    said: Said,
    members: Iterable[str],
    chosen: str | None = None,
) -> str | None:
    """
    Return the key of a member in the swarm: the address of its engine, or its node ID.

    Raises an error if it is not certain, or if another member has the same node.

    chosen
        The key that the operator gives, if any.
    """
    known, report = nodes(said), reports.get(member)

    def sole(key: str) -> str:
        host = minion_reports.hostname(known[key]) if key in known else None
        return minion_reports.sole(member, key, host, reports, members, chosen=bool(chosen))

    if not chosen and isinstance(report, dict) and report["endpoint"]:
        # A copied disk, or a lie: both are named before anything else is said.
        sole(report["endpoint"])
    key = minion_reports.key_of(member, report, known, chosen)
    return sole(key) if key else None


def leftovers(reports: Heard, said: Said, members: Collection[str]) -> list[str]:
    """Return the nodes that are down, and that no member has by its report or its ID."""
    return sorted(
        f"{node['name']} ({key})"
        for key, node in strangers(members, reports, nodes(said)).items()
        if node["name"] not in members and node["status"] == "Down"
    )
