"""
Find the differences of a builtin-mode cluster from the pillar that no apply can fix.
"""

import time
from typing import Any

import swarm_claims
import swarm_cluster
import swarm_daemon
import swarm_docker
import swarm_errors
import swarm_membership
import swarm_next_step
import swarm_node_quorum
import swarm_nodes
from swarm_minion import Host


def find(host: Host) -> list[str]:
    """Return the differences from the pillar that applying the state cannot fix, as messages."""
    client, settings = host.client, host.settings
    info = client.info()
    swarm = info.get("Swarm") or {}
    known = swarm_daemon.overlay_by_ipv6(settings, info["ServerVersion"])
    known += swarm_membership.other_port(swarm, settings)
    moved = _moved(swarm.get("NodeAddr"), settings)
    if not swarm_membership.manager(swarm):
        return [*moved, *known]
    try:
        cluster, nodes = _read(client)
    except swarm_errors.SwarmError as err:
        # This node was just demoted, or the managers have lost their quorum.
        return [*moved, *known, f"{settings['id']} cannot look: {err}"]
    claims = host.minion.salt["swarm_builtin.claims"]()
    records = swarm_next_step.known(host.minion, settings).records
    coming = filter(swarm_nodes.is_down, swarm_node_quorum.returning(nodes, records, time.time()))
    me = swarm_nodes.by_id(nodes).get(swarm["NodeID"], {})
    return [
        *_moved(swarm_nodes.raft_address(me) or swarm.get("NodeAddr"), settings, nodes),
        *known,
        *swarm_cluster.init_only(cluster, settings),
        *swarm_claims.doubles(claims, nodes, settings),
        *swarm_claims.strangers(nodes, claims),
        *filter(None, [swarm_node_quorum.return_warning(nodes, list(coming))]),
    ]


def _read(client: Any) -> tuple[dict, list[dict]]:
    with swarm_docker.translated("the cluster"):
        return client.inspect_swarm(), client.nodes()


def _moved(has: str | None, settings: dict, nodes: list[dict] | None = None) -> list[str]:
    """Return a message if the cluster has another address for this node than the pillar."""
    me = settings["id"]
    if not has or has == settings["address"]:
        return []
    cure = f"salt {me} swarm_builtin.leave, and apply again"
    if len(swarm_nodes.managers(nodes or [])) == 1:
        # Leaving would end the cluster, and no node can join at the address it advertises.
        cure = f"it is the only manager: give it {has} too until there is another one, then {cure}"
    return [
        f"{me} is known to the cluster by the address {has}, and is to have {settings['address']}:"
        f" a node takes its address with it; {cure}"
    ]
