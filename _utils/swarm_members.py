"""
Compare the members that the pillar defines with the nodes in the swarm, on the master.

Pure.

``reports`` holds the result of ``swarm_node.report`` for each member, or an error text; members
that do not answer are missing. ``said`` holds the result of ``swarm_node.managers`` on one minion.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

import swarm_errors
import swarm_member_rules
import swarm_nodes
import swarm_raft
import swarm_report
import swarm_values

HEALTHY = "Healthy"
# Ready, and the availabilities that an operator may set in builtin mode.
_GOOD = {HEALTHY, "Ready", "Pause", "Drain"}
_NO_ANSWER = "no answer"
_NOW = "now"
# States of an engine's swarm mode in which the managers' word of its node is out of date.
_FAILED = {
    "error": "its swarm mode has failed: an apply there repairs it, or tells why not",
    "locked": "'docker swarm unlock' there; or an apply, if swarm:builtin:unlock_key has the key",
    "pending": "it waits for a manager that takes it in",
}
_LEADING = {"primary", "replica", "leader", "manager"}
# Labels that classic Swarm itself adds to each node.
_SWARMS_OWN = {"executiondriver", "kernelversion", "operatingsystem", "ostype", "storagedriver"}


def has_swarm(pillar: object) -> bool:
    """Check whether a pillar defines a swarm; it need not make the minion a member."""
    swarm = pillar.get("swarm") if isinstance(pillar, dict) else None
    return isinstance(swarm, dict) and bool(swarm.get("managers"))


def is_member(minion: str, pillar: object) -> bool:
    """Check whether a minion with this pillar is a member of a swarm."""
    return has_swarm(pillar) and swarm_member_rules.is_member(minion, pillar["swarm"])


def joins(minion: str, pillar: object) -> bool:
    """Check whether a minion with this pillar joins automatically."""
    if not is_member(minion, pillar):
        return False
    autojoin = pillar["swarm"].get("autojoin")
    return not isinstance(autojoin, dict) or autojoin.get("enabled", True) is True


def _judge(said: dict) -> dict | None:
    """Return the answer of the primary or the leader, ``None`` without one."""
    heads = ("primary", "leader")
    return next((one for one in said.values() if one.get("role") in heads), None)


def has_judge(said: dict) -> bool:
    """Check whether an answer has the list of a primary or a leader."""
    return _judge(said) is not None


def nodes(said: dict) -> dict[str, dict]:
    """Return the primary's nodes by the ``endpoint`` of a report: engine address or node ID."""
    judge = _judge(said)
    return judge["nodes"] if judge else {}


def _role(member: str, report: dict, node: dict | None, said: dict) -> str:
    """Return the role of a member from the managers, else from its report."""
    wanted = "manager" if report.get("manager") else "worker"
    word = said.get(member, {}).get("role") or (node or {}).get("role") or wanted
    return f"{word}, consul" if report.get("server") else word


def _found(member: str, report: object, known: dict) -> str | None:
    """Return the key of a member's node: from its report, else by the host name of the node."""
    # An engine whose swarm mode has failed does not report its node.
    if isinstance(report, dict) and _failed(report) is None:
        return report["endpoint"] if report["endpoint"] in known else None
    named = [key for key, node in known.items() if node["name"] in swarm_report.names(member)]
    return named[0] if len(named) == 1 else None


def _failed(report: object) -> str | None:
    """Return the state of a member's engine if its swarm mode has failed, else ``None``."""
    state = report.get("state") if isinstance(report, dict) else None
    return state if state in _FAILED else None


def _silence(reports: dict) -> str:
    """Return why no manager tells about the nodes, by the reports of the members."""
    there = {name: one for name, one in reports.items() if isinstance(one, dict)}
    if not is_builtin(there):
        return "no manager is primary"
    failed = [
        f"{name} is {state}" for name, one in sorted(there.items()) if (state := _failed(one))
    ]
    return f"no manager leads the cluster{': ' if failed else ''}{', '.join(failed)}"


def _wish(report: dict, role: str, labels: str, state: str) -> str:
    """Return what the pillar has otherwise than the managers, as a text."""
    found = []
    if bool(report["manager"]) != (role in _LEADING):
        found.append("a manager" if report["manager"] else "no manager")
    wanted = report.get("availability")
    if wanted and wanted.capitalize() != ("Active" if state == "Ready" else state):
        found.append(wanted)
    if isinstance(report["labels"], dict):
        pairs = {f"{key}={one}" for key, one in swarm_values.table(report["labels"]).items()}
        found += sorted(pairs - set(labels.split(", ")))
    return f"pillar: {', '.join(found)}; not applied yet" if found else ""


def _restart(node: dict) -> str:
    """Return that the formula has drained a node for a restart of its engine, else ``""``."""
    labels = node.get("labels")
    former = labels.get(swarm_nodes.DRAINED) if isinstance(labels, dict) else None
    if not former:
        return ""
    return f"drained for a restart of its engine, {former} before; an apply there restores it"


def _state(report: object, node: dict | None, silence: str) -> tuple[str, str]:
    """Return the state of a member, and the reason if it is not Healthy."""
    if failed := _failed(report):
        return failed.capitalize(), report.get("error") or _FAILED[failed]
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


def rows(
    members: list[str],
    reports: dict,
    said: dict,
    swarm: str = "",
    problems: Mapping[str, str] = MappingProxyType({}),
) -> list[dict]:
    """
    Return a row for each member, and for each node in the swarm that is not a member.

    problems
        ``{member: text}``, shown besides the reason for its state.
    """
    known, silence = nodes(said), "" if _judge(said) else _silence(reports)
    found = []
    for member in sorted(members):
        report = reports.get(member)
        key = _found(member, report, known)
        node = known.get(key)
        state, why = _state(report, node, silence)
        plain = report if isinstance(report, dict) else {}
        role, labels = _role(member, plain, node, said), _labels(node, plain)
        if plain and node and state in _GOOD:
            why = _restart(node) or _wish(plain, role.partition(",")[0], labels, state)
        found.append(
            {
                "id": member,
                "swarm": swarm,
                "role": role,
                "address": plain.get("address") or (node or {}).get("address", ""),
                "state": state,
                "engine": plain.get("engine") or (node or {}).get("version", ""),
                "labels": labels,
                "as of": _as_of(report, node),
                "why": "; ".join(filter(None, [why, problems.get(member)])),
            }
        )
    strangers = _strangers(members, reports, known)
    found += [_stranger(node, swarm) for _, node in sorted(strangers.items())]
    return swarm_report.plain(found)


def _as_of(report: object, node: dict | None) -> str:
    """Return when the managers learned what a row shows; ``now``, or a time in RFC 3339."""
    if node and not _failed(report):
        # The time of some releases has a fraction.
        return re.sub(r"\.\d+", "", node.get("updated", "")) or _NOW
    return "" if report is None else _NOW


def _strangers(members: Iterable[str], reports: dict, known: dict) -> dict[str, dict]:
    """Return the nodes that are of no member, by their keys."""
    seen = {_found(member, reports.get(member), known) for member in members}
    return {key: node for key, node in known.items() if key not in seen}


def _labels(node: dict | None, report: dict) -> str:
    """Return the labels of a node from the managers, else from its report."""
    found = (node or report).get("labels") or {}
    if isinstance(found, dict):
        pairs = [f"{key}={value}" for key, value in found.items()]
    else:
        pairs = [pair for pair in found.split(", ") if pair]
    return ", ".join(sorted(one for one in pairs if one.partition("=")[0] not in _SWARMS_OWN))


def _stranger(node: dict, swarm: str) -> dict:
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


def to_join(rows: list[dict], reports: dict) -> list[str]:
    """Return the members that answer and still have to join."""
    return [row["id"] for row in rows if row["id"] in reports and not is_good(row)]


def is_good(row: dict) -> bool:
    """Check whether a member is in a good state."""
    return row["state"] in _GOOD


def outcomes(returns: dict, asked: list[str]) -> dict[str, str]:
    """Return ``{member: reason}`` of failed joins, from the returns of the state ``swarm.join``."""
    reasons = {member: _reason(returns.get(member)) for member in asked}
    return {member: swarm_report.shown(one) for member, one in reasons.items() if one}


def _reason(states: object) -> str:
    """Return why a state run failed, empty if it did not; a minion may return anything."""
    if not isinstance(states, dict):
        return "; ".join(map(str, states)) if isinstance(states, list) else str(states)
    odd = next((f"nonsense: {one!r}" for one in states.values() if not isinstance(one, dict)), "")
    bad = [
        str(one.get("comment"))
        for one in states.values()
        if isinstance(one, dict) and one.get("result") is False
    ]
    first = [text for text in bad if not text.startswith("One or more requisite")] or bad
    return first[0] if first else odd


def guard(
    member: str, others: dict, said: dict, alive: set[str], voters: set[str] | None = None
) -> None:
    """
    Raise an error if removing this member would break the swarm.

    others
        Reports of the other managers in the pillar; each report lists the managers and servers.

    voters
        The voters of Consul's Raft. Defaults to the servers in the pillar.
    """
    report = next(iter(others.values()), None)
    if report is None:
        raise swarm_errors.SwarmError(
            f"{member} was not removed: no other manager of the pillar answers, so nobody can tell"
            " what it would cost; bring one up, or remove the whole swarm: state swarm.clean"
        )
    if member == authority(others):
        raise swarm_errors.SwarmError(
            f"{member} was not removed: it is the CA; have another minion be it first, as"
            " docs/security.md tells (Another CA)"
        )
    servers = voters or set(report["servers"])
    if member in servers:
        if len(servers) == 1:
            raise swarm_errors.SwarmError(_only(member, "Consul server"))
        if refusal := swarm_raft.refusal(servers, alive, member, "removing"):
            raise swarm_errors.SwarmError(refusal)
    answering = [name for name, one in said.items() if "role" in one and name != member]
    if not answering:
        raise swarm_errors.SwarmError(
            f"{member} was not removed: no other manager answers, or none leads at the moment; try"
            " again in a minute, or give pillar another one and apply it first"
        )


def authority(reports: dict) -> str | None:
    """Return the minion that is the CA, according to the reports."""
    return next((one.get("ca") for one in reports.values() if one.get("ca")), None)


def _only(member: str, what: str) -> str:
    return (
        f"{member} was not removed: it is the only {what};"
        " give pillar another one and apply it first"
    )


def is_builtin(reports: dict) -> bool:
    """Check whether the members use builtin mode."""
    return any(one.get("mode") == "builtin" for one in reports.values())


def keeper(reports: dict, said: dict, holders: Collection[str], builtin: bool) -> str | None:
    """
    Return the member best suited for a backup, ``None`` if no member has the state.

    holders
        The managers in the pillar, or in classic mode its Consul servers. Others have no state,
        whatever they report.
    """
    there = {name: reports[name] for name in holders if isinstance(reports.get(name), dict)}
    if not builtin:
        return min(there, default=None)
    known = nodes(said)

    def cost(name: str) -> tuple[bool, bool, str]:
        drained = known.get(there[name]["endpoint"], {}).get("status") == "Drain"
        return said[name].get("role") == "leader", not drained, name

    return min((name for name in there if name in said), key=cost, default=None)


def endpoint(
    member: str, reports: dict, said: dict, members: Iterable[str], chosen: str | None = None
) -> str | None:
    """
    Return the key of a member in the swarm: the address of its engine, or its node ID.

    Raises an error if it is not certain, or if another member has the same node.

    chosen
        The key that the operator gives, if any.
    """
    known, report = nodes(said), reports.get(member)

    def sole(key: str) -> str:
        host = swarm_report.hostname(known[key]) if key in known else None
        return swarm_report.sole(member, key, host, reports, members, chosen=bool(chosen))

    if not chosen and isinstance(report, dict) and report["endpoint"]:
        # A copied disk, or a lie: both are named before anything else is said.
        sole(report["endpoint"])
    key = swarm_report.key_of(member, report, known, chosen)
    return sole(key) if key else None


def leftovers(reports: dict, said: dict, members: Collection[str]) -> list[str]:
    """Return the nodes that are down, and that no member has by its report or its ID."""
    return sorted(
        f"{node['name']} ({key})"
        for key, node in _strangers(members, reports, nodes(said)).items()
        if node["name"] not in members and node["status"] == "Down"
    )


def table(rows: list[dict], empty: str = "no minion is a member by its pillar") -> str:
    """Return rows as a table in text form, with a column for the swarm if there are several."""
    if not rows:
        return empty
    if len({row.get("swarm") for row in rows}) == 1:
        rows = [{key: one for key, one in row.items() if key != "swarm"} for row in rows]
    lines = [list(rows[0]), *([swarm_report.shown(one) for one in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
