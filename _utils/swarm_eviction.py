"""
Take other nodes out of the cluster, on a manager.
"""

from typing import Any

import swarm_errors
import swarm_leading
import swarm_mode
import swarm_mode_roles
import swarm_mode_update
import swarm_node_quorum
import swarm_nodes


def expel(client: Any, node: str, drain_limit: float, timeout: float) -> bool | str:
    """
    Drain a node, and demote it if it is a manager; return ``True``, or why its tasks have not ended
    in time. Raise an error if the managers would lose their quorum.
    """
    drained: bool | str = True
    nodes = swarm_mode.nodes(client)
    found = swarm_nodes.only(nodes, node)
    if refused := swarm_node_quorum.refusal(nodes, node, "removing"):
        raise swarm_errors.SwarmError(refused)
    if not swarm_nodes.is_down(found):
        try:
            swarm_mode_update.drain(client, node, drain_limit)
        except swarm_errors.WaitTimeoutError as err:
            drained = str(err)
    if found.get("ManagerStatus"):
        swarm_mode_roles.demote(client, node, timeout)
    return drained


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
