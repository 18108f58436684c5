"""
Wait until this node is a member in its role, and repair what keeps it from that.
"""

import contextlib
import time
from typing import Any

from swarm_formula.builtin import joining, listing, next_step, publication
from swarm_formula.cluster import membership, node_info, peers, swarm_api
from swarm_formula.cluster.membership import NOTHING, REJOIN, RESTART, Step
from swarm_formula.cluster.peers import Known
from swarm_formula.core import errors, wait
from swarm_formula.salt.execution import Host, Minion


def await_ready(minion: Minion, timeout: float | None) -> None:
    """Wait until this node is an active member in its role; a limit of 0 only checks that."""
    settings = minion.settings()
    limit = settings["timeout"] if timeout is None else timeout
    last = [float("-inf")]
    taken: list[str] = []

    def probe() -> str | None:
        with swarm_api.connect(minion.salt) as client:
            swarm = swarm_api.swarm(client)
            lack = _missing(Host(minion, client, settings), swarm, taken if limit else None)
        if lack and limit and time.monotonic() - last[0] > next_step.NUDGE:
            _nudge(minion, swarm)
            last[0] = time.monotonic()
        return lack

    wait.until(probe, limit)


def _nudge(minion: Minion, swarm: dict[str, Any]) -> None:
    """Ask the leader to apply the pillar to the nodes: it may be this node itself."""
    next_step.ask_managers(minion)
    if membership.manager(swarm):
        # The previous state has reported what blocks this, or the next apply will.
        with contextlib.suppress(errors.SwarmError):
            minion.salt["swarm_leader.settle"]()


def _missing(host: Host, swarm: dict[str, Any], taken: list[str] | None) -> str | None:
    """
    Return what this node lacks to be a member in its role, ``None`` if it lacks nothing.

    taken
        The steps that were taken to repair the node; ``None`` for a mere check. A check does not
        ask other members either: a check of a thousand nodes would make all of them ask.
    """
    me, quiet = host.settings["id"], taken is None
    known = _known(host, swarm, quiet)
    step = _step(host, swarm, known, taken)
    state = swarm.get("LocalNodeState") or "inactive"
    if taken is not None and REJOIN not in taken and (lack := _mend(host, step, state, taken)):
        return lack
    if state != "active":
        return f"{me} is {state}: {swarm.get('Error') or step.why or 'no reason given'}"
    if step.what != NOTHING:
        return f"{me}: {step.why}"
    if lack := membership.wrong_role(swarm, host.settings):
        return lack
    if not quiet and (left := joining.left(host, swarm, known)):
        return f"the managers still list node {left}, which {me} was before it joined again"
    return _unsettled(host, swarm, known, quiet)


def _known(host: Host, swarm: dict[str, Any], quiet: bool) -> Known:
    if not quiet:
        return next_step.own(host.minion, swarm, host.settings)
    near = peers.near(host.minion.mine(), host.settings, swarm)
    return near or next_step.known(host.minion, host.settings)


def _step(host: Host, swarm: dict[str, Any], known: Known, taken: list[str] | None) -> Step:
    """Return the next step; a check, which takes none, does not ask the managers."""
    if taken is None:
        return next_step.look(swarm, host.settings, known)
    step = next_step.find(host.minion, swarm, host.settings, known)
    if RESTART in taken and step.what == RESTART:
        return next_step.after_restart(host.minion, swarm, host.settings, known)
    return step


def _mend(host: Host, step: Step, state: str, taken: list[str]) -> str | None:
    """Repair a node that is waited for; return what it lacks, ``None`` if no step helps."""
    why = f"{host.settings['id']}: {step.why}"
    failed, restarted = state == "error", RESTART in taken
    if step.what == REJOIN and (restarted if failed else state == "active"):
        # The managers that know of its removal have not answered before; or its engine knows only
        # former managers, and a restart does not change that.
        _, known = joining.become(host, taken)
        taken.append(REJOIN)
        joining.note_member(host, known)
        return why
    # If Raft does not count a failed node, a restart costs nothing, and the node stays the same.
    if not restarted and (step.what == RESTART or (step.what == REJOIN and failed)):
        lack = joining.restart(host)
        if not lack:
            taken.append(RESTART)
        return lack or why
    return None


def _unsettled(host: Host, swarm: dict[str, Any], known: Known, quiet: bool) -> str | None:
    """Return what a node in its role still lacks, and publish the record of a new manager."""
    me = host.settings["id"]
    if not host.settings["is_manager"] and swarm_api.is_certified_manager(host.client):
        # If it went down now, it would come back as a manager and cost the others their quorum.
        return f"{me} has no certificate of a worker yet"
    if quiet:
        return None
    if lack := _unheard(host, swarm, known):
        return lack
    if host.settings["is_manager"] and me not in known.records:
        # It has just been promoted: others join by its record once the old managers are gone.
        publication.update(host.minion, swarm, host.settings, known)
    return None


def _unheard(host: Host, swarm: dict[str, Any], known: Known) -> str | None:
    """Return that the managers do not have this node as ready, whatever its engine says."""
    state = _state(host, swarm, known)
    if state in {None, "", node_info.READY}:
        return None
    ports = ", ".join(membership.manager_addresses(swarm))
    return (
        f"the engine of {host.settings['id']} is in the cluster, and the managers list its node"
        f" {swarm['NodeID']} as {state}: they do not hear from it. It has to reach {ports};"
        " 'journalctl -u docker' on this host tells why it does not"
    )


def _state(host: Host, swarm: dict[str, Any], known: Known) -> str | None:
    """Return the state in which the managers list this node; a manager with a leader knows it."""
    if membership.manager(swarm) and membership.cluster_id(swarm):
        with contextlib.suppress(errors.ApiError):
            return node_info.state(swarm_api.nodes(host.client), swarm["NodeID"])
    if listing.is_doubtful(swarm, known.records):
        return next_step.listed(host.minion, swarm, host.settings, known.records)
    return None
