"""
Describe the nodes of a cluster in swarm mode, by the API's answers and the pillar. Pure.

``nodes`` is the response of ``/nodes``, and ``node`` one of them.
"""

import calendar
import fnmatch
import time
from collections.abc import Iterable, Mapping

import swarm_address
import swarm_errors
import swarm_values
from swarm_membership import manager

MANAGER, WORKER = "manager", "worker"
# The states in which a cluster lists a node: NodeState in Docker's API.
READY = "ready"
STATES = (READY, "down", "unknown", "disconnected")
# The label of a node that the formula has drained for a restart of its engine, with the
# availability that the node had before.
DRAINED = "swarm-formula.drained"


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
    return is_among(minion, map(str, globs))


def is_among(minion: str, globs: Iterable[str]) -> bool:
    """Check whether a minion matches one of these IDs and globs."""
    return any(fnmatch.fnmatchcase(minion, one) for one in globs)


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


def drained_from(node: dict) -> str | None:
    """Return the former availability of a node that the formula has drained, else ``None``."""
    found = (node["Spec"].get("Labels") or {}).get(DRAINED)
    # Docker would refuse a text that somebody has put there by hand.
    return found if found in {None, "active", "pause", "drain"} else "active"


def role(node: dict) -> str:
    """Return the role in a node's spec."""
    return node["Spec"]["Role"]


def own_role(swarm: dict) -> str:
    """Return the role that this node acts in, by the section ``Swarm`` of ``/info``."""
    return MANAGER if manager(swarm) else WORKER


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
    return False if node["Status"]["State"] == READY else None


def is_away(node: dict) -> bool:
    """Check whether a node is in any state but ready."""
    return node["Status"]["State"] != READY


def stamp(text: str) -> float:
    """Return Docker's time (``2026-01-02T03:04:05.678901234Z``) in seconds since the epoch."""
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))


def state(nodes: list[dict], node: str) -> str:
    """Return the state in which a node is listed, empty if it is not listed."""
    found = by_id(nodes).get(node)
    return found["Status"]["State"] if found else ""


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
            # The leader hears of a node that is ready all the time.
            "updated": "" if one["Status"]["State"] == READY else one["UpdatedAt"],
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
