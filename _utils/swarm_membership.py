"""
What a node has to do to be a member of the engine's swarm mode: decided from what the API says.

Pure. ``swarm`` is the part ``Swarm`` of ``/info``; ``records`` is what the managers of pillar have
left in Salt's mine, ``{ID: {"cluster": ..., "node": ..., "address": ..., "token": ...}}``.
"""

from collections.abc import Iterable
from typing import NamedTuple

import swarm_errors

NOTHING, INIT, JOIN, REJOIN, WAIT, UNLOCK = "nothing", "init", "join", "rejoin", "wait", "unlock"


class Step(NamedTuple):
    """What is to be done next, and why."""

    what: str
    why: str = ""


def manager(swarm: dict) -> bool:
    """Say whether this node is a manager."""
    return bool(swarm.get("ControlAvailable"))


def cluster_id(swarm: dict) -> str:
    """Return the cluster's ID; only managers know it."""
    return (swarm.get("Cluster") or {}).get("ID") or ""


def remote_managers(swarm: dict) -> set[str]:
    """Return the node IDs of the managers that this node knows."""
    return {one["NodeID"] for one in swarm.get("RemoteManagers") or []}


def is_first(settings: dict) -> bool:
    """Say whether this is the manager of pillar that makes the cluster, if nobody knows one."""
    return settings["id"] == next(iter(settings["managers"]))


def step(swarm: dict, settings: dict, records: dict) -> Step:
    """Return what brings this node into the cluster; an error where only a human may decide."""
    state = swarm.get("LocalNodeState") or "inactive"
    if state == "active":
        return _active(swarm, settings, records)
    if state == "pending":
        # Not mended by leaving: a manager that was restarted without its quorum is pending, too.
        cure = f"salt {settings['id']} swarm_builtin.leave force=True, and apply again"
        return Step(WAIT, f"the engine waits for a manager that takes it in; if none does: {cure}")
    if state == "locked":
        return _locked(settings)
    if state == "error":
        return _failed(swarm, settings, records)
    return _inactive(settings, records)


def _active(swarm: dict, settings: dict, records: dict) -> Step:
    me = settings["id"]
    if manager(swarm) and not cluster_id(swarm):
        # Cut off, or alone: what it says of its cluster is nothing, not that it is another one.
        return Step(WAIT, "its cluster has no leader: a majority of the managers has to be up")
    others = {name: one for name, one in records.items() if name != me}
    if not others:
        return Step(NOTHING)
    if manager(swarm):
        mine, theirs = cluster_id(swarm), {one["cluster"] for one in others.values()}
        wrong = mine not in theirs
    else:
        known = remote_managers(swarm)
        wrong = bool(known) and known.isdisjoint(one["node"] for one in records.values())
    if wrong:
        raise swarm_errors.SwarmError(
            f"{me} is in another cluster than {_list(others)} of swarm:managers, maybe by an old"
            f" disk; nothing was changed. If that other cluster is not wanted: salt {me}"
            " swarm_builtin.leave force=True, and apply again"
        )
    return Step(NOTHING)


def _locked(settings: dict) -> Step:
    if settings["builtin"]["unlock_key"]:
        return Step(UNLOCK, "the manager is locked")
    raise swarm_errors.SwarmError(
        f"the manager {settings['id']} is locked: name the key's place in"
        " swarm:builtin:unlock_key, or run 'docker swarm unlock' there"
    )


def _failed(swarm: dict, settings: dict, records: dict) -> Step:
    """A worker has nothing to lose and joins anew; a manager may hold the last copy of the raft."""
    said = swarm.get("Error") or "no reason given"
    others = {name for name in records if name != settings["id"]}
    if not settings["is_manager"] and others:
        return Step(REJOIN, said)
    raise swarm_errors.SwarmError(
        f"swarm mode on {settings['id']} has failed: {said}. Nothing was changed, for a manager"
        f" may hold the last copy of the cluster. If other managers are well: salt"
        f" {settings['id']} swarm_builtin.leave force=True, and apply again"
    )


def _inactive(settings: dict, records: dict) -> Step:
    me, managers = settings["id"], settings["managers"]
    if records:
        if all(name == me for name in records):
            raise swarm_errors.SwarmError(
                f"{me} was a manager of cluster {records[me]['cluster']} and is in none now, and no"
                " other manager of pillar is known: nothing was changed, so that no second cluster"
                " comes to be. Bring the others up and apply to them first, restore a backup, or"
                f" have the cluster forgotten: salt {me} swarm_builtin.forget"
            )
        return Step(JOIN, f"{_list(records)} know a cluster")
    if is_first(settings):
        return Step(INIT, "no manager of pillar knows a cluster")
    return Step(WAIT, f"none of {_list(managers)} has told of a cluster")


def reachable(settings: dict, records: dict) -> dict[str, str]:
    """Return ``{ID: token}`` of the managers to ask to be taken in, in the order of pillar."""
    return {
        name: records[name]["token"]
        for name in settings["managers"]
        if name in records and name != settings["id"] and records[name].get("token")
    }


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
