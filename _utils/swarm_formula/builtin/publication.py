"""
Publish the data of this node in Salt's mine: its node ID, and on a manager the cluster's record.
"""

import contextlib
import time
from collections.abc import Iterable, Mapping
from typing import Any

from swarm_formula.builtin import next_step
from swarm_formula.cluster import membership, peers, swarm_api
from swarm_formula.cluster.peers import CLUSTER, NODE, Known
from swarm_formula.core import errors
from swarm_formula.core.addresses import endpoint
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt import mine as salt_mine
from swarm_formula.salt.execution import Host, Minion


def record(minion: Minion) -> dict[str, Any]:
    """Return the record of a manager, with the join token for workers; empty for a worker."""
    settings = minion.settings()
    with swarm_api.connect(minion.salt) as client:
        swarm = swarm_api.swarm(client)
        if not membership.manager(swarm):
            return {}
        token = client.inspect_swarm()["JoinTokens"]["Worker"]
    # The port that this manager joined with: the port in the pillar may have changed since.
    ports = membership.manager_ports(swarm)
    port = ports.get(swarm["NodeID"], settings["builtin"]["port"])
    return {
        "cluster": membership.cluster_id(swarm),
        "node": swarm["NodeID"],
        "address": endpoint(settings["address"], port),
        # The minions that may read this: if the pillar admits others, the record is sent again.
        "members": salt_mine.members(settings),
        "token": token,
    }


def claims(host: Host) -> dict[str, str]:
    """Return the node IDs of the members, without managers that have to join again first."""
    mine = swarm_api.swarm(host.client).get("NodeID") or ""
    return claimed(peers.node_ids(host.minion.mine(), host.settings), host.settings, mine)


def claims_of(host: Host, nodes: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """
    Return ``claims`` for these nodes, which the states of one apply read only once: the cost for
    the master grows with the number of members.

    It is read again if the cluster has other nodes than then, or one that no member claims.
    """
    place = sorted((one["ID"], one["Status"]["State"]) for one in nodes)
    was, found, when = host.minion.context.get("swarm_builtin.claims", (None, None, 0))
    if was != place or time.monotonic() - when > next_step.NUDGE:
        found = claims(host)
        if {node for node, _ in place} <= {*found.values()}:
            host.minion.context["swarm_builtin.claims"] = (place, found, time.monotonic())
    return dict(found)


def claimed(known: Known, settings: Settings, mine: str) -> dict[str, str]:
    """
    Return the node IDs of the members by what they have published, see ``claims``.

    mine
        The ID of this node, as its engine reports it.
    """
    found = {**known.claims, settings["id"]: mine}
    not_yet = (known.moved.keys() & settings["managers"].keys()) - {settings["id"]}
    # The former host of that disk may be a new machine, whose claim in the mine is the old one.
    nodes = {found[minion] for minion in not_yet if minion in found}
    return {minion: node for minion, node in found.items() if node and node not in nodes}


def send(minion: Minion, fresh: bool = False) -> None:
    """Publish the data of this node, unless the mine already has it."""
    settings = minion.salt["swarm_settings.get"](fresh=fresh)
    known = next_step.known(minion, settings)
    with swarm_api.connect(minion.salt) as client:
        update(minion, swarm_api.swarm(client), settings, known)


def update(minion: Minion, swarm: dict[str, Any], settings: Settings, known: Known) -> None:
    """Publish the data that the mine does not have yet; a former manager withdraws its record."""
    me, mine = settings["id"], minion.mine()
    if mine.masterless:
        return
    # The record first: a node without one looks like a node of a cluster that is lost.
    _update_record(minion, swarm, settings, known)
    told = known.claims.get(me), known.moved.get(me, "")
    claim = swarm["NodeID"], swarm_api.former_address(swarm, settings)
    if told != claim:
        mine.send(NODE, peers.claim(*claim))


def _update_record(minion: Minion, swarm: dict[str, Any], settings: Settings, known: Known) -> None:
    me, mine = settings["id"], minion.mine()
    if not membership.manager(swarm):
        if me in known.records and _is_worker(minion, swarm):
            mine.forget(CLUSTER)
        return
    wanted = record(minion)
    if wanted != known.records.get(me):
        mine.send(CLUSTER, wanted, salt_mine.members(settings))


def _is_worker(minion: Minion, swarm: dict[str, Any]) -> bool:
    """
    Check whether this node cannot come back as a manager.

    Until then, its record lets the leader keep enough managers: ``cluster.node_quorum.returning``.
    """
    if not membership.is_demoted(swarm):
        return False
    with swarm_api.connect(minion.salt) as client:
        return not swarm_api.is_certified_manager(client)


def withdraw(minion: Minion, swarm: dict[str, Any], settings: Settings, known: Known) -> None:
    """
    Delete this minion's node ID from the mine if it has left its cluster.

    The data of a manager are kept: they may be the only trace of the cluster.
    """
    me, state = settings["id"], swarm.get("LocalNodeState") or "inactive"
    if state == "inactive" and me in known.claims and me not in known.records:
        minion.mine().forget(NODE)


def delete(minion: Minion) -> None:
    """Delete all data of this node from the mine."""
    next_step.forget_near(minion)
    for name in (CLUSTER, NODE):
        minion.mine().forget(name)


def forget(minion: Minion, lose_cluster: bool) -> None:
    """Delete all data of this node from the mine; raise an error if the cluster may be alive."""
    if why := None if lose_cluster else _alive(minion):
        raise errors.SwarmError(
            f"nothing was forgotten: {why}; by the record of a cluster nobody makes a second one."
            " If it is to be given up: lose_cluster=True"
        )
    delete(minion)


def _alive(minion: Minion) -> str | None:
    """Return why the cluster of this minion may be alive, ``None`` if nothing indicates it."""
    settings = minion.settings()
    swarm = {}
    with contextlib.suppress(errors.SwarmError), swarm_api.connect(minion.salt) as client:
        swarm = swarm_api.swarm(client)
    if (state := swarm.get("LocalNodeState") or "inactive") != "inactive":
        return f"swarm mode is {state} on {settings['id']}"
    if others := swarm_api.listens(settings):
        return f"something listens at the managers' port of {', '.join(others)}"
    return None
