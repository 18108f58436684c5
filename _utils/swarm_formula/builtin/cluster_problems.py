"""
Find the differences of a builtin-mode cluster from the pillar that no apply can fix.
"""

import time
from typing import Any

from swarm_formula.builtin import next_step, publication
from swarm_formula.cluster import membership, node_claims, node_info, node_quorum, spec
from swarm_formula.core import errors
from swarm_formula.core.settings_types import Settings
from swarm_formula.docker import engine_api
from swarm_formula.salt.execution import Host


def find(host: Host) -> list[str]:
    """Return the differences from the pillar that applying the state cannot fix, as messages."""
    client, settings = host.client, host.settings
    info = client.info()
    swarm = info.get("Swarm") or {}
    found = membership.other_port(swarm, settings)
    moved = _moved(swarm.get("NodeAddr"), settings)
    if not membership.manager(swarm):
        return [*moved, *found]
    try:
        cluster, nodes = _read(client)
    except errors.SwarmError as err:
        # This node was just demoted, or the managers have lost their quorum.
        return [*moved, *found, f"{settings['id']} cannot look: {err}"]
    claims = publication.claims_of(host, nodes)
    me = node_info.by_id(nodes).get(swarm["NodeID"], {})
    return [
        *_moved(node_info.raft_address(me) or swarm.get("NodeAddr"), settings, nodes),
        *found,
        *spec.init_only(cluster, settings),
        *node_claims.doubles(claims, nodes, settings),
        *node_claims.strangers(nodes, claims),
        *filter(None, [node_quorum.return_warning(nodes, _coming(host, nodes))]),
    ]


def _coming(host: Host, nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """
    Return the workers that are down and may come back as managers, see ``node_quorum.returning``.

    The managers' records tell which they are. If no worker is down, they are not read: for each
    record, the master compares all accepted minions with those that may read it.
    """
    down = [one for one in nodes if node_info.is_down(one) and not one.get("ManagerStatus")]
    if not down:
        return []
    records = next_step.known(host.minion, host.settings).records
    return node_quorum.returning(down, records, time.time())


def _read(client: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    with engine_api.translated("the cluster"):
        return client.inspect_swarm(), client.nodes()


def _moved(
    has: str | None, settings: Settings, nodes: list[dict[str, Any]] | None = None
) -> list[str]:
    """Return a message if the cluster has another address for this node than the pillar."""
    me = settings["id"]
    if not has or has == settings["address"]:
        return []
    cure = f"salt {me} swarm_builtin.leave, and apply again"
    if len(node_info.managers(nodes or [])) == 1:
        # Leaving would end the cluster, and no node can join at the address it advertises.
        cure = f"it is the only manager: give it {has} too until there is another one, then {cure}"
    return [
        f"{me} is known to the cluster by the address {has}, and is to have {settings['address']}:"
        f" a node takes its address with it; {cure}"
    ]
