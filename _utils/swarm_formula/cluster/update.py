"""
Update the cluster and its nodes by the API of a manager, and wait for the effects.
"""

from collections.abc import Callable, Mapping
from typing import Any

from swarm_formula.cluster import node_info, swarm_api
from swarm_formula.cluster import spec as cluster_spec
from swarm_formula.core import errors, wait
from swarm_formula.docker import engine_api


def update_node(client: Any, node: str, **keys: object) -> None:
    """Set some keys of a node's spec, and keep the others."""
    respec(client, node, lambda spec: {**spec, **keys})


def respec(client: Any, node: str, changed: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Replace a node's spec by what ``changed`` makes of the current one."""

    def change() -> None:
        with engine_api.translated(f"node {node}"):
            now = client.inspect_node(node)
            client.update_node(node, now["Version"]["Index"], changed(now["Spec"]))

    swarm_api.retried(change)


def _respec_cluster(
    client: Any,
    what: str,
    changed: Callable[[dict[str, Any]], dict[str, Any]],
    query: str = "",
) -> None:
    """Replace the cluster's spec by what ``changed`` makes of the current one."""

    def change() -> None:
        with engine_api.translated(what):
            now = client.inspect_swarm()
            path = f"/swarm/update?{query}version={now['Version']['Index']}"
            engine_api.post(client, path, json=changed(now["Spec"]))

    swarm_api.retried(change)


def update_cluster(client: Any, options: Mapping[str, Any]) -> None:
    """Merge the options of the pillar into the cluster's spec, and keep the rest."""

    try:
        _respec_cluster(client, "the cluster", lambda spec: cluster_spec.merged(spec, options))
    except errors.ApiError as err:
        raise errors.ApiError(f"{err}{cluster_spec.cure(str(err))}") from err


def rotate(client: Any, managers: bool = False) -> None:
    """Rotate the join token for workers, or both; nodes that have joined stay in the cluster."""
    which = "rotateWorkerToken=true&" + ("rotateManagerToken=true&" if managers else "")
    _respec_cluster(client, "the join tokens", lambda spec: spec, which)


def sign_by(client: Any, cert: str, key: str) -> None:
    """Set another CA for the cluster, which rotates to it node by node."""
    authority = {"SigningCACert": cert, "SigningCAKey": key}

    def changed(spec: dict[str, Any]) -> dict[str, Any]:
        return {**spec, "CAConfig": {**spec.get("CAConfig", {}), **authority}}

    _respec_cluster(client, "the CA of swarm:builtin:signing_ca_cert", changed)


def await_rotation(
    client: Any,
    timeout: float,
    prune: Callable[[list[dict[str, Any]]], None],
    wanted: str | None = None,
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
        if not under_way and wanted in {None, cluster_spec.root(cluster)}:
            return None
        prune(swarm_api.nodes(client))
        away = [one for one in swarm_api.nodes(client) if node_info.is_away(one)]
        if names := ", ".join(map(node_info.title, away)):
            return f"the cluster changes its CA, and waits for {names}: bring it up, or remove it"
        return (
            "the cluster changes its CA, and nodes that are up have no certificate of it yet: the"
            " leader's engine says why (journalctl -u docker), and an external CA in its own log"
        )

    wait.until(swarm_api.patient(probe), timeout)


def drain(client: Any, node: str, timeout: float) -> None:
    """Drain a node, and wait until its tasks are gone."""
    update_node(client, node, Availability="drain")

    def probe() -> str | None:
        if _is_gone(client, node):
            return None  # the cluster has started its tasks elsewhere
        with engine_api.translated(f"tasks of node {node}"):
            left = client.tasks(filters={"node": node, "desired-state": "running"})
        return f"{len(left)} task(s) still run on node {node}" if left else None

    wait.until(probe, timeout)


def _is_gone(client: Any, node: str) -> bool:
    found = node_info.by_id(swarm_api.nodes(client)).get(node)
    return not found or node_info.is_down(found)


def await_down(client: Any, node: str, timeout: float) -> None:
    """Wait for a moment until a node is down, as after it has left; otherwise raise an error."""

    def probe() -> str | None:
        return None if _is_gone(client, node) else f"node {node} has not left its cluster, and runs"

    wait.until(swarm_api.patient(probe), timeout, fixed=True)


def drop(client: Any, node: str) -> None:
    """Remove a node from the cluster (``docker node rm --force``)."""
    with engine_api.translated(f"node {node}"):
        engine_api.found(client.remove_node, node, force=True)
