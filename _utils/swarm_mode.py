"""
Call the swarm mode API of the engine, and wait for the effects of the calls.
"""

import contextlib
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import swarm_address
import swarm_cluster
import swarm_docker
import swarm_errors
import swarm_files
import swarm_leave
import swarm_membership
import swarm_nodes
import swarm_peers
import swarm_pki
import swarm_raft_lock
import swarm_wait
from swarm_address import endpoint

# After 20 s, the engine stops waiting for a join, and continues it in the background.
_GOES_ON = "will continue in the background"
# Seconds for which the join may continue.
_COMES = 60
# Seconds without a change of another node before the leader demotes itself, and the limit.
_REST, _RESTLESS = 5, 30
_STALE = "update out of sequence"
_TRIES = 5
_KNOCK = 2
_CERTIFICATE = "swarm/certificates/swarm-node.crt"
# Seconds within which the leader records a role.
_NOTED = 5


def connect(salt: Mapping[str, Callable]) -> contextlib.AbstractContextManager:
    """Return a context manager that yields a client of this host's engine."""
    return swarm_docker.connect(salt["config.get"]("swarm_docker_url"), what="swarm mode")


def swarm(client: Any) -> dict:
    """Return the section ``Swarm`` of the engine's ``/info``."""
    return client.info().get("Swarm") or {}


def is_certified_manager(client: Any) -> bool:
    """
    Check whether this node still has the certificate of a manager.

    No API reports it. An engine that starts with it joins Raft, whatever role the leader has set.
    """
    place = Path(client.info()["DockerRootDir"] or "/var/lib/docker") / _CERTIFICATE
    with contextlib.suppress(OSError):
        return "swarm-manager" in swarm_pki.units(place.read_text(encoding="utf-8"))
    return False


def former_address(swarm: dict, settings: dict) -> str:
    """
    Return the address that a worker advertises if its host has lost it, empty otherwise.

    A disk that was moved to another host takes it along. As a manager, the node would be contacted
    at that address.
    """
    has = swarm.get("NodeAddr") or ""
    if swarm_membership.manager(swarm) or has in {"", settings["address"]}:
        return ""
    return "" if swarm_address.is_own(has) else has


def nodes(client: Any) -> list[dict]:
    """Return all nodes of the cluster. Works only on managers."""
    with swarm_docker.translated("nodes of the cluster"):
        return swarm_nodes.without_echo(client.nodes())


def listing(client: Any, swarm: dict) -> dict:
    """Return the nodes as this manager sees them, for other members; empty without a leader."""
    with contextlib.suppress(swarm_errors.ApiError):
        if cluster := swarm_membership.manager(swarm) and swarm_membership.cluster_id(swarm):
            return swarm_leave.listing(nodes(client), cluster)
    return {}


def listens(settings: dict, swarm: dict | None = None) -> list[str]:
    """
    Return the other hosts on which something listens on the managers' port.

    Tries the managers of the pillar, the members whose names this host can resolve, and the
    managers that the engine lists.
    """
    port = settings["builtin"]["port"]
    found = swarm_peers.places(settings, swarm or {})
    return [name for name, address in found.items() if _answers(address, port)]


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=_KNOCK):
            return True
    except OSError:
        return False


def _places(settings: dict) -> dict:
    builtin, own = settings["builtin"], settings["address"]
    anywhere = "[::]" if ":" in own else "0.0.0.0"  # noqa: S104
    places = {
        "ListenAddr": f"{anywhere}:{builtin['port']}",
        "AdvertiseAddr": endpoint(own, builtin["port"]),
    }
    if settings["data_path"]:
        places["DataPathAddr"] = settings["data_path"]
    availability = swarm_nodes.settings_of(settings["id"], settings["nodes"])["availability"]
    return {**places, **({"Availability": availability} if availability else {})}


def init(client: Any, settings: dict) -> None:
    """Create a new cluster with this engine as its only node."""
    builtin = settings["builtin"]
    port = {"DataPathPort": builtin["data_path_port"]} if builtin["data_path_port"] else {}
    body = {**_places(settings), **swarm_cluster.address_pools(builtin), **port}
    with swarm_docker.translated("a new cluster"):
        swarm_docker.post(client, "/swarm/init", json=body)


def force_new(client: Any, settings: dict) -> None:
    """Force a single-manager cluster from the local Raft state (``--force-new-cluster``)."""
    body = {**_places(settings), "ForceNewCluster": True}
    with swarm_docker.translated("a new cluster of this manager alone"):
        swarm_docker.post(client, "/swarm/init", json=body)


def unlock(client: Any, key: str) -> str | None:
    """Unlock this manager; return what it waits for if the other managers are not up yet."""
    text = "the manager is unlocked and waits for a majority of the others: apply swarm there"
    try:
        with swarm_docker.translated("unlocking"), swarm_docker.patience(text):
            client.unlock_swarm(key)
    except swarm_errors.WaitTimeoutError as err:
        return str(err)
    return None


def join(client: Any, settings: dict, records: dict) -> None:
    """Join through one manager after another, until one accepts this node."""
    failures = []
    for name, token in swarm_membership.reachable(settings, records).items():
        remote = records[name]["address"]
        body = {**_places(settings), "RemoteAddrs": [remote], "JoinToken": token}
        try:
            with swarm_docker.translated(f"joining by {name}, {remote}"):
                swarm_docker.post(client, "/swarm/join", json=body)
        except swarm_errors.ApiError as err:
            if _GOES_ON not in str(err):
                failures.append(f"{err}{swarm_membership.token_cure(str(err), name)}")
                continue
            if _came(client, settings):
                return
            failures.append(f"{err} (and did not come about)")
            client.leave_swarm(force=True)
            continue
        return
    raise swarm_errors.SwarmError(
        f"no manager has taken {settings['id']} in: "
        + ("; ".join(failures) or "none of them lets this minion have a token")
    )


def _came(client: Any, settings: dict) -> bool:
    def probe() -> str | None:
        state = swarm(client).get("LocalNodeState")
        return "pending" if state == "pending" else None

    with contextlib.suppress(swarm_errors.WaitTimeoutError):
        # If the leader goes away meanwhile, the request is lost and never answered.
        swarm_wait.until(probe, min(settings["timeout"], _COMES))
    return swarm(client).get("LocalNodeState") == "active"


def retried(change: Callable[[], None]) -> None:
    """Repeat a read-modify-write if the object has been changed in between."""
    for left in reversed(range(_TRIES)):
        try:
            change()
        except swarm_errors.ApiError as err:
            if _STALE not in str(err) or not left:
                raise
        else:
            return


def update_node(client: Any, node: str, **keys: object) -> None:
    """Set some keys of a node's spec, and keep the others."""

    def change() -> None:
        with swarm_docker.translated(f"node {node}"):
            now = client.inspect_node(node)
            client.update_node(node, now["Version"]["Index"], {**now["Spec"], **keys})

    retried(change)


def update_cluster(client: Any, options: dict) -> None:
    """Merge the options of the pillar into the cluster's spec, and keep the rest."""

    def change() -> None:
        with swarm_docker.translated("the cluster"):
            now = client.inspect_swarm()
            path = f"/swarm/update?version={now['Version']['Index']}"
            swarm_docker.post(client, path, json=swarm_cluster.merged(now["Spec"], options))

    try:
        retried(change)
    except swarm_errors.ApiError as err:
        raise swarm_errors.ApiError(f"{err}{swarm_cluster.cure(str(err))}") from err


def rotate(client: Any, managers: bool = False) -> None:
    """Rotate the join token for workers, or both; nodes that have joined stay in the cluster."""
    which = "rotateWorkerToken=true" + ("&rotateManagerToken=true" if managers else "")

    def change() -> None:
        with swarm_docker.translated("the join tokens"):
            now = client.inspect_swarm()
            path = f"/swarm/update?{which}&version={now['Version']['Index']}"
            swarm_docker.post(client, path, json=now["Spec"])

    retried(change)


def sign_by(client: Any, cert: str, key: str) -> None:
    """Set another CA for the cluster, which rotates to it node by node."""

    def change() -> None:
        with swarm_docker.translated("the CA of swarm:builtin:signing_ca_cert"):
            now = client.inspect_swarm()
            authority = {"SigningCACert": cert, "SigningCAKey": key}
            spec = {**now["Spec"], "CAConfig": {**now["Spec"].get("CAConfig", {}), **authority}}
            path = f"/swarm/update?version={now['Version']['Index']}"
            swarm_docker.post(client, path, json=spec)

    retried(change)


def await_rotation(
    client: Any, timeout: float, prune: Callable[[list[dict]], None], wanted: str | None = None
) -> None:
    """
    Wait until the cluster has rotated its CA: all nodes have a certificate of the new one.

    ``prune`` is called with the current nodes on each poll; nodes that it removes are no longer
    waited for.

    wanted
        The fingerprint of the expected CA.
    """

    def probe() -> str | None:
        cluster = client.inspect_swarm()
        under_way = cluster.get("RootRotationInProgress")
        if not under_way and wanted in {None, swarm_cluster.root(cluster)}:
            return None
        prune(nodes(client))
        away = [one for one in nodes(client) if swarm_nodes.is_away(one)]
        if names := ", ".join(map(swarm_nodes.title, away)):
            return f"the cluster changes its CA, and waits for {names}: bring it up, or remove it"
        return (
            "the cluster changes its CA, and nodes that are up have no certificate of it yet: the"
            " leader's engine says why (journalctl -u docker), and an external CA in its own log"
        )

    swarm_wait.until(_patient(probe), timeout)


def promote(client: Any, node: str, timeout: float) -> None:
    """
    Promote a worker, and wait until it takes part as a manager.

    A node that goes away meanwhile, for example because its engine fails, becomes a manager when it
    comes back; reporting that is left to its own host.
    """
    if swarm_nodes.is_lost_vote(swarm_nodes.only(nodes(client), node)):
        # Its Raft state is gone, but its vote still counts: as a manager, its engine would panic.
        demote(client, node, timeout)
    update_node(client, node, Role=swarm_nodes.MANAGER)

    def probe() -> str | None:
        found = swarm_nodes.by_id(nodes(client)).get(node)
        if not found or swarm_nodes.is_half_promoted(found) or swarm_nodes.is_reachable(found):
            return None
        return f"{found['Description'].get('Hostname')} is no manager yet"

    swarm_wait.until(_patient(probe), timeout)


def _patient(probe: Callable[[], str | None]) -> Callable[[], str | None]:
    """
    Return a probe that returns the text of an API error instead of raising it.

    While managers come and go, there may be no leader for a moment: that is not a failure.
    """

    def patient() -> str | None:
        try:
            return probe()
        except swarm_errors.ApiError as err:
            return str(err)

    return patient


def demote(client: Any, node: str, timeout: float, leaves: bool = False) -> None:
    """
    Demote a manager, and wait until it is a worker: Raft no longer counts it, and if it is this
    node itself, the leader has confirmed that. Raises an error if it would cost the quorum.

    leaves
        Whether this node itself leaves the cluster next. It then deletes its certificate, so it
        needs no worker's; if all managers leave together, no manager is left to sign one.
    """
    _await_promotions(client, node, timeout)
    if not leaves and node == swarm(client).get("NodeID"):
        _await_rest(client, node)
    _await_quorum(client, node, timeout)
    update_node(client, node, Role=swarm_nodes.WORKER)

    def probe() -> str | None:
        now = swarm(client)
        if not swarm_membership.manager(now):
            # This node itself was demoted. Wait until the new leader has confirmed it: if the node
            # went away before, the cluster might never have a leader again.
            if leaves:
                return None
            own = now.get("LocalNodeState") == "active" and swarm_membership.is_demoted(now)
            own = own and not is_certified_manager(client)
            return None if own else f"node {node} is no worker yet"
        _unstick(client, node)
        known = nodes(client)
        still = swarm_nodes.only(known, node).get("ManagerStatus")
        # If all managers are demoted at the same time, the engine keeps the last one.
        last = len(swarm_nodes.managers(known)) == 1
        if still and not last:
            return f"node {node} is still a manager"
        # The demoted node's own view is not enough: the others may not have the change yet.
        return f"node {node} still acts as one" if now["NodeID"] == node and not last else None

    swarm_wait.until(_patient(probe), timeout)


def _await_promotions(client: Any, node: str, timeout: float) -> None:
    """
    Wait until no promotion is under way, of this node or another.

    A node that is being promoted joins Raft by itself, and Raft then counts it, even if it was
    demoted in between or fails: the quorum would be another one than at the check.
    """

    def probe() -> str | None:
        coming = [one for one in nodes(client) if swarm_nodes.is_coming(one)]
        names = ", ".join(map(swarm_nodes.title, coming))
        return (
            f"{names} becomes a manager, and node {node} stays one until then" if coming else None
        )

    try:
        swarm_wait.until(_patient(probe), timeout)
    except swarm_errors.WaitTimeoutError:
        if not swarm_nodes.is_coming(swarm_nodes.only(nodes(client), node)):
            raise


def _await_rest(client: Any, node: str) -> None:
    """
    Wait until the other nodes have not changed for a moment, before the leader demotes itself.

    A node that has just been demoted gets its certificate as a worker from the leader. If it does
    not get one within half a minute, because nobody leads, its engine acts as a manager again, and
    Raft counts its vote again; then it gets the certificate, and the vote is lost.
    """

    def probe() -> str | None:
        others = [one for one in nodes(client) if one["ID"] != node]
        # Also an issued certificate is a change of a node.
        now = time.time()
        moving = [one for one in others if now - swarm_nodes.stamp(one["UpdatedAt"]) < _REST]
        return f"{', '.join(map(swarm_nodes.title, moving))} changes" if moving else None

    with contextlib.suppress(swarm_errors.WaitTimeoutError):
        swarm_wait.until(_patient(probe), _RESTLESS)


def _await_quorum(client: Any, node: str, timeout: float) -> None:
    """Raise an error if a demotion would cost the quorum; wait for an engine in its turn first."""

    def probe() -> str | None:
        refused = swarm_nodes.refusal(nodes(client), node, "demoting")
        if refused and swarm_raft_lock.find(client) is None:
            raise swarm_errors.SwarmError(refused)
        return refused

    swarm_wait.until(probe, timeout)


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
        update_node(client, node, Role=swarm_nodes.MANAGER)
        swarm_wait.until(
            lambda: None if node in _acting(client, swarm_nodes.MANAGER) else "not noted", _NOTED
        )
    finally:
        update_node(client, node, Role=swarm_nodes.WORKER)


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
        one = swarm_nodes.by_id(nodes(client)).get(node)
        found[node] = bool(one) and swarm_nodes.is_lost(one)
        return f"nobody knows yet whether node {node} is up" if found[node] is None else None

    with contextlib.suppress(swarm_errors.WaitTimeoutError):
        swarm_wait.until(_patient(probe), timeout)
    return bool(found.get(node))


def is_last_manager(client: Any) -> bool:
    """Check whether the cluster has no other manager."""
    return len(swarm_nodes.managers(nodes(client))) == 1


def step_down(client: Any, node: str, timeout: float) -> bool:
    """Demote this node; return whether it is the last manager, which stays a manager."""

    def last() -> bool:
        return swarm_membership.manager(swarm(client)) and is_last_manager(client)

    if not last() and swarm_membership.manager(swarm(client)):
        demote(client, node, timeout, leaves=True)
    return last()


def drain(client: Any, node: str, timeout: float) -> None:
    """Drain a node, and wait until its tasks are gone."""
    update_node(client, node, Availability="drain")

    def probe() -> str | None:
        if _is_gone(client, node):
            return None  # the cluster has started its tasks elsewhere
        with swarm_docker.translated(f"tasks of node {node}"):
            left = client.tasks(filters={"node": node, "desired-state": "running"})
        return f"{len(left)} task(s) still run on node {node}" if left else None

    swarm_wait.until(probe, timeout)


def _is_gone(client: Any, node: str) -> bool:
    found = swarm_nodes.by_id(nodes(client)).get(node)
    return not found or swarm_nodes.is_down(found)


def await_down(client: Any, node: str, timeout: float) -> None:
    """Wait for a moment until a node is down, as after it has left; otherwise raise an error."""

    def probe() -> str | None:
        return None if _is_gone(client, node) else f"node {node} has not left its cluster, and runs"

    swarm_wait.until(_patient(probe), timeout, fixed=True)


def drop(client: Any, node: str) -> None:
    """Remove a node from the cluster (``docker node rm --force``)."""
    with swarm_docker.translated(f"node {node}"):
        swarm_docker.found(client.remove_node, node, force=True)


def alone(**limit: float) -> contextlib.AbstractContextManager:
    """Lock out other runs on this host: managers are added and removed one at a time."""
    return swarm_files.alone("swarm-formula-mode.lock", **limit)
