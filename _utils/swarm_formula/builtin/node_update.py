"""
Update the nodes of the cluster on its leader: roles, availability, labels, and removed nodes.

``builtin.node_changes`` and ``builtin.node_removal`` decide what changes.
"""

import contextlib
import time
from typing import Any

from swarm_formula.builtin import next_step, node_changes, node_removal, publication
from swarm_formula.cluster import (
    leading,
    membership,
    node_claims,
    node_info,
    roles,
    swarm_api,
    update,
)
from swarm_formula.core import host_files, member_rules, normalize
from swarm_formula.docker import engine_api
from swarm_formula.engine import node_drain
from swarm_formula.salt import caller
from swarm_formula.salt.execution import Host, Minion

# Seconds for which the request of another minion waits for other runs.
_PATIENCE = 5
# The file with the time at which the last complete run by the current pillar has begun.
_BEGAN = "swarm-formula-nodes.began"


def apply(minion: Minion, test: bool, fresh: bool, other: bool) -> dict[str, Any]:
    """
    Ensure the nodes are as in the pillar if this node leads; return what changed.

    other
        Whether another minion asks: its run does not wait in a queue for other runs. A run that has
        begun since then has seen to its node as well: minions that join at the same time share one.
    """
    asked = time.monotonic()
    get = minion.salt["swarm_settings.get"]
    with (
        engine_api.unless_absent(test),
        swarm_api.connect(minion.salt) as client,
        _alone(other),
    ):
        # Checked after the lock is taken, because the previous run may have changed the leader; and
        # before the pillar is compiled, because all managers are asked and only one of them leads.
        if not leading.leads(client):
            founds = test and leading.founds(client, wanted := get(fresh=fresh))
            return node_changes.promised(wanted) if founds else {}
        began = time.monotonic()
        if other and asked < host_files.marked(_BEGAN) <= began:
            return {}
        host = Host(minion, client, get(fresh=fresh))
        nodes = swarm_api.nodes(client)
        done = _update(host, publication.claims_of(host, nodes), test)
        if fresh and not test:
            host_files.mark(_BEGAN, began)
        return done
    return node_changes.promised(minion.settings())


def _alone(other: bool) -> contextlib.AbstractContextManager[None]:
    """Lock out other runs; a run for another minion does not wait in a queue."""
    if other:
        return caller.unqueued(swarm_api.alone(limit=_PATIENCE))
    return swarm_api.alone()


def _update(host: Host, claims: dict[str, str], test: bool) -> dict[str, Any]:
    client, settings = host.client, host.settings
    done = _restore(host, claims, test) | _finish(host, claims, test)
    nodes = swarm_api.nodes(client)
    changes = node_changes.changes(nodes, claims, settings)
    later = {one.node for one in changes if one.role == node_info.WORKER}
    done |= _change(host, [one for one in changes if one.node not in later], test)
    nodes = swarm_api.nodes(client)
    # If the promotions have failed, the old managers keep their role.
    changes = node_changes.changes(nodes, claims, settings)
    # Remove lost managers before demoting others, because they still count towards the quorum.
    done |= _replace(host, node_removal.lost_managers(nodes, claims, settings), test)
    done |= _change(host, [one for one in changes if one.node in later], test)
    if done and not membership.manager(swarm_api.swarm(client)):
        return done  # the last change demoted this node
    nodes = swarm_api.nodes(client)
    return {
        **done,
        **prune(host, nodes, claims, test),
        **(_renew(host, nodes, test) if settings["builtin"]["rotate_after_join"] else {}),
    }


def _change(host: Host, changes: list[node_changes.Change], test: bool) -> dict[str, Any]:
    if not test:
        for change in changes:
            _carry_out(host, change)
        new = [change.node for change in changes if change.role == node_info.MANAGER]
        roles.promote(host.client, new, host.settings["timeout"])
    return {change.minion: change.changes for change in changes}


def _carry_out(host: Host, change: node_changes.Change) -> None:
    """Change a node, but for a promotion: new managers are promoted together."""
    if change.spec:
        update.respec(host.client, change.node, lambda spec: _spec(host, change, spec))
    if change.role == node_info.WORKER:

        def records() -> dict[str, dict[str, Any]]:
            return next_step.known(host.minion, host.settings).records

        roles.demote(host.client, change.node, host.settings["timeout"], records=records)


def _spec(host: Host, change: node_changes.Change, spec: dict[str, Any]) -> dict[str, Any]:
    """Return the wanted spec of a node, which may have been drained since it was listed."""
    return {**spec, **node_changes.spec_changes(change.minion, spec, host.settings)}


def _restore(host: Host, claims: dict[str, str], test: bool) -> dict[str, Any]:
    """Restore the availability of nodes that were drained for a restart and left so."""
    sure = node_claims.believed(claims, host.settings["managers"])
    names = {node: minion for minion, node in sure.items()}
    left = node_drain.left(host.client, swarm_api.nodes(host.client))
    for node in left if not test else ():
        minion = names.get(node["ID"], "")
        node_drain.restore_of(host.client, node["ID"], minion, host.settings)
    old = "drained for a restart of its engine"

    def new(node: dict[str, Any]) -> str | None:
        minion = names.get(node["ID"], "")
        given = member_rules.settings_of(minion, host.settings["nodes"]) if minion else None
        return (given and given["availability"]) or node_info.drained_from(node)

    return {f"node {one['ID']}": {"availability": {"old": old, "new": new(one)}} for one in left}


def _finish(host: Host, claims: dict[str, str], test: bool) -> dict[str, Any]:
    """Complete demotions of nodes that no minion reports; others are part of the changes."""
    half = [
        one["ID"]
        for one in swarm_api.nodes(host.client)
        if node_info.is_lost_vote(one) and one["ID"] not in claims.values()
    ]
    for node in half if not test else ():
        roles.demote(host.client, node, host.settings["timeout"])
    role = {"role": {"old": node_info.MANAGER, "new": node_info.WORKER}}
    return {f"node {node}": role for node in half}


def _replace(host: Host, lost: list[dict[str, Any]], test: bool) -> dict[str, Any]:
    """Remove managers that are gone."""
    client, timeout = host.client, host.settings["timeout"]
    if not test:
        lost = [one for one in lost if roles.is_lost(client, one["ID"], timeout)]
        for node in lost:
            roles.demote(client, node["ID"], timeout)
            update.drop(client, node["ID"])
    return {f"node {one['ID']}": {"old": "a manager that is gone", "new": None} for one in lost}


def prune(
    host: Host, nodes: list[dict[str, Any]], claims: dict[str, str], test: bool
) -> dict[str, Any]:
    """Remove the nodes that are down for too long, or whose host has joined again."""
    expired = node_removal.expired(nodes, claims, host.settings, time.time())
    for node in expired if not test else ():
        update.drop(host.client, node["ID"])
    return {f"node {one['ID']}": {"old": one["Status"]["State"], "new": None} for one in expired}


def _renew(host: Host, nodes: list[dict[str, Any]], test: bool) -> dict[str, Any]:
    """Rotate the worker join token if a node has joined since the last change."""
    if not _joined_since(host, nodes):
        return {}
    if not test:
        update.rotate(host.client)
        host.minion.salt["swarm_builtin.tell"]()
    return {"token for workers": {"old": "of before the last join", "new": "another"}}


def _joined_since(host: Host, nodes: list[dict[str, Any]]) -> bool:
    """Return whether a node has joined since the last update of the cluster, such as a rotation."""
    changed = normalize.stamp(host.client.inspect_swarm()["UpdatedAt"])
    return any(normalize.stamp(one["CreatedAt"]) > changed for one in nodes)
