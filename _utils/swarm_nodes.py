"""
Compare the nodes of a cluster in swarm mode with the pillar, and check which may be removed. Pure.

``nodes`` is the response of ``/nodes``; ``claims`` is ``{minion ID: node ID}``, as minions report.
"""

import calendar
import fnmatch
import time
from collections.abc import Mapping
from typing import NamedTuple

import swarm_address
import swarm_errors
import swarm_values
from swarm_membership import is_first
from swarm_turn import majority

MANAGER, WORKER = "manager", "worker"
# Seconds after which a node that has not reported its host name is given up.
_COMING = 600


class Change(NamedTuple):
    """The changes to one node."""

    minion: str
    node: str  # its ID
    role: str | None  # None: unchanged
    spec: dict  # changed availability and labels
    changes: dict  # for the report


def members(settings: dict) -> list[str]:
    """Return the minion IDs, and globs of minion IDs, that may be members."""
    return [*dict.fromkeys([*settings["managers"], *settings["servers"], *settings["nodes"]])]


def is_member(minion: str, swarm: Mapping) -> bool:
    """
    Check whether a pillar makes a minion a member of the swarm: the one rule for all.

    The formula's CA signs for a minion, and in builtin mode a manager gives it the join token, only
    if the pillar names it among the managers, the Consul servers, or in ``nodes``. In classic mode
    without the formula's CA, nobody is asked: there, the pillar itself makes a member.

    swarm
        The pillar ``swarm``, as given or with its defaults. Where it is malformed, it names every
        minion, so that an apply reports the fault.
    """
    tls, classic = _section(swarm, "tls"), swarm.get("mode") != "builtin"
    if classic and (tls.get("enabled") is False or tls.get("cert")):
        return True
    own_store = classic and not swarm.get("store")
    servers = _section(swarm, "consul").get("servers") if own_store else None
    return any(_names(minion, one) for one in (swarm.get("managers"), servers, swarm.get("nodes")))


def _section(swarm: Mapping, key: str) -> Mapping:
    found = swarm.get(key)
    return found if isinstance(found, Mapping) else {}


def _names(minion: str, globs: object) -> bool:
    if not isinstance(globs, list | tuple | Mapping):
        return bool(globs)
    return any(fnmatch.fnmatchcase(minion, str(one)) for one in globs)


def unnamed(minion: str) -> str:
    """Return that the pillar does not name a minion, with the cure."""
    return (
        f"the pillar of {minion} has swarm:managers and does not name {minion}: not as a manager or"
        f" Consul server, and not in swarm:nodes. If it is to be a node, add it in the pillar of"
        f" all, e.g. swarm: {{nodes: {{{minion}: {{}}}}}}, or a glob, and apply again; if not, take"
        " the pillar, and the formula's states in the top file, away from it"
    )


def settings_of(minion: str, nodes: dict) -> dict:
    """Return the labels and the availability that ``swarm:nodes`` sets for a minion."""
    labels, availability = {}, None
    for glob, one in nodes.items():
        if fnmatch.fnmatchcase(minion, glob):
            labels |= one["labels"]
            availability = one["availability"] or availability
    return {"labels": labels, "availability": availability}


def label_texts(labels: dict) -> dict[str, str]:
    """Return labels in Docker's form, without the labels that are to be removed."""
    return swarm_values.table({key: value for key, value in labels.items() if value is not None})


def role(node: dict) -> str:
    """Return the role in a node's spec."""
    return node["Spec"]["Role"]


def managers(nodes: list[dict]) -> list[dict]:
    """Return the nodes that are managers."""
    return [one for one in nodes if one.get("ManagerStatus")]


def is_half_demoted(node: dict) -> bool:
    """Check whether a node's role is worker while Raft still counts it as a manager."""
    return role(node) == WORKER and bool(node.get("ManagerStatus"))


def is_half_promoted(node: dict) -> bool:
    """
    Check whether an offline node was promoted and has not become a manager yet.

    Docker reverts a promotion only for a node in Raft; the node becomes a manager when it is back.
    """
    return _is_promoted(node) and is_away(node)


def is_coming(node: dict) -> bool:
    """Check whether a node that is online was promoted and is not in Raft yet."""
    return _is_promoted(node) and not is_away(node)


def _is_promoted(node: dict) -> bool:
    return role(node) == MANAGER and not node.get("ManagerStatus")


def is_lost_vote(node: dict) -> bool:
    """Check whether Raft still counts the vote of a node that already acts as a worker."""
    return is_half_demoted(node) and not is_reachable(node)


def is_reachable(node: dict) -> bool:
    """Check whether a manager is reachable in Raft."""
    return (node.get("ManagerStatus") or {}).get("Reachability") == "reachable"


def without_echo(nodes: list[dict]) -> list[dict]:
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


def raft_address(node: dict) -> str | None:
    """Return the address at which other nodes contact a manager, ``None`` for a worker."""
    place = (node.get("ManagerStatus") or {}).get("Addr")
    return swarm_address.host(place) if place else None


def is_leader(node: dict) -> bool:
    """Check whether a manager is the leader."""
    return bool((node.get("ManagerStatus") or {}).get("Leader"))


def by_id(nodes: list[dict]) -> dict[str, dict]:
    """Return the nodes by their IDs."""
    return {one["ID"]: one for one in nodes}


def doubles(claims: dict[str, str], nodes: list[dict], settings: dict) -> list[str]:
    """
    Return a problem text for each node ID that several minions report.

    The reports do not show which minion is right, so the remedy never is that a manager leaves: a
    worker may lie. The host name in the cluster's list is shown for comparison.
    """
    known = by_id(nodes)
    by_node: dict[str, list[str]] = {}
    for minion, node in claims.items():
        by_node.setdefault(node, []).append(minion)
    return [
        _doubled(node, minions, known.get(node), settings["managers"])
        for node, minions in by_node.items()
        if len(minions) > 1
    ]


def _doubled(node: str, minions: list[str], listed: dict | None, managers: dict) -> str:
    name = f", which the cluster lists as {title(listed)}" if listed else ""
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


def _labels(current: dict, wanted: dict, exact: bool) -> dict:
    """Return the wanted labels of a node."""
    kept = {} if exact else {key: one for key, one in current.items() if key not in wanted}
    return {**kept, **label_texts(wanted)}


def change(minion: str, node: dict, settings: dict) -> Change | None:
    """Return the changes that the pillar requires for a node, ``None`` if there are none."""
    wanted = settings_of(minion, settings["nodes"])
    spec, changes = {}, {}
    have = node["Spec"].get("Labels") or {}
    labels = _labels(have, wanted["labels"], settings["builtin"]["exact_labels"])
    if labels != have:
        spec["Labels"] = labels
        changes["labels"] = {"old": have, "new": labels}
    availability = wanted["availability"]
    if availability and availability != node["Spec"]["Availability"]:
        spec["Availability"] = availability
        changes["availability"] = {"old": node["Spec"]["Availability"], "new": availability}
    due = MANAGER if minion in settings["managers"] else WORKER
    if (due != role(node) and not is_half_promoted(node)) or (
        due == WORKER and is_half_demoted(node)
    ):
        changes["role"] = {"old": MANAGER if is_half_demoted(node) else role(node), "new": due}
    if not changes:
        return None
    return Change(minion, node["ID"], due if "role" in changes else None, spec, changes)


def changes(nodes: list[dict], claims: dict[str, str], settings: dict) -> list[Change]:
    """
    Return the changes in order: first nodes that Raft counts although they act as workers, then
    promotions before demotions, and unreachable managers before reachable ones.

    As long as no manager in the pillar is in the cluster, the old managers keep their role.
    """
    known, sure = by_id(nodes), believed(claims, settings["managers"])
    found = [
        change(minion, known[node], settings) for minion, node in sure.items() if node in known
    ]
    me = settings["id"]
    if not any(sure.get(one) in known for one in settings["managers"]):
        found = [_without_role(one) for one in found if one]

    def order(one: Change) -> tuple:
        node = known[one.node]
        alive = is_reachable(node)
        return not is_lost_vote(node), one.role == WORKER, alive, one.minion == me, one.minion

    return sorted(filter(None, found), key=order)


def _without_role(found: Change) -> Change | None:
    rest = {key: one for key, one in found.changes.items() if key != "role"}
    return found._replace(role=None, changes=rest) if rest else None


def promised(settings: dict) -> dict:
    """Return the changes that the first manager will make after it has created the cluster."""
    me = settings["id"]
    if not is_first(settings):
        return {}
    role = {"role": {"old": WORKER, "new": MANAGER}}
    others = {one: role for one in settings["managers"] if one != me}
    given = settings_of(me, settings["nodes"])
    found = {
        "labels": label_texts(given["labels"]),
        "availability": given["availability"] if given["availability"] != "active" else None,
    }
    mine = {key: {"old": None, "new": one} for key, one in found.items() if one}
    return {**others, **({me: mine} if mine else {})}


def believed(claims: dict[str, str], managers: dict) -> dict[str, str]:
    """Drop node IDs that several minions report, unless exactly one of them is in ``managers``."""
    found = {}
    for minion, node in claims.items():
        rivals = {one for one, other in claims.items() if other == node} - {minion}
        if not rivals or (minion in managers and rivals.isdisjoint(managers)):
            found[minion] = node
    return found


def refusal(nodes: list[dict], node: str, doing: str) -> str | None:
    """Return why a manager must not be removed, ``None`` if it may or is not a manager."""
    all_managers = managers(nodes)
    if node not in {one["ID"] for one in all_managers}:
        return None
    rest = [one for one in all_managers if one["ID"] != node]
    if not rest:
        return f"{doing} {node} was refused: it is the last manager"
    alive = sum(map(is_reachable, rest))
    # The current managers need a quorum to remove it, and the remaining ones need their own.
    need = max(majority(len(all_managers)) - is_reachable(by_id(nodes)[node]), majority(len(rest)))
    if alive >= need:
        return None
    away = ", ".join(title(one) for one in rest if not is_reachable(one))
    return (
        f"{doing} {title(by_id(nodes)[node])} would cost the quorum: {need} of the other"
        f" {len(rest)} managers are needed, and {alive} are reachable; bring {away} up first"
    )


def pause_refusal(nodes: list[dict], node: str) -> str | None:
    """Return why a manager must not go offline, ``None`` if the others keep the quorum."""
    all_managers = managers(nodes)
    alive = sum(is_reachable(one) for one in all_managers if one["ID"] != node)
    need = majority(len(all_managers))
    if alive >= need:
        return None
    return (
        f"to stop the engine of {title(by_id(nodes)[node])} would cost the quorum: {need} of"
        f" {len(all_managers)} managers are needed, and without it {alive} would be there"
    )


def restart_refusal(nodes: list[dict], node: str) -> str | None:
    """Return why an engine must not restart; two managers recover from it if both are reachable."""
    others = [one for one in managers(nodes) if one["ID"] != node]
    return None if all(map(is_reachable, others)) else pause_refusal(nodes, node)


def title(node: dict) -> str:
    """Return a node's host name and ID."""
    return f"{node['Description'].get('Hostname') or '?'} ({node['ID']})"


def is_down(node: dict) -> bool:
    """Check whether the managers report a node as down."""
    return node["Status"]["State"] == "down"


def is_lost(node: dict) -> bool | None:
    """
    Check whether a manager is gone; ``None`` while the others cannot tell.

    A new leader lists each node as unknown until it reports, and as reachable for a while.
    """
    if is_down(node):
        return True if not is_reachable(node) else None
    return False if node["Status"]["State"] == "ready" else None


def is_away(node: dict) -> bool:
    """Check whether a node is in any state but ready."""
    return node["Status"]["State"] != "ready"


def lost_managers(nodes: list[dict], claims: dict[str, str], settings: dict) -> list[dict]:
    """
    Return the managers that are not ready and that no minion reports as its node.

    Only if every manager in the pillar is another node of the cluster: a host was replaced.
    """
    known = by_id(nodes)
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
        and is_away(one)
    ]


def strangers(nodes: list[dict], claims: dict[str, str]) -> list[str]:
    """Return a problem text for each reachable manager that no minion reports as its node."""
    return [
        f"{title(one)} is a manager of the cluster, but no minion of pillar: demote it, or have its"
        " minion apply swarm"
        for one in nodes
        if one.get("ManagerStatus") and is_reachable(one) and one["ID"] not in claims.values()
    ]


def stamp(text: str) -> float:
    """Return Docker's time (``2026-01-02T03:04:05.678901234Z``) in seconds since the epoch."""
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))


def expired(nodes: list[dict], claims: dict[str, str], settings: dict, now: float) -> list[dict]:
    """
    Return the nodes to prune: workers that are down for longer than ``prune_after``, or whose host
    has joined again as another node; and nodes that never came up, because an interrupted join
    leaves a node without a host name.
    """
    claimed, after = set(claims.values()), settings["builtin"]["prune_after"]
    there = {_address(one) for one in nodes if one["ID"] in claimed and not is_down(one)}
    return [
        one
        for one in nodes
        if _has_never_come(one, claimed, now)
        or (
            is_down(one)
            and not one.get("ManagerStatus")
            and (
                (one["ID"] not in claimed and _address(one) and _address(one) in there)
                or (after is not None and now - stamp(one["UpdatedAt"]) > after)
            )
        )
    ]


def _has_never_come(node: dict, claimed: set[str], now: float) -> bool:
    nameless = not node["Description"].get("Hostname") and node["ID"] not in claimed
    waits = node["Status"]["State"] == "unknown" and not node.get("ManagerStatus")
    return nameless and waits and now - stamp(node["CreatedAt"]) > _COMING


def _address(node: dict) -> str | None:
    # For a node that was never reached, Docker reports a placeholder instead of an address.
    address = node["Status"].get("Addr")
    return None if address in {"", "0.0.0.0", None} else address  # noqa: S104


def only(nodes: list[dict], node: str) -> dict:
    """Return the node with this ID; raise an error if the cluster has none."""
    found = by_id(nodes).get(node)
    if found is None:
        raise swarm_errors.SwarmError(f"the cluster knows no node {node}")
    return found


def status(node: dict) -> str:
    """Return a node's state in one word: ``Ready``, or why it is not ready for tasks."""
    state = node["Status"]["State"].capitalize()
    if state == "Ready" and node.get("ManagerStatus") and not is_reachable(node):
        return "Unreachable"
    availability = node["Spec"]["Availability"]
    return state if state != "Ready" or availability == "active" else availability.capitalize()


def as_managers(nodes: list[dict], minions: dict[str, str]) -> dict[str, dict]:
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
