"""
Promote and demote nodes one at a time, without a loss of the quorum.
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import swarm_docker
import swarm_errors
import swarm_membership
import swarm_mode
import swarm_mode_update
import swarm_node_quorum
import swarm_nodes
import swarm_raft_lock
import swarm_values
import swarm_wait

# Returns {minion ID: record}, see ``swarm_publication.record``.
Records = Callable[[], Mapping[str, Mapping]]

# Seconds without a change of another node before the leader demotes itself, and the limit of such
# waits.
_REST, _RESTLESS = 5, 30
# Seconds within which a new worker that is up has settled. An engine that misses the change of its
# role asks for the certificate of a worker after 16 s.
_SETTLES = 60
# Seconds within which the leader records a role.
_NOTED = 5


def promote(client: Any, node: str, timeout: float) -> None:
    """
    Promote a worker, and wait until it takes part as a manager.

    A node that goes away meanwhile, for example because its engine fails, becomes a manager when it
    comes back; reporting that is left to its own host.
    """
    if swarm_nodes.is_lost_vote(swarm_nodes.only(swarm_mode.nodes(client), node)):
        # Its Raft state is gone, but its vote still counts: as a manager, its engine would panic.
        demote(client, node, timeout)
    swarm_mode_update.update_node(client, node, Role=swarm_nodes.MANAGER)

    def probe() -> str | None:
        found = swarm_nodes.by_id(swarm_mode.nodes(client)).get(node)
        if not found or swarm_nodes.is_half_promoted(found) or swarm_nodes.is_reachable(found):
            return None
        return f"{found['Description'].get('Hostname')} is no manager yet"

    swarm_wait.until(swarm_mode.patient(probe), timeout)


def demote(
    client: Any, node: str, timeout: float, leaves: bool = False, records: Records = dict
) -> None:
    """
    Demote a manager, and wait until it is a worker: Raft no longer counts it, and if it is this
    node itself, the leader has confirmed that. Raises an error if it would cost the quorum.

    records
        Returns the managers' records in the mine. By default none: former managers that may come
        back as such do not count.

    leaves
        Whether this node itself leaves the cluster next. It then deletes its certificate, so it
        needs no worker's; if all managers leave together, no manager is left to sign one.
    """
    _await_promotions(client, node, timeout)
    if not leaves and node == swarm_mode.swarm(client).get("NodeID"):
        _await_rest(client, node)
    _await_returning(client, node, timeout, records)
    # The last check, for the quorum may change during the others.
    _await_quorum(client, node, timeout)
    swarm_mode_update.update_node(client, node, Role=swarm_nodes.WORKER)

    def probe() -> str | None:
        now = swarm_mode.swarm(client)
        if not swarm_membership.manager(now):
            # This node itself was demoted.
            return None if leaves else _unconfirmed(client, node, now)
        return _undemoted(client, node, now)

    swarm_wait.until(swarm_mode.patient(probe), timeout)


def _unconfirmed(client: Any, node: str, now: dict) -> str | None:
    """
    Return what the demotion of this node itself waits for: the new leader has to confirm it.

    If the node went away before, the cluster might never have a leader again.
    """
    own = now.get("LocalNodeState") == "active" and swarm_membership.is_demoted(now)
    own = own and not swarm_mode.is_certified_manager(client)
    return None if own else f"node {node} is no worker yet"


def _undemoted(client: Any, node: str, now: dict) -> str | None:
    """Return what a demotion waits for, as this manager sees it."""
    _unstick(client, node)
    known = swarm_mode.nodes(client)
    still = swarm_nodes.only(known, node).get("ManagerStatus")
    # If all managers are demoted at the same time, the engine keeps the last one.
    last = len(swarm_nodes.managers(known)) == 1
    if still and not last:
        return f"node {node} is still a manager"
    # The demoted node's own view is not enough: the others may not have the change yet.
    return f"node {node} still acts as one" if now["NodeID"] == node and not last else None


def _await_promotions(client: Any, node: str, timeout: float) -> None:
    """
    Wait until no promotion is under way, of this node or another.

    A node that is being promoted joins Raft by itself, and Raft then counts it, even if it was
    demoted in between or fails: the quorum would be another one than at the check.
    """

    def probe() -> str | None:
        coming = [one for one in swarm_mode.nodes(client) if swarm_nodes.is_coming(one)]
        names = ", ".join(map(swarm_nodes.title, coming))
        return (
            f"{names} becomes a manager, and node {node} stays one until then" if coming else None
        )

    try:
        swarm_wait.until(swarm_mode.patient(probe), timeout)
    except swarm_errors.WaitTimeoutError:
        if not swarm_nodes.is_coming(swarm_nodes.only(swarm_mode.nodes(client), node)):
            raise


def _await_rest(client: Any, node: str) -> None:
    """
    Wait until the other nodes have not changed for a moment, before the leader demotes itself.

    A node that has just been demoted gets its certificate as a worker from the leader. If it does
    not get one within half a minute, because nobody leads, its engine acts as a manager again, and
    Raft counts its vote again; then it gets the certificate, and the vote is lost.
    """

    def probe() -> str | None:
        others = [one for one in swarm_mode.nodes(client) if one["ID"] != node]
        # Also an issued certificate is a change of a node.
        now = time.time()
        moving = [one for one in others if now - swarm_values.stamp(one["UpdatedAt"]) < _REST]
        return f"{', '.join(map(swarm_nodes.title, moving))} changes" if moving else None

    with contextlib.suppress(swarm_errors.WaitTimeoutError):
        swarm_wait.until(swarm_mode.patient(probe), _RESTLESS)


def _await_quorum(client: Any, node: str, timeout: float) -> None:
    """Raise an error if a demotion would cost the quorum; wait for an engine in its turn first."""

    def probe() -> str | None:
        refused = swarm_node_quorum.refusal(swarm_mode.nodes(client), node, "demoting")
        if refused and swarm_raft_lock.find(client) is None:
            raise swarm_errors.SwarmError(refused)
        return refused

    swarm_wait.until(probe, timeout)


def _await_returning(client: Any, node: str, timeout: float, records: Records) -> None:
    """
    Wait for former managers that would cost the quorum if they came back as such; raise an error
    if they stay away: one that starts or joins again in the same apply is not waited for in vain.
    """

    def look() -> tuple[str | None, list[dict]]:
        nodes = swarm_mode.nodes(client)
        coming = swarm_node_quorum.returning(nodes, records(), time.time())
        return swarm_node_quorum.return_refusal(nodes, node, coming), coming

    def unsettled() -> str | None:
        refused, coming = look()
        return None if all(map(swarm_nodes.is_away, coming)) else refused

    with contextlib.suppress(swarm_errors.WaitTimeoutError):
        swarm_wait.until(swarm_mode.patient(unsettled), min(timeout, _SETTLES))
    limit = min(timeout, _RESTLESS)
    swarm_wait.until(swarm_mode.patient(lambda: look()[0]), limit, fixed=limit < timeout)


def _unstick(client: Any, node: str) -> None:
    """
    Make the leader continue a demotion that it considers done.

    An engine that is killed during a demotion comes back as a manager, joins Raft again, and only
    then learns that it is a worker. Raft counts it forever, because the leader removes a vote only
    when it changes the role. So the node is promoted, for no longer than the leader needs to record
    it: without the Raft log, its engine would panic as a manager.
    """
    workers = _acting(client, swarm_nodes.WORKER)
    if not swarm_nodes.is_half_demoted(workers.get(node, {"Spec": {"Role": None}})):
        return
    try:
        swarm_mode_update.update_node(client, node, Role=swarm_nodes.MANAGER)
        swarm_wait.until(
            lambda: None if node in _acting(client, swarm_nodes.MANAGER) else "not noted", _NOTED
        )
    finally:
        swarm_mode_update.update_node(client, node, Role=swarm_nodes.WORKER)


def _acting(client: Any, role: str) -> dict[str, dict]:
    """Return the nodes that actually have a role, whatever their spec is, by their IDs."""
    with swarm_docker.translated("nodes of the cluster"):
        return swarm_nodes.by_id(client.nodes(filters={"role": role}))


def is_lost(client: Any, node: str, timeout: float) -> bool:
    """
    Check whether a manager is gone, as soon as the other managers can tell.

    To continue earlier would leave its vote in Raft until the next apply, and the next loss might
    cost the quorum.
    """
    found: dict[str, bool | None] = {}

    def probe() -> str | None:
        one = swarm_nodes.by_id(swarm_mode.nodes(client)).get(node)
        found[node] = bool(one) and swarm_nodes.is_lost(one)
        return f"nobody knows yet whether node {node} is up" if found[node] is None else None

    with contextlib.suppress(swarm_errors.WaitTimeoutError):
        swarm_wait.until(swarm_mode.patient(probe), timeout)
    return bool(found.get(node))


def step_down(client: Any, node: str, timeout: float) -> bool:
    """Demote this node; return whether it is the last manager, which stays a manager."""

    def last() -> bool:
        manager = swarm_membership.manager(swarm_mode.swarm(client))
        return manager and swarm_mode.is_last_manager(client)

    if not last() and swarm_membership.manager(swarm_mode.swarm(client)):
        demote(client, node, timeout, leaves=True)
    return last()
