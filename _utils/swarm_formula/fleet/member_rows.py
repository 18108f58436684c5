"""
Compare the members that the pillar defines with the nodes in the swarm, for the status. Pure.

``reports`` and ``said`` are as in ``fleet.member_nodes``.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from swarm_formula.cluster import node_info
from swarm_formula.core import modes, normalize
from swarm_formula.fleet import member_nodes
from swarm_formula.fleet.member_nodes import Heard, Report, Said
from swarm_formula.salt import minion_reports

# Ready, and the availabilities that an operator may set in builtin mode.
_GOOD = {"Healthy", "Ready", "Pause", "Drain"}
_NO_ANSWER = "no answer"
_NOW = "now"
_LEADING = {"primary", "replica", "leader", "manager"}
# Labels that classic Swarm itself adds to each node.
_SWARMS_OWN = {"executiondriver", "kernelversion", "operatingsystem", "ostype", "storagedriver"}


def rows(
    members: list[str],
    reports: Heard,
    said: Said,
    swarm: str = "",
    problems: Mapping[str, str] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """
    Return a row for each member, and for each node in the swarm that is not a member.

    problems
        ``{member: text}``, shown besides the reason for its state.
    """
    known = member_nodes.nodes(said)
    silence = "" if member_nodes.has_judge(said) else _silence(reports)
    keys = member_nodes.node_keys(members, reports, known)
    found = []
    for member in sorted(members):
        report, key = reports.get(member), keys[member]
        node = None if key is None else known[key]
        row = {"id": member, "swarm": swarm, **_row(member, report, node, said, silence)}
        row["why"] = "; ".join(filter(None, [row["why"], problems.get(member)]))
        found.append(row)
    strangers = member_nodes.strangers(members, reports, known)
    found += [_stranger(node, swarm) for _, node in sorted(strangers.items())]
    return minion_reports.plain(found)


def _row(
    member: str, report: Report | str | None, node: dict[str, Any] | None, said: Said, silence: str
) -> dict[str, Any]:
    """Return the columns of a member."""
    state, why = _state(report, node, silence)
    plain = report if isinstance(report, dict) else {}
    role, labels = _role(member, plain, node, said), _labels(node, plain)
    if plain and node and state in _GOOD:
        why = _restart(node) or _wish(plain, role.partition(",")[0], labels, state)
    return {
        "role": role,
        "address": plain.get("address") or (node or {}).get("address", ""),
        "state": state,
        "engine": plain.get("engine") or (node or {}).get("version", ""),
        "labels": labels,
        "as of": _as_of(report, node),
        "why": why,
    }


def _role(member: str, report: Report, node: dict[str, Any] | None, said: Said) -> str:
    """Return the role of a member from the managers, else from its report."""
    wanted = "manager" if report.get("manager") else "worker"
    word = said.get(member, {}).get("role") or (node or {}).get("role") or wanted
    word = f"{word}, consul" if report.get("server") else word
    return f"{word}, registry" if report.get("registry") == member else word


def _silence(reports: Heard) -> str:
    """Return why no manager tells about the nodes, by the reports of the members."""
    there = {name: one for name, one in reports.items() if isinstance(one, dict)}
    if all(modes.named(one.get("mode")).standalone for one in there.values()):
        return "no manager is primary"
    failed = [
        f"{name} is {state}"
        for name, one in sorted(there.items())
        if (state := member_nodes.failure(one))
    ]
    return f"no manager leads the cluster{': ' if failed else ''}{', '.join(failed)}"


def _wish(report: Report, role: str, labels: str, state: str) -> str:
    """Return what the pillar has otherwise than the managers, as a text."""
    found = []
    if bool(report["manager"]) != (role in _LEADING):
        found.append("a manager" if report["manager"] else "no manager")
    wanted = report.get("availability")
    if wanted and wanted.capitalize() != ("Active" if state == "Ready" else state):
        found.append(wanted)
    if isinstance(report["labels"], dict):
        pairs = {f"{key}={one}" for key, one in normalize.table(report["labels"]).items()}
        found += sorted(pairs - set(labels.split(", ")))
    return f"pillar: {', '.join(found)}; not applied yet" if found else ""


def _restart(node: dict[str, Any]) -> str:
    """Return that the formula has drained a node for a restart of its engine, else ``""``."""
    labels = node.get("labels")
    former = labels.get(node_info.DRAINED) if isinstance(labels, dict) else None
    if not former:
        return ""
    return f"drained for a restart of its engine, {former} before; an apply there restores it"


def _state(
    report: Report | str | None, node: dict[str, Any] | None, silence: str
) -> tuple[str, str]:
    """Return the state of a member, and the reason if it is not Healthy."""
    if isinstance(report, dict) and (failed := member_nodes.failure(report)):
        return failed.capitalize(), report.get("error") or member_nodes.FAILED[failed]
    if isinstance(report, str):
        return "not set up", report
    state, why = (node["status"], node["error"]) if node else ("missing", "")
    if report is None:
        return (state if node else _NO_ANSWER), "the minion does not answer"
    if silence:
        return "unknown", silence
    if state in _GOOD:
        return state, ""
    return state, why or "it is not in the list of the primary"


def _as_of(report: Report | str | None, node: dict[str, Any] | None) -> str:
    """Return when the managers learned what a row shows; ``now``, or a time in RFC 3339."""
    if node and not member_nodes.failure(report):
        # The time of some releases has a fraction.
        return re.sub(r"\.\d+", "", node.get("updated", "")) or _NOW
    return "" if report is None else _NOW


def _labels(node: dict[str, Any] | None, report: Report) -> str:
    """Return the labels of a node from the managers, else from its report."""
    found = (node or report).get("labels") or {}
    if isinstance(found, dict):
        pairs = [f"{key}={value}" for key, value in found.items()]
    else:
        pairs = [pair for pair in found.split(", ") if pair]
    return ", ".join(sorted(one for one in pairs if one.partition("=")[0] not in _SWARMS_OWN))


def _stranger(node: dict[str, Any], swarm: str) -> dict[str, Any]:
    return {
        # A join that was interrupted leaves a node without a host name.
        "id": f"({node['name'] or node.get('id')})",
        "swarm": swarm,
        "role": "no member",
        "address": node["address"],
        "state": node["status"],
        "engine": node["version"],
        "labels": "",
        "as of": _as_of(None, node),
        "why": "no minion with this address is a member by its pillar",
    }


def to_join(rows: list[dict[str, Any]], reports: Heard) -> list[str]:
    """Return the members that answer and still have to join."""
    return [row["id"] for row in rows if row["id"] in reports and not is_good(row)]


def is_good(row: dict[str, Any]) -> bool:
    """Check whether a member is in a good state."""
    return row["state"] in _GOOD


def table(rows: list[dict[str, Any]], empty: str = "no minion is a member by its pillar") -> str:
    """Return rows as a table in text form, with a column for the swarm if there are several."""
    if not rows:
        return empty
    if len({row.get("swarm") for row in rows}) == 1:
        rows = [{key: one for key, one in row.items() if key != "swarm"} for row in rows]
    lines = [list(rows[0]), *([minion_reports.shown(one) for one in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
