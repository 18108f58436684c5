"""
Take other nodes out of the cluster, on a manager.
"""

import time
from typing import Any

from swarm_formula.builtin import next_step
from swarm_formula.cluster import leading, node_info, node_quorum, roles, swarm_api, update
from swarm_formula.core import errors
from swarm_formula.salt.execution import Host


def expel(host: Host, node: str, drain_limit: float) -> bool | str:
    """
    Drain a node, and demote it if it is a manager; return ``True``, or why its tasks have not ended
    in time. Raise an error if the managers would lose their quorum.
    """
    drained: bool | str = True
    client, nodes = host.client, swarm_api.nodes(host.client)
    found = node_info.only(nodes, node)
    _refuse(nodes, node, _records(host))
    if not node_info.is_down(found):
        try:
            update.drain(client, node, drain_limit)
        except errors.WaitTimeoutError as err:
            drained = str(err)
    if found.get("ManagerStatus"):
        timeout = host.settings["timeout"]
        roles.demote(client, node, timeout, records=lambda: _records(host))
    return drained


def _records(host: Host) -> dict[str, dict[str, Any]]:
    return next_step.known(host.minion, host.settings).records


def _refuse(nodes: list[dict[str, Any]], node: str, records: dict[str, dict[str, Any]]) -> None:
    """Raise an error before anything changes if the managers would lose their quorum."""
    coming = node_quorum.returning(nodes, records, time.time())
    # One that is up is waited for.
    coming = list(filter(node_info.is_away, coming))
    refused = node_quorum.refusal(nodes, node, "removing")
    if refused := refused or node_quorum.return_refusal(nodes, node, coming):
        raise errors.SwarmError(refused)


def drop(client: Any, node: str, force: bool) -> dict[str, Any]:
    """Remove a node that has left from the node list, unless it is a manager."""
    if not force:
        update.await_down(client, node, leading.CHANGING)
    found = node_info.by_id(swarm_api.nodes(client)).get(node)
    if not found:
        return {}
    if found.get("ManagerStatus"):
        raise errors.SwarmError(
            f"{node_info.title(found)} was not removed: it is a manager; first"
            f" swarm_leader.expel {node}, which minds the quorum"
        )
    update.drop(client, node)
    return {node: {"old": "in the list", "new": None}}
