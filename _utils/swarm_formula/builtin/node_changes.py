"""
Compare the nodes of a cluster in swarm mode with the pillar. Pure.

``nodes`` is the response of ``/nodes``; ``claims`` is ``{minion ID: node ID}``, as minions report.
"""

from typing import Any, NamedTuple

from swarm_formula.cluster import node_claims, node_info
from swarm_formula.cluster.membership import is_first
from swarm_formula.cluster.node_info import MANAGER, WORKER
from swarm_formula.core import member_rules
from swarm_formula.core.settings_types import Settings


class Change(NamedTuple):
    """The changes to one node."""

    minion: str
    node: str  # its ID
    role: str | None  # None: unchanged
    spec: dict[str, Any]  # changed availability and labels
    changes: dict[str, dict[str, Any]]  # for the report


def _labels(current: dict[str, str], wanted: dict[str, Any], exact: bool) -> dict[str, str]:
    """Return the wanted labels of a node."""
    keep = {node_info.DRAINED} if exact else current.keys() - wanted.keys()
    kept = {key: one for key, one in current.items() if key in keep}
    return {**kept, **node_info.label_texts(wanted)}


def change(minion: str, node: dict[str, Any], settings: Settings) -> Change | None:
    """Return the changes that the pillar requires for a node, ``None`` if there are none."""
    spec = spec_changes(minion, node["Spec"], settings)
    changes = {
        key.lower(): {"old": node["Spec"].get(key) or {}, "new": one} for key, one in spec.items()
    }
    due = MANAGER if minion in settings["managers"] else WORKER
    changes |= _role_change(node, due)
    if not changes:
        return None
    return Change(minion, node["ID"], due if "role" in changes else None, spec, changes)


def spec_changes(minion: str, spec: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Return the labels and the availability that the pillar changes in a node's spec."""
    wanted, have = (
        member_rules.settings_of(minion, settings["nodes"]),
        spec.get("Labels") or {},
    )
    labels = _labels(have, wanted["labels"], settings["builtin"]["exact_labels"])
    found: dict[str, Any] = {"Labels": labels} if labels != have else {}
    # A node that is drained for a restart gets its availability when its engine is back.
    availability = None if node_info.drained_from({"Spec": spec}) else wanted["availability"]
    if availability and availability != spec["Availability"]:
        found["Availability"] = availability
    return found


def _role_change(node: dict[str, Any], due: str) -> dict[str, dict[str, Any]]:
    half, role = node_info.is_half_demoted(node), node_info.role(node)
    differs = due != role and not node_info.is_half_promoted(node)
    if not (differs or (due == WORKER and half)):
        return {}
    return {"role": {"old": MANAGER if half else role, "new": due}}


def changes(
    nodes: list[dict[str, Any]], claims: dict[str, str], settings: Settings
) -> list[Change]:
    """
    Return the changes in order: first nodes that Raft counts although they act as workers, then
    promotions before demotions, and unreachable managers before reachable ones.

    As long as no manager in the pillar is a manager, or ready to become one, the old managers keep
    their role.
    """
    known, sure = node_info.by_id(nodes), node_claims.believed(claims, settings["managers"])
    found = [
        change(minion, known[node], settings) for minion, node in sure.items() if node in known
    ]
    me = settings["id"]
    due = [known[sure[one]] for one in settings["managers"] if sure.get(one) in known]
    if not any(node_info.is_reachable(one) or not node_info.is_away(one) for one in due):
        # A lost vote is no manager to keep: it only weakens the others.
        found = [
            one if node_info.is_lost_vote(known[one.node]) else _without_demotion(one)
            for one in found
            if one
        ]

    def order(one: Change) -> tuple[bool, bool, bool, bool, str]:
        node = known[one.node]
        alive, counts = node_info.is_reachable(node), not node_info.is_lost_vote(node)
        return counts, one.role == WORKER, alive, one.minion == me, one.minion

    return sorted(filter(None, found), key=order)


def _without_demotion(found: Change) -> Change | None:
    if found.role != WORKER:
        return found
    rest = {key: one for key, one in found.changes.items() if key != "role"}
    return found._replace(role=None, changes=rest) if rest else None


def promised(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the changes that the first manager will make after it has created the cluster."""
    me = settings["id"]
    if not is_first(settings):
        return {}
    role = {"role": {"old": WORKER, "new": MANAGER}}
    others = {one: role for one in settings["managers"] if one != me}
    given = member_rules.settings_of(me, settings["nodes"])
    found = {
        "labels": node_info.label_texts(given["labels"]),
        "availability": given["availability"] if given["availability"] != "active" else None,
    }
    mine = {key: {"old": None, "new": one} for key, one in found.items() if one}
    return {**others, **({me: mine} if mine else {})}
