"""
Promote nodes, and demote them one at a time, without a loss of the quorum.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from swarm_formula.cluster import membership, node_info, node_quorum, raft_lock, swarm_api, update
from swarm_formula.core import errors, normalize, wait
from swarm_formula.docker import engine_api

# Returns {minion ID: record}, see ``builtin.publication.record``.
Records = Callable[[], Mapping[str, Mapping[str, Any]]]

# Seconds without a change of another node before the leader demotes itself, and the limit of such
# waits.
_REST, _RESTLESS = 5, 30
# Seconds within which a new worker that is up has settled. An engine that misses the change of its
# role asks for the certificate of a worker after 16 s.
_SETTLES = 60
# How many nodes are promoted at once.
_TOGETHER = 2
# Seconds within which the leader records a role.
_NOTED = 5


def promote(client: Any, nodes: Iterable[str], timeout: float) -> None:
    """
    Promote workers, two at a time, and wait until they take part as managers.

    Each node joins Raft by itself, and the leader adds one after the other, with the consent of a
    majority of those before. In pairs, an odd number of managers becomes the next odd one; more at
    once might wait for each other for longer than the engine waits.

    A node that goes away meanwhile, for example because its engine fails, becomes a manager when it
    comes back; reporting that is left to its own host.
    """
    wanted = list(nodes)
    for first in range(0, len(wanted), _TOGETHER):
        _promote(client, wanted[first : first + _TOGETHER], timeout)


def _promote(client: Any, wanted: list[str], timeout: float) -> None:
    for node in wanted:
        if node_info.is_lost_vote(node_info.only(swarm_api.nodes(client), node)):
            # Its Raft state is gone, but its vote still counts: as a manager, its engine would
            # panic.
            demote(client, node, timeout)
    for node in wanted:
        update.update_node(client, node, Role=node_info.MANAGER)

    def probe() -> str | None:
        found = node_info.by_id(swarm_api.nodes(client))
        coming = [found[node] for node in wanted if node in found and _is_coming(found[node])]
        missing = [f"{one['Description'].get('Hostname')} is no manager yet" for one in coming]
        return ", and ".join(missing) or None

    wait.until(swarm_api.patient(probe), timeout)


def _is_coming(node: dict[str, Any]) -> bool:
    return not (node_info.is_half_promoted(node) or node_info.is_reachable(node))


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
    if not leaves and node == swarm_api.swarm(client).get("NodeID"):
        _await_rest(client, node)
    _await_returning(client, node, timeout, records)
    # The last check, for the quorum may change during the others.
    _await_quorum(client, node, timeout)
    update.update_node(client, node, Role=node_info.WORKER)

    def probe() -> str | None:
        now = swarm_api.swarm(client)
        if not membership.manager(now):
            # This node itself was demoted.
            return None if leaves else _unconfirmed(client, node, now)
        return _undemoted(client, node, now)

    wait.until(swarm_api.patient(probe), timeout)


def _unconfirmed(client: Any, node: str, now: dict[str, Any]) -> str | None:
    """
    Return what the demotion of this node itself waits for: the new leader has to confirm it.

    If the node went away before, the cluster might never have a leader again.
    """
    own = now.get("LocalNodeState") == "active" and membership.is_demoted(now)
    own = own and not swarm_api.is_certified_manager(client)
    return None if own else f"node {node} is no worker yet"


def _undemoted(client: Any, node: str, now: dict[str, Any]) -> str | None:
    """Return what a demotion waits for, as this manager sees it."""
    _unstick(client, node)
    known = swarm_api.nodes(client)
    still = node_info.only(known, node).get("ManagerStatus")
    # If all managers are demoted at the same time, the engine keeps the last one.
    last = len(node_info.managers(known)) == 1
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
        coming = [one for one in swarm_api.nodes(client) if node_info.is_coming(one)]
        names = ", ".join(map(node_info.title, coming))
        return (
            f"{names} becomes a manager, and node {node} stays one until then" if coming else None
        )

    try:
        wait.until(swarm_api.patient(probe), timeout)
    except errors.WaitTimeoutError:
        if not node_info.is_coming(node_info.only(swarm_api.nodes(client), node)):
            raise


def _await_rest(client: Any, node: str) -> None:
    """
    Wait until the other nodes have not changed for a moment, before the leader demotes itself.

    A node that has just been demoted gets its certificate as a worker from the leader. If it does
    not get one within half a minute, because nobody leads, its engine acts as a manager again, and
    Raft counts its vote again; then it gets the certificate, and the vote is lost.
    """

    def probe() -> str | None:
        others = [one for one in swarm_api.nodes(client) if one["ID"] != node]
        # Also an issued certificate is a change of a node.
        now = time.time()
        moving = [one for one in others if now - normalize.stamp(one["UpdatedAt"]) < _REST]
        return f"{', '.join(map(node_info.title, moving))} changes" if moving else None

    with contextlib.suppress(errors.WaitTimeoutError):
        wait.until(swarm_api.patient(probe), _RESTLESS)


def _await_quorum(client: Any, node: str, timeout: float) -> None:
    """Raise an error if a demotion would cost the quorum; wait for an engine in its turn first."""

    def probe() -> str | None:
        refused = node_quorum.refusal(swarm_api.nodes(client), node, "demoting")
        if refused and raft_lock.find(client) is None:
            raise errors.SwarmError(refused)
        return refused

    wait.until(probe, timeout)


def _await_returning(client: Any, node: str, timeout: float, records: Records) -> None:
    """
    Wait for former managers that would cost the quorum if they came back as such; raise an error
    if they stay away: one that starts or joins again in the same apply is not waited for in vain.
    """

    def look() -> tuple[str | None, list[dict[str, Any]]]:
        nodes = swarm_api.nodes(client)
        coming = node_quorum.returning(nodes, records(), time.time())
        return node_quorum.return_refusal(nodes, node, coming), coming

    def unsettled() -> str | None:
        refused, coming = look()
        return None if all(map(node_info.is_away, coming)) else refused

    with contextlib.suppress(errors.WaitTimeoutError):
        wait.until(swarm_api.patient(unsettled), min(timeout, _SETTLES))
    limit = min(timeout, _RESTLESS)
    wait.until(swarm_api.patient(lambda: look()[0]), limit, fixed=limit < timeout)


def _unstick(client: Any, node: str) -> None:
    """
    Make the leader continue a demotion that it considers done.

    An engine that is killed during a demotion comes back as a manager, joins Raft again, and only
    then learns that it is a worker. Raft counts it forever, because the leader removes a vote only
    when it changes the role. So the node is promoted, for no longer than the leader needs to record
    it: without the Raft log, its engine would panic as a manager.
    """
    workers = _acting(client, node_info.WORKER)
    if not node_info.is_half_demoted(workers.get(node, {"Spec": {"Role": None}})):
        return
    try:
        update.update_node(client, node, Role=node_info.MANAGER)
        wait.until(
            lambda: None if node in _acting(client, node_info.MANAGER) else "not noted", _NOTED
        )
    finally:
        update.update_node(client, node, Role=node_info.WORKER)


def _acting(client: Any, role: str) -> dict[str, dict[str, Any]]:
    """Return the nodes that actually have a role, whatever their spec is, by their IDs."""
    with engine_api.translated("nodes of the cluster"):
        return node_info.by_id(client.nodes(filters={"role": role}))


def is_lost(client: Any, node: str, timeout: float) -> bool:
    """
    Check whether a manager is gone, as soon as the other managers can tell.

    To continue earlier would leave its vote in Raft until the next apply, and the next loss might
    cost the quorum.
    """
    found: dict[str, bool | None] = {}

    def probe() -> str | None:
        one = node_info.by_id(swarm_api.nodes(client)).get(node)
        found[node] = node_info.is_lost(one) if one else False
        return f"nobody knows yet whether node {node} is up" if found[node] is None else None

    with contextlib.suppress(errors.WaitTimeoutError):
        wait.until(swarm_api.patient(probe), timeout)
    return bool(found.get(node))


def step_down(client: Any, node: str, timeout: float) -> bool:
    """Demote this node; return whether it is the last manager, which stays a manager."""

    def last() -> bool:
        manager = membership.manager(swarm_api.swarm(client))
        return manager and swarm_api.is_last_manager(client)

    if not last() and membership.manager(swarm_api.swarm(client)):
        demote(client, node, timeout, leaves=True)
    return last()
