"""
Compare what the managers in the pillar report about the nodes. Pure.

Only managers that the master's pillar names are asked: a minion that calls itself a manager has no
say. A view is the answer of ``swarm_node.managers``; managers of one cluster give the same.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from swarm_formula.fleet.member_nodes import Heard, Said, has_judge, nodes
from swarm_formula.salt import minion_reports

# Differences that a text names; a manager of another cluster differs in every node.
_NAMED = 3
# {(key, host name, role)} of the nodes
_Facts = frozenset[tuple[str, str, str]]


class Views(NamedTuple):
    """What the managers report."""

    said: Said  # the answer that most managers give
    led: tuple[str, ...]  # the managers whose answer has a list of nodes
    nonsense: dict[str, str]  # {manager: why its answer is not used}
    dispute: str | None  # how the lists differ

    def problems(self) -> dict[str, str]:
        """Return ``{manager: text}`` for the status of these managers."""
        disputed = dict.fromkeys(self.led, self.dispute) if self.dispute else {}
        return {**disputed, **self.nonsense}


def read(answers: Mapping[str, object]) -> Views:
    """Return what managers have answered, ``{manager: answer}``; any of them may be anything."""
    found: dict[str, Said] = {}
    nonsense: dict[str, str] = {}
    for name, answer in sorted(answers.items()):
        view = minion_reports.read_managers(answer)
        if view is None:
            nonsense[name] = "its list of the nodes is nonsense"
        else:
            found[name] = view
    led = {name: view for name, view in found.items() if has_judge(view)}
    groups: dict[_Facts, list[str]] = {}
    for name, lists in led.items():
        groups.setdefault(_facts(lists), []).append(name)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[1]))
    first = ordered[0][1][0] if ordered else next((name for name in found if found[name]), None)
    return Views(found[first] if first else {}, tuple(led), nonsense, _dispute(ordered))


def _facts(view: Said) -> _Facts:
    """Return what managers have to agree on; states and labels may differ for a moment."""
    return frozenset(
        (key, minion_reports.hostname(node), node.get("role", ""))
        for key, node in nodes(view).items()
    )


def _dispute(groups: list[tuple[_Facts, list[str]]]) -> str | None:
    if len(groups) < 2:  # noqa: PLR2004
        return None
    every = frozenset().union(*(facts for facts, _ in groups))
    shared = frozenset.intersection(*(facts for facts, _ in groups))
    texts = [
        f"{' '.join(filter(None, fact))} is listed by {_names(groups, fact)} only"
        for fact in sorted(every - shared)
    ]
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    sides = " and ".join(", ".join(names) for _, names in groups)
    return f"the managers {sides} list different nodes: {'; '.join(texts[:_NAMED])}{more}"


def _names(groups: list[tuple[_Facts, list[str]]], fact: tuple[str, str, str]) -> str:
    return ", ".join(name for facts, names in groups for name in names if fact in facts)


def doubles(reports: Heard, members: Iterable[str], said: Said) -> dict[str, str]:
    """Return ``{member: text}`` for members that report a node that another member has as well."""
    known, members = nodes(said), {*members}
    owners: dict[str, list[str]] = {}
    for member, report in sorted(reports.items()):
        if isinstance(report, dict) and report["endpoint"]:
            owners.setdefault(report["endpoint"], []).append(member)
    found: dict[str, str] = {}
    for key, names in owners.items():
        hosts = {minion_reports.hostname(known[key])} if key in known else set()
        every = sorted({*names, *(hosts & members)})
        if len(every) > 1:
            text = (
                f"{' and '.join(every)} have the same node {key}: one disk is a copy of the"
                " other's, or one of them lies"
            )
            found |= dict.fromkeys(every, text)
    return found
