"""
Take other nodes out of the cluster, on a manager.
"""

import time
from typing import Any

import swarm_errors
import swarm_leading
import swarm_mode
import swarm_mode_roles
import swarm_mode_update
import swarm_next_step
import swarm_node_quorum
import swarm_nodes
from swarm_minion import Host


def expel(host: Host, node: str, drain_limit: float) -> bool | str:
    """
    Drain a node, and demote it if it is a manager; return ``True``, or why its tasks have not ended
    in time. Raise an error if the managers would lose their quorum.
    """
    drained: bool | str = True
    client, nodes = host.client, swarm_mode.nodes(host.client)
    found = swarm_nodes.only(nodes, node)
    _refuse(nodes, node, _records(host))
    if not swarm_nodes.is_down(found):
        try:
            swarm_mode_update.drain(client, node, drain_limit)
        except swarm_errors.WaitTimeoutError as err:
            drained = str(err)
    if found.get("ManagerStatus"):
        timeout = host.settings["timeout"]
        swarm_mode_roles.demote(client, node, timeout, records=lambda: _records(host))
    return drained


def _records(host: Host) -> dict[str, dict]:
    return swarm_next_step.known(host.minion, host.settings).records


def _refuse(nodes: list[dict], node: str, records: dict[str, dict]) -> None:
    """Raise an error before anything changes if the managers would lose their quorum."""
    coming = swarm_node_quorum.returning(nodes, records, time.time())
    # One that is up is waited for.
    coming = list(filter(swarm_nodes.is_away, coming))
    refused = swarm_node_quorum.refusal(nodes, node, "removing")
    if refused := refused or swarm_node_quorum.return_refusal(nodes, node, coming):
        raise swarm_errors.SwarmError(refused)


def drop(client: Any, node: str, force: bool) -> dict:
    """Remove a node that has left from the node list, unless it is a manager."""
    if not force:
        swarm_mode_update.await_down(client, node, swarm_leading.CHANGING)
    found = swarm_nodes.by_id(swarm_mode.nodes(client)).get(node)
    if not found:
        return {}
    if found.get("ManagerStatus"):
        raise swarm_errors.SwarmError(
            f"{swarm_nodes.title(found)} was not removed: it is a manager; first"
            f" swarm_leader.expel {node}, which minds the quorum"
        )
    swarm_mode_update.drop(client, node)
    return {node: {"old": "in the list", "new": None}}
