"""
Take this node out of its cluster, unless the cluster would lose its quorum or its state.
"""

import contextlib
from typing import Any, NamedTuple

from swarm_formula.builtin import adoption, joining, next_step, publication, workloads
from swarm_formula.cluster import leave as cluster_leave
from swarm_formula.cluster import membership, node_info, roles, swarm_api
from swarm_formula.core import errors, wait
from swarm_formula.docker import engine_api
from swarm_formula.salt.execution import Host, Minion

# Seconds after which managers that leave at the same time no longer block each other.
_TOGETHER = 20


class Options(NamedTuple):
    """How a node leaves: see ``swarm_builtin.leave``."""

    force: bool = False
    lose_cluster: bool = False
    ending: bool = False
    test: bool = False


def leave(minion: Minion, options: Options) -> dict[str, Any]:
    """Ensure this node is in no cluster; return the changes."""
    settings = minion.settings()
    if not minion.salt["swarm_engine.exists"]():
        return {}
    with engine_api.unless_absent(test=True), swarm_api.connect(minion.salt) as client:
        swarm = swarm_api.swarm(client)
        state = swarm.get("LocalNodeState") or "inactive"
        if state == "inactive":
            return {}
        _carry_out(Host(minion, client, settings), swarm, options)
        return {"swarm mode": {"old": f"{state}, {node_info.own_role(swarm)}", "new": "inactive"}}
    return {}


def _carry_out(host: Host, swarm: dict[str, Any], options: Options) -> None:
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
    with engine_api.unless_absent(test=True), swarm_api.connect(minion.salt) as client:
        swarm = swarm_api.swarm(client)
        if not swarm.get("NodeID"):
            return ""
        known = next_step.known(minion, settings)
        if not joining.is_adopted(swarm, settings, known):
            return ""
        if not test:
            _forget(minion)
        return adoption.stays(settings["id"], swarm["NodeID"])
    return ""


def _forget(minion: Minion) -> None:
    """Delete the data of this node from the record and the mine."""
    adoption.forget()
    if not minion.masterless:
        publication.delete(minion)


def _is_last(client: Any, swarm: dict[str, Any]) -> bool:
    return membership.manager(swarm) and swarm_api.is_last_manager(client)


def _refuse_loss(host: Host, swarm: dict[str, Any], patience: float) -> None:
    """Raise an error for what would be lost; wait for tasks of a service just removed to end."""

    def probe() -> str | None:
        found = workloads.find(host.client, swarm)
        return workloads.refusal(host.settings["id"], found) if found else None

    with contextlib.suppress(errors.WaitTimeoutError):
        wait.until(probe, 0 if membership.manager(swarm) else patience)
        return
    if refused := probe():
        raise errors.SwarmError(refused)


def _may_force(host: Host, swarm: dict[str, Any]) -> bool:
    """
    Raise an error if the cluster would lose its quorum or its state, or if this is unknown; return
    whether the engine must be forced: without force, it refuses to leave as a manager.
    """
    me, known = host.settings["id"], next_step.known(host.minion, host.settings)
    node = swarm.get("NodeID") or known.claims.get(me, "")
    recorded = known.records.get(me, {}).get("cluster")
    listed = swarm_api.listing(host.client, swarm) or next_step.listing(
        host.minion, swarm, host.settings, known
    )
    if refused := cluster_leave.refusal(swarm, host.settings, node, listed, recorded):
        raise errors.SwarmError(
            f"{me} has not left its cluster, nothing was changed: {refused}. To leave whatever that"
            " costs: force=True lose_cluster=True"
        )
    return cluster_leave.needs_force(swarm, node, listed)


def _hand_over(host: Host, swarm: dict[str, Any]) -> bool:
    """Demote this node if it is a manager; return whether it is the last one, which stays one."""
    if not membership.manager(swarm):
        return False
    outcome, timeout = {}, host.settings["timeout"]

    def probe() -> str | None:
        try:
            outcome["last"] = roles.step_down(host.client, swarm["NodeID"], timeout)
        except errors.SwarmError as err:
            # Others may step down at the same time: the quorum seems to be at risk for a moment.
            return str(err)
        return None

    with swarm_api.alone():
        wait.until(probe, min(timeout, _TOGETHER))
    return outcome["last"]
