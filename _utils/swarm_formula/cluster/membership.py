"""
Decide the next step of a node towards membership in swarm mode, from the answers of Docker's API.

Pure. ``swarm`` is the section ``Swarm`` of ``/info``; ``records`` are the managers' records in
Salt's mine, ``{ID: {"cluster": ..., "node": ..., "address": ..., "token": ...}}``; ``claims`` are
the node IDs of the members, ``{ID: node ID}``.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from swarm_formula.cluster import donors
from swarm_formula.cluster.donors import listed
from swarm_formula.core import errors
from swarm_formula.core.settings_types import Settings

NOTHING, INIT, JOIN, REJOIN, WAIT, UNLOCK = "nothing", "init", "join", "rejoin", "wait", "unlock"
RESTART = "restart"

# Part of Docker's error if a node cannot become a manager, because the manager through which it
# joined is no longer one: until its next start, engine 20.10 does not ask another manager.
_CANNOT_PROMOTE = "can't initialize raft node"


class Step(NamedTuple):
    """The next action, and its reason."""

    what: str
    why: str = ""


def manager(swarm: Mapping[str, Any]) -> bool:
    """Check whether this node is a manager."""
    return bool(swarm.get("ControlAvailable"))


def cluster_id(swarm: Mapping[str, Any]) -> str:
    """Return the cluster's ID; only managers report it."""
    return (swarm.get("Cluster") or {}).get("ID") or ""


def remote_managers(swarm: Mapping[str, Any]) -> set[str]:
    """Return the node IDs of the managers that this node knows."""
    return {one["NodeID"] for one in swarm.get("RemoteManagers") or []}


def manager_addresses(swarm: Mapping[str, Any]) -> list[str]:
    """Return the addresses, with ports, of the managers that this node knows."""
    return sorted(one.get("Addr") or "" for one in swarm.get("RemoteManagers") or [])


def is_demoted(swarm: Mapping[str, Any]) -> bool:
    """
    Check whether this node is a worker, and no demotion is in progress.

    A worker gets the list of managers from the leader, which takes it from Raft. As long as this
    node is in the list, it counts as a voter.
    """
    return not manager(swarm) and swarm.get("NodeID") not in remote_managers(swarm)


def manager_ports(swarm: Mapping[str, Any]) -> dict[str, int]:
    """Return the port in the address of each manager that this node knows, ``{node ID: port}``."""
    found = {one["NodeID"]: one.get("Addr") or "" for one in swarm.get("RemoteManagers") or []}
    ports = {node: place.rpartition(":")[2] for node, place in found.items()}
    return {node: int(port) for node, port in ports.items() if port.isdigit()}


def other_port(swarm: Mapping[str, Any], settings: Settings) -> list[str]:
    """Return a warning if managers listen on other ports than ``swarm:builtin:port``."""
    wanted = settings["builtin"]["port"]
    found = sorted(set(manager_ports(swarm).values()) - {wanted})
    if not found:
        return []
    have = " and ".join(map(str, found))
    return [
        f"swarm:builtin:port is {wanted}, but managers of this cluster have joined with {have}: a"
        " node takes its port with it, and that cannot be changed in a running cluster. Set"
        f" swarm:builtin:port to {found[0]}"
    ]


def is_first(settings: Settings) -> bool:
    """Check whether this is the pillar's first manager; it creates a cluster if none is known."""
    return settings["id"] == next(iter(settings["managers"]))


def step(
    swarm: Mapping[str, Any],
    settings: Settings,
    records: Mapping[str, dict[str, Any]],
    claims: Mapping[str, str] | None = None,
    listed: Mapping[str, Any] | None = None,
) -> Step:
    """
    Return the next step into the cluster; raise an error if an operator has to decide.

    listed
        The return of ``swarm_leader.list_nodes`` on a manager, if one was asked.
    """
    state, nodes = swarm.get("LocalNodeState") or "inactive", (listed or {}).get("nodes", {})
    node = swarm.get("NodeID") or (claims or {}).get(settings["id"]) or ""
    if state in {"active", "pending"} and is_removed(swarm, nodes):
        return Step(REJOIN, removed(settings, swarm))
    if state == "active":
        # A node that is listed by a manager in the pillar is in its cluster.
        return Step(NOTHING) if node in nodes else _active(swarm, settings, records, claims or {})
    if state == "error" and nodes.get(node, "") is None:
        return Step(REJOIN, f"the raft does not count it: {swarm.get('Error')}")
    if state == "pending":
        return _pending(swarm, settings, nodes)
    if state in {"locked", "error"}:
        return _locked(settings) if state == "locked" else _failed(swarm, settings, records)
    return _inactive(settings, records, claims or {})


def is_removed(swarm: Mapping[str, Any], nodes: Mapping[str, str | None]) -> bool:
    """
    Check whether a manager's list shows that a worker was removed from the cluster: the list has a
    manager of before that the worker knows, and not the worker itself.
    """
    known = not remote_managers(swarm).isdisjoint(nodes)
    return known and not manager(swarm) and swarm.get("NodeID") not in nodes


def removed(settings: Settings, swarm: Mapping[str, Any]) -> str:
    """Return the reason why a node that the managers do not list joins again."""
    return (
        f"the managers do not list its node {swarm['NodeID']}: it was removed, and"
        f" {settings['id']} joins again as a new node"
    )


def _pending(swarm: Mapping[str, Any], settings: Settings, nodes: Mapping[str, str | None]) -> Step:
    node = swarm.get("NodeID") or ""
    if nodes.get(node, "") is None and manager(swarm):
        # It was demoted while it was offline, and cannot learn of it: its Raft has no leader.
        return Step(REJOIN, f"it takes itself for a manager, and node {node} is none any more")
    if nodes.get(node, "") is None and not _finds(swarm, nodes):
        why = f"none of the managers that its engine knows is one any more, and node {node} is none"
        return Step(REJOIN, why)
    # It must not leave by itself: a manager restarted without its quorum is pending, too.
    why = NO_LEADER if manager(swarm) else "the engine waits for a manager that takes it in"
    cure = f"salt {settings['id']} swarm_builtin.leave force=True, and apply again"
    return Step(
        WAIT,
        f"{why}. If the other managers are well, and only this node is not: {cure}; it refuses"
        " what would cost the cluster",
    )


def _finds(swarm: Mapping[str, Any], nodes: Mapping[str, str | None]) -> bool:
    """Check whether an engine knows a manager in the list, from which it learns of the others."""
    return any(nodes.get(one) for one in remote_managers(swarm))


def _active(
    swarm: Mapping[str, Any],
    settings: Settings,
    records: Mapping[str, dict[str, Any]],
    claims: Mapping[str, str],
) -> Step:
    if manager(swarm) and not cluster_id(swarm):
        # Cut off, or alone: it reports no cluster, which does not mean that it is in another one.
        return Step(WAIT, NO_LEADER)
    if is_elsewhere(swarm, settings, records, claims):
        raise errors.SwarmError(elsewhere(swarm, settings, records))
    return Step(NOTHING)


NO_LEADER = (
    "its cluster has no leader: a majority of the managers has to be up. If they are lost for good,"
    " 'salt ID swarm_backup.force_new_cluster' on one manager makes it the only one; it refuses"
    " while another one may be alive"
)


def is_elsewhere(
    swarm: Mapping[str, Any],
    settings: Settings,
    records: Mapping[str, dict[str, Any]],
    claims: Mapping[str, str] | None = None,
) -> bool:
    """Check whether this node seems to be in another cluster than the managers in the pillar."""
    others = donors.others(settings, records)
    if not others:
        return False
    if manager(swarm):
        return cluster_id(swarm) not in {one["cluster"] for one in others.values()}
    # A manager that was just added, or is no longer one, belongs to the cluster as well.
    known = remote_managers(swarm) - {swarm.get("NodeID")}
    friends = {one["node"] for one in records.values()} | set((claims or {}).values())
    return bool(known) and known.isdisjoint(friends)


def elsewhere(
    swarm: Mapping[str, Any], settings: Settings, records: Mapping[str, dict[str, Any]]
) -> str:
    """Return the error message for a node that is in another cluster."""
    me, others = settings["id"], donors.others(settings, records)
    text = (
        f"{me} is in another cluster than {listed(others)} of swarm:managers, maybe by an old disk;"
        " nothing was changed"
    )
    if not manager(swarm):
        cure = f"salt {me} swarm_builtin.leave, and apply again"
        return f"{text}. If that other cluster is not wanted: {cure}"
    clusters = sorted({one["cluster"] for one in others.values()})
    return (
        f"{text}. Here it is {cluster_id(swarm)}, there {listed(clusters)}: look which one has your"
        f" services ('docker service ls'). If it is the one of {me}, name its managers in"
        f" swarm:managers. To give up the cluster of {me} and its services for good: salt {me}"
        " swarm_builtin.leave force=True lose_cluster=True, and apply again"
    )


def moved(
    former: str, swarm: Mapping[str, Any], settings: Settings, records: Mapping[str, dict[str, Any]]
) -> Step | None:
    """
    Return the step of a worker that must not become a manager at its former address.

    It loses nothing but its tasks, which run elsewhere; Raft must not count it.
    """
    due = settings["is_manager"] and is_demoted(swarm)
    if not (former and due and donors.reachable(settings, records)):
        return None
    return Step(
        REJOIN,
        f"it advertises {former}, an address that this host has no more, and is to be a manager:"
        f" it joins again with {settings['address']}",
    )


def wrong_role(swarm: Mapping[str, Any], settings: Settings) -> str | None:
    """Return why a node does not have the role from the pillar yet, ``None`` if it has."""
    me, due = settings["id"], settings["is_manager"]
    asked = (
        "the leader of the cluster has to apply swarm, or the master's configuration lets minions"
        " ask for it (peer, see the state swarm.master)"
    )
    if manager(swarm) and not due:
        text = f"one of {listed(settings['managers'])} has to be in the cluster and ready, and then"
        return f"{me} is a manager and is to be a worker: {text} {asked}"
    if due and not manager(swarm):
        return f"{me} is a worker and is to be a manager: {asked}"
    if not due and not is_demoted(swarm):
        return f"{me} is a worker, and the managers still count it as one of them: {asked}"
    return None


def _locked(settings: Settings) -> Step:
    if settings["builtin"]["unlock_key"]:
        return Step(UNLOCK, "the manager is locked")
    raise errors.SwarmError(
        f"the manager {settings['id']} is locked: name the key's place in"
        " swarm:builtin:unlock_key, or run 'docker swarm unlock' there"
    )


def _failed(
    swarm: Mapping[str, Any], settings: Settings, records: Mapping[str, dict[str, Any]]
) -> Step:
    """
    Return the least costly step to repair a failed swarm mode.

    After a restart of the engine, the node is still in the cluster. A worker has nothing to lose
    and rejoins; a manager may hold the last copy of the Raft state.
    """
    me, said = settings["id"], swarm.get("Error") or ""
    if not said and swarm.get("NodeID"):
        return Step(RESTART, "swarm mode goes on after an error, and the engine still shows that")
    if _CANNOT_PROMOTE in said and me not in records:
        return Step(RESTART, f"it cannot become a manager: {said}")
    said = said or "no reason given"
    if not settings["is_manager"] and me not in records and set(records) - {me}:
        return Step(REJOIN, said)
    raise errors.SwarmError(
        f"swarm mode on {me} has failed: {said}. Nothing was changed, for a manager may hold the"
        f" last copy of the cluster. A restart of the engine of {me} loses nothing. If that does"
        " not help and other managers are well:"
        f" salt {me} swarm_builtin.leave force=True, which refuses what would cost the cluster, and"
        " apply again"
    )


def _inactive(
    settings: Settings, records: Mapping[str, dict[str, Any]], claims: Mapping[str, str]
) -> Step:
    me, managers = settings["id"], settings["managers"]
    others = {name: one for name, one in records.items() if name != me}
    # A manager of the pillar that is in a cluster may tell of it any time, as in an apply on all.
    may_tell = (set(managers) & set(claims)) - {me}
    untold = errors.UntoldError if may_tell else errors.SwarmError
    if by := donors.donors(settings, records):
        return Step(JOIN, f"{listed(by)} know a cluster")
    if others:
        # A worker does not trust the record of a member that is not a manager in the pillar.
        return Step(
            WAIT,
            f"none of {listed(managers)} has told of the cluster of {listed(others)}",
        )
    if me in records:
        raise untold(_alone(me, records[me]["cluster"]))
    if not is_first(settings):
        return Step(WAIT, f"none of {listed(managers)} has told of a cluster")
    if claimed := sorted(set(claims) - {me}):
        raise untold(_unannounced(me, claimed))
    return Step(INIT, "no member knows a cluster")


def _alone(me: str, cluster: str) -> str:
    return (
        f"{me} was a manager of cluster {cluster} and is in none now, and no"
        " other manager is known: nothing was changed, so that no second cluster comes to be."
        " Bring the others up and apply to them first, or restore a backup. If the cluster is"
        f" lost for good, have it forgotten: salt {me} swarm_builtin.forget"
    )


def _unannounced(me: str, claimed: list[str]) -> str:
    return (
        f"{listed(claimed)} are in a cluster, and none of its managers has told of it: nothing"
        " was changed, so that no second cluster comes to be. Apply swarm on its managers and"
        f" then again on {me}. If that cluster is lost for good, have its nodes leave it: salt"
        f" -L {','.join(claimed)} swarm_builtin.leave. What a minion that will not be back has"
        " told goes with: salt-run cache.clear_mine_func tgt=ID"
        " clear_mine_func_flag=swarm_node"
    )
