"""
Take this node out of its cluster, unless the cluster would lose its quorum or its state.
"""

import contextlib
from typing import Any, NamedTuple

import swarm_adoption
import swarm_docker
import swarm_errors
import swarm_joining
import swarm_leave
import swarm_membership
import swarm_mode
import swarm_mode_roles
import swarm_next_step
import swarm_nodes
import swarm_publication
import swarm_wait
import swarm_workloads
from swarm_minion import Host, Minion

# Seconds after which managers that leave at the same time no longer block each other.
_TOGETHER = 20


class Options(NamedTuple):
    """How a node leaves: see ``swarm_builtin.leave``."""

    force: bool = False
    lose_cluster: bool = False
    ending: bool = False
    test: bool = False


def leave(minion: Minion, options: Options) -> dict:
    """Ensure this node is in no cluster; return the changes."""
    settings = minion.settings()
    if not minion.salt["swarm_engine.exists"]():
        return {}
    with swarm_docker.unless_absent(test=True), swarm_mode.connect(minion.salt) as client:
        swarm = swarm_mode.swarm(client)
        state = swarm.get("LocalNodeState") or "inactive"
        if state == "inactive":
            return {}
        _carry_out(Host(minion, client, settings), swarm, options)
        return {"swarm mode": {"old": f"{state}, {swarm_nodes.own_role(swarm)}", "new": "inactive"}}
    return {}


def _carry_out(host: Host, swarm: dict, options: Options) -> None:
    force, lose_cluster, ending, test = options
    forced = force or swarm.get("LocalNodeState") != "active"
    if not (forced or lose_cluster) and (ending or _is_last(host.client, swarm)):
        _refuse_loss(host, swarm, 0 if test else _TOGETHER)
    by_force = forced and ((force and lose_cluster) or _may_force(host, swarm))
    if test:
        return
    last = _hand_over(host, swarm) if not forced else by_force
    if last and not (forced or lose_cluster):
        # The other managers have left at the same time.
        _refuse_loss(host, swarm, 0)
    host.client.leave_swarm(force=last)
    _forget(host.minion)


def release(minion: Minion, test: bool) -> str:
    """Keep an adopted node in its cluster and delete its data; return why, empty if it is none."""
    settings = minion.settings()
    if not minion.salt["swarm_engine.exists"]():
        return ""
    with swarm_docker.unless_absent(test=True), swarm_mode.connect(minion.salt) as client:
        swarm = swarm_mode.swarm(client)
        if not swarm.get("NodeID"):
            return ""
        known = swarm_next_step.known(minion, settings)
        if not swarm_joining.is_adopted(swarm, settings, known):
            return ""
        if not test:
            _forget(minion)
        return swarm_adoption.stays(settings["id"], swarm["NodeID"])
    return ""


def _forget(minion: Minion) -> None:
    """Delete the data of this node from the record and the mine."""
    swarm_adoption.forget()
    if not minion.masterless:
        swarm_publication.delete(minion)


def _is_last(client: Any, swarm: dict) -> bool:
    return swarm_membership.manager(swarm) and swarm_mode.is_last_manager(client)


def _refuse_loss(host: Host, swarm: dict, patience: float) -> None:
    """Raise an error for what would be lost; wait for tasks of a service just removed to end."""

    def probe() -> str | None:
        found = swarm_workloads.find(host.client, swarm)
        return swarm_workloads.refusal(host.settings["id"], found) if found else None

    with contextlib.suppress(swarm_errors.WaitTimeoutError):
        swarm_wait.until(probe, 0 if swarm_membership.manager(swarm) else patience)
        return
    if refused := probe():
        raise swarm_errors.SwarmError(refused)


def _may_force(host: Host, swarm: dict) -> bool:
    """
    Raise an error if the cluster would lose its quorum or its state, or if this is unknown; return
    whether the engine must be forced: without force, it refuses to leave as a manager.
    """
    me, known = host.settings["id"], swarm_next_step.known(host.minion, host.settings)
    node = swarm.get("NodeID") or known.claims.get(me, "")
    recorded = known.records.get(me, {}).get("cluster")
    listed = swarm_mode.listing(host.client, swarm) or swarm_next_step.listing(
        host.minion, swarm, host.settings, known
    )
    if refused := swarm_leave.refusal(swarm, host.settings, node, listed, recorded):
        raise swarm_errors.SwarmError(
            f"{me} has not left its cluster, nothing was changed: {refused}. To leave whatever that"
            " costs: force=True lose_cluster=True"
        )
    return swarm_leave.needs_force(swarm, node, listed)


def _hand_over(host: Host, swarm: dict) -> bool:
    """Demote this node if it is a manager; return whether it is the last one, which stays one."""
    if not swarm_membership.manager(swarm):
        return False
    outcome, timeout = {}, host.settings["timeout"]

    def probe() -> str | None:
        try:
            outcome["last"] = swarm_mode_roles.step_down(host.client, swarm["NodeID"], timeout)
        except swarm_errors.SwarmError as err:
            # Others may step down at the same time: the quorum seems to be at risk for a moment.
            return str(err)
        return None

    with swarm_mode.alone():
        swarm_wait.until(probe, min(timeout, _TOGETHER))
    return outcome["last"]
