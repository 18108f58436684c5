"""
Drain a node in swarm mode before its engine restarts, and restore its availability. On managers.

The former availability is kept in a label of the node, which the update that drains the node also
sets: if a host is lost in between, the next apply finds the label, and restores only what the
formula has drained.
"""

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from swarm_formula.cluster import node_claims, node_info, raft_lock, swarm_api, update
from swarm_formula.core import member_rules
from swarm_formula.core.settings_types import Settings
from swarm_formula.docker import engine_api
from swarm_formula.salt import minion_reports

_DRAIN = "drain"
# What Docker's scheduler reports for a task that no node can take.
_UNPLACEABLE = "no suitable node"
WOULD = "would be drained first"
UNASKED = "not drained: without a master, a worker cannot ask the managers for it"
ENDED = "not drained: somebody has ended its turn"


class Answer(NamedTuple):
    """The state of a drain."""

    missing: str | None  # what it waits for, None when done
    without: str = ""  # why the node is not drained


def without(nodes: list[dict[str, Any]], node: str) -> str:
    """Return why this node is not drained, as a sentence; empty if it can be. Pure."""
    found = node_info.by_id(nodes).get(node)
    if found is None:
        return "not drained: the cluster does not list the node"
    if found["Spec"]["Availability"] == _DRAIN and not node_info.drained_from(found):
        return "not drained by the formula: the node's availability is drain already"
    others = [one for one in nodes if one["ID"] != node and node_info.status(one) == "Ready"]
    if not others:
        return "not drained: no other node is ready to take its tasks"
    return ""


def drain(client: Any, before: dict[str, Any]) -> Answer:
    """
    Ensure that a node is drained, and that its services run elsewhere as before.

    before
        What ran when its host took the turn, see ``cluster.raft_lock.running``.
    """
    node = before["node"]
    nodes = swarm_api.nodes(client)
    found = node_info.by_id(nodes).get(node)
    if found is None or not node_info.drained_from(found):
        if why := without(nodes, node):
            return Answer(None, why)
        update.respec(client, node, _drained)
    return Answer(_running(client, before))


def _drained(spec: dict[str, Any]) -> dict[str, Any]:
    labels = {**(spec.get("Labels") or {}), node_info.DRAINED: spec["Availability"]}
    return {**spec, "Availability": _DRAIN, "Labels": labels}


def _running(client: Any, before: dict[str, Any]) -> str | None:
    """Return which tasks still run on the node, or which services do not run elsewhere yet."""
    with engine_api.translated("tasks of the cluster"):
        services = {one["ID"]: one["Spec"] for one in client.services()}
        tasks = client.tasks(filters={})
    # Containers that are attached to a network have a task as well, which stays.
    tasks = [one for one in tasks if one.get("ServiceID") in services]
    active = [one for one in tasks if one["Status"]["State"] == "running"]
    here = [one["ServiceID"] for one in active if one.get("NodeID") == before["node"]]
    if here:
        return f"{len(here)} task(s) still run on it: {_names(here, services)}"
    # The tasks of global services have no other node to go to.
    counts = {
        key: count
        for key, count in before["services"].items()
        if "Replicated" in (services.get(key, {}).get("Mode") or {})
    }
    lacking = _fewer(tasks, active, counts)
    named = _names(lacking, services)
    return f"fewer tasks than before run on the other nodes: {named}" if lacking else None


def _names(which: Iterable[str], services: dict[str, dict[str, Any]]) -> str:
    return ", ".join(sorted({services[one].get("Name") or one for one in which}))


def _fewer(
    tasks: list[dict[str, Any]], active: list[dict[str, Any]], counts: dict[str, int]
) -> list[str]:
    """Return the services that run fewer tasks than these, unless no node can take their tasks."""
    have = [one["ServiceID"] for one in active]
    stuck = {one["ServiceID"] for one in tasks if _is_unplaceable(one)}
    return [key for key, count in counts.items() if have.count(key) < count and key not in stuck]


def _is_unplaceable(task: dict[str, Any]) -> bool:
    status = task["Status"]
    return status["State"] == "pending" and _UNPLACEABLE in (status.get("Err") or "")


def restore(client: Any, node: str | None, wanted: str | None) -> str | None:
    """
    Restore the availability of a node that the formula has drained; return it, else ``None``.

    An availability that somebody has set in the meantime stays.

    wanted
        The availability that the pillar sets for the node, which takes precedence.
    """
    found = node_info.by_id(swarm_api.nodes(client)).get(node or "")
    if found is None or not (former := node_info.drained_from(found)):
        return None

    def restored(spec: dict[str, Any]) -> dict[str, Any]:
        labels = dict(spec.get("Labels") or {})
        labels.pop(node_info.DRAINED, None)
        now = (wanted or former) if spec["Availability"] == _DRAIN else spec["Availability"]
        return {**spec, "Availability": now, "Labels": labels}

    update.respec(client, found["ID"], restored)
    return wanted or former


def restore_of(client: Any, node: str | None, minion: str, settings: Settings) -> str | None:
    """Restore the availability of the node of a minion (empty: unknown), see ``restore``."""
    given = member_rules.settings_of(minion, settings["nodes"]) if minion else None
    wanted = given["availability"] if given else None
    return restore(client, node, wanted)


def left(client: Any, nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the nodes that a lost run has left drained: those whose host has no turn now."""
    drained = [one for one in nodes if node_info.drained_from(one)]
    if not drained:
        return []
    turn = raft_lock.find(client)
    alive = turn and raft_lock.verdict(turn, "", time.time()) == raft_lock.HELD
    busy = turn.before.get("node") if turn and alive else None
    return [one for one in drained if one["ID"] != busy]


def node_of(
    caller: str, claims: dict[str, str], nodes: list[dict[str, Any]], settings: Settings
) -> str | None:
    """
    Return the node of the minion that asks, ``None`` if that is not certain. Pure.

    A minion reports its node ID itself; the host name in the cluster's list has to agree, so that
    no worker can have the node of another host drained.
    """
    node = node_claims.believed(claims, settings["managers"]).get(caller)
    found = node_info.by_id(nodes).get(node or "")
    named = found and found["Description"].get("Hostname") in minion_reports.names(caller)
    return node if named else None


def uncertain(caller: str) -> str:
    """Return that a minion's node is not certain."""
    return (
        f"not drained: the managers are not certain which node is {caller}: its host name has to be"
        " the minion ID, with or without the domain, and no other minion may report the same node"
    )


# ---- the report


def outcome(why: str, seconds: float, missing: str | None, unanswered: bool = False) -> str:
    """
    Return what became of the drain, as text for the report.

    unanswered
        Whether nobody has told at last how far it is, and perhaps never.
    """
    if why:
        return why
    if missing and unanswered:
        return f"restarted after {seconds:.0f} s, and perhaps not drained: {missing}"
    if missing:
        return f"drained, but restarted after {seconds:.0f} s although not done: {missing}"
    return f"drained before the restart, in {seconds:.0f} s"


def report(text: str) -> dict[str, Any]:
    """Return the changes of a state with what became of the drain."""
    return {"drain": {"old": None, "new": text}} if text else {}


def remarks(changes: dict[str, Any]) -> Iterable[str]:
    """Return the sentences for a state's comment, by its changes."""
    found = changes.get("drain")
    return [f"Node: {found['new']}"] if found else []
