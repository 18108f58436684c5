"""
Update the nodes of the cluster on its leader: roles, availability, labels, and removed nodes.

``swarm_node_changes`` and ``swarm_node_removal`` decide what changes.
"""

import contextlib
import time

import swarm_caller
import swarm_claims
import swarm_docker
import swarm_engine_drain
import swarm_leading
import swarm_member_rules
import swarm_membership
import swarm_mode
import swarm_mode_roles
import swarm_mode_update
import swarm_next_step
import swarm_node_changes
import swarm_node_removal
import swarm_nodes
import swarm_values
from swarm_minion import Host, Minion

# Seconds for which the request of another minion waits for other runs.
_PATIENCE = 5


def apply(minion: Minion, test: bool, fresh: bool, other: bool) -> dict:
    """
    Ensure the nodes are as in the pillar if this node leads; return what changed.

    other
        Whether another minion asks: its run does not wait in a queue for other runs.
    """
    get = minion.salt["swarm_settings.get"]
    with (
        swarm_docker.unless_absent(test),
        swarm_mode.connect(minion.salt) as client,
        _alone(other),
    ):
        # Checked after the lock is taken, because the previous run may have changed the leader; and
        # before the pillar is compiled, because all managers are asked and only one of them leads.
        if not swarm_leading.leads(client):
            founds = test and swarm_leading.founds(client, wanted := get(fresh=fresh))
            return swarm_node_changes.promised(wanted) if founds else {}
        host = Host(minion, client, get(fresh=fresh))
        return _update(host, minion.salt["swarm_builtin.claims"](fresh), test)
    return swarm_node_changes.promised(minion.settings())


def _alone(other: bool) -> contextlib.AbstractContextManager:
    """Lock out other runs; a run for another minion does not wait in a queue."""
    if other:
        return swarm_caller.unqueued(swarm_mode.alone(limit=_PATIENCE))
    return swarm_mode.alone()


def _update(host: Host, claims: dict, test: bool) -> dict:
    client, settings = host.client, host.settings
    done = _restore(host, claims, test) | _finish(host, claims, test)
    nodes = swarm_mode.nodes(client)
    changes = swarm_node_changes.changes(nodes, claims, settings)
    later = {one.node for one in changes if one.role == swarm_nodes.WORKER}
    done |= _change(host, [one for one in changes if one.node not in later], test)
    nodes = swarm_mode.nodes(client)
    # If the promotions have failed, the old managers keep their role.
    changes = swarm_node_changes.changes(nodes, claims, settings)
    # Remove lost managers before demoting others, because they still count towards the quorum.
    done |= _replace(host, swarm_node_removal.lost_managers(nodes, claims, settings), test)
    done |= _change(host, [one for one in changes if one.node in later], test)
    if not swarm_membership.manager(swarm_mode.swarm(client)):
        return done  # the last change demoted this node
    nodes = swarm_mode.nodes(client)
    return {
        **done,
        **prune(host, nodes, claims, test),
        **(_renew(host, nodes, test) if settings["builtin"]["rotate_after_join"] else {}),
    }


def _change(host: Host, changes: list[swarm_node_changes.Change], test: bool) -> dict:
    for change in changes if not test else ():
        _carry_out(host, change)
    return {change.minion: change.changes for change in changes}


def _carry_out(host: Host, change: swarm_node_changes.Change) -> None:
    timeout = host.settings["timeout"]
    if change.spec:
        swarm_mode_update.respec(host.client, change.node, lambda spec: _spec(host, change, spec))
    if change.role == swarm_nodes.MANAGER:
        swarm_mode_roles.promote(host.client, change.node, timeout)
    elif change.role == swarm_nodes.WORKER:

        def records() -> dict[str, dict]:
            return swarm_next_step.known(host.minion, host.settings).records

        swarm_mode_roles.demote(host.client, change.node, timeout, records=records)


def _spec(host: Host, change: swarm_node_changes.Change, spec: dict) -> dict:
    """Return the wanted spec of a node, which may have been drained since it was listed."""
    return {**spec, **swarm_node_changes.spec_changes(change.minion, spec, host.settings)}


def _restore(host: Host, claims: dict, test: bool) -> dict:
    """Restore the availability of nodes that were drained for a restart and left so."""
    sure = swarm_claims.believed(claims, host.settings["managers"])
    names = {node: minion for minion, node in sure.items()}
    left = swarm_engine_drain.left(host.client, swarm_mode.nodes(host.client))
    for node in left if not test else ():
        minion = names.get(node["ID"], "")
        swarm_engine_drain.restore_of(host.client, node["ID"], minion, host.settings)
    old = "drained for a restart of its engine"

    def new(node: dict) -> str | None:
        minion = names.get(node["ID"], "")
        given = swarm_member_rules.settings_of(minion, host.settings["nodes"]) if minion else {}
        return given.get("availability") or swarm_nodes.drained_from(node)

    return {f"node {one['ID']}": {"availability": {"old": old, "new": new(one)}} for one in left}


def _finish(host: Host, claims: dict, test: bool) -> dict:
    """Complete demotions of nodes that no minion reports; others are part of the changes."""
    half = [
        one["ID"]
        for one in swarm_mode.nodes(host.client)
        if swarm_nodes.is_lost_vote(one) and one["ID"] not in claims.values()
    ]
    for node in half if not test else ():
        swarm_mode_roles.demote(host.client, node, host.settings["timeout"])
    role = {"role": {"old": swarm_nodes.MANAGER, "new": swarm_nodes.WORKER}}
    return {f"node {node}": role for node in half}


def _replace(host: Host, lost: list[dict], test: bool) -> dict:
    """Remove managers that are gone."""
    client, timeout = host.client, host.settings["timeout"]
    if not test:
        lost = [one for one in lost if swarm_mode_roles.is_lost(client, one["ID"], timeout)]
        for node in lost:
            swarm_mode_roles.demote(client, node["ID"], timeout)
            swarm_mode_update.drop(client, node["ID"])
    return {f"node {one['ID']}": {"old": "a manager that is gone", "new": None} for one in lost}


def prune(host: Host, nodes: list[dict], claims: dict, test: bool) -> dict:
    """Remove the nodes that are down for too long, or whose host has joined again."""
    expired = swarm_node_removal.expired(nodes, claims, host.settings, time.time())
    for node in expired if not test else ():
        swarm_mode_update.drop(host.client, node["ID"])
    return {f"node {one['ID']}": {"old": one["Status"]["State"], "new": None} for one in expired}


def _renew(host: Host, nodes: list[dict], test: bool) -> dict:
    """Rotate the worker join token if a node has joined since the last change."""
    if not _joined_since(host, nodes):
        return {}
    if not test:
        swarm_mode_update.rotate(host.client)
        host.minion.salt["swarm_builtin.tell"]()
    return {"token for workers": {"old": "of before the last join", "new": "another"}}


def _joined_since(host: Host, nodes: list[dict]) -> bool:
    """Return whether a node has joined since the last update of the cluster, such as a rotation."""
    changed = swarm_values.stamp(host.client.inspect_swarm()["UpdatedAt"])
    return any(swarm_values.stamp(one["CreatedAt"]) > changed for one in nodes)
