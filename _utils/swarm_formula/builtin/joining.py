"""
Bring this node into the cluster of the managers in the pillar, one step after the other.
"""

import contextlib
import time
from collections.abc import Iterable
from typing import Any

from swarm_formula.builtin import adoption, next_step, publication
from swarm_formula.cluster import entry, membership, node_info, node_quorum, peers, swarm_api
from swarm_formula.cluster.membership import (
    INIT,
    JOIN,
    NOTHING,
    REJOIN,
    RESTART,
    UNLOCK,
    WAIT,
    Step,
)
from swarm_formula.cluster.peers import Known
from swarm_formula.core import errors, wait
from swarm_formula.core.settings_types import Settings
from swarm_formula.daemon import dockerd
from swarm_formula.salt import secret_store
from swarm_formula.salt.execution import Host

# Seconds for which the state of a failed engine must not change before the engine is restarted, and
# seconds between two polls. The engine is then in a retry interval longer than that, and its next
# attempt is some seconds away.
_STEADY, _LOOK = 20, 0.5
# Seconds for which the host that creates a cluster waits for the next of the other managers, and
# these for their promotion by it.
_SOON = 2
# Factor for the longest pause of a manager between two polls for the cluster: there are few
# managers, and all others wait for them. Each of the many workers polls less often.
_EAGER = 0.3
# Seconds within which the managers report a node that has left as down, and remove it.
_LEFT = 45


def changes(old: str, settings: Settings, step: str | None = None) -> dict[str, Any]:
    """Return what changes in swarm mode by a step, or by the way into the cluster."""
    new = {UNLOCK: "unlocked", RESTART: "active, by a restart of the engine"}
    where = f"in the cluster of {', '.join(settings['managers'])}"
    return {"swarm mode": {"old": old, "new": new.get(step or "", where)}}


def apply(host: Host, test: bool) -> dict[str, Any]:
    """Ensure this node is in the cluster; return the changes."""
    swarm = swarm_api.swarm(host.client)
    known = next_step.own(host.minion, swarm, host.settings, managers=True)
    if not test:
        publication.withdraw(host.minion, swarm, host.settings, known)
    step = _next(host, swarm, known, test)
    if step.what == WAIT and not known.records:
        host.minion.mine().refuse_forgetful(host.settings["id"])
    if step.what == NOTHING:
        if not test:
            adoption.note(swarm["NodeID"], is_adopted(swarm, host.settings, known))
            publication.update(host.minion, swarm, host.settings, known)
        return {}
    due = changes(swarm.get("LocalNodeState") or "inactive", host.settings, step.what)
    return due if test else _enter(host, known, swarm, step, due)


def _enter(
    host: Host, known: Known, swarm: dict[str, Any], step: Step, due: dict[str, Any]
) -> dict[str, Any]:
    """Take all steps that are due; return the changes, none if it was only waited."""
    taken, known = become(host, known=known)
    now = note_member(host, known)
    if swarm.get("NodeID") == now["NodeID"] and set(taken) <= {WAIT}:
        # The engine has just started, or the managers have elected another leader.
        return {}
    if INIT in taken and not host.minion.masterless:
        _gather(host)
    if step.what in {JOIN, REJOIN, RESTART, WAIT} and not (WAIT in taken and _promoted(host)):
        # The node is new to the leader, which has to set its role and labels.
        next_step.ask_leader(host.minion, now, host.settings, known)
    return due


def _gather(host: Host) -> None:
    """
    Wait briefly until the other managers have joined the cluster that this host has created.

    Managers that are applied at the same time join at once, see ``_promoted``. The next state
    promotes all of them together; each one that comes later has to ask for it.
    """
    others = host.settings["managers"].keys() - {host.settings["id"]}

    def probe() -> str | None:
        nodes = swarm_api.nodes(host.client)
        claims = publication.claims_of(host, nodes)
        states = {name: node_info.state(nodes, claims.get(name, "")) for name in others}
        return ", ".join(sorted(name for name in others if states[name] != node_info.READY)) or None

    with contextlib.suppress(errors.WaitTimeoutError):
        wait.until(swarm_api.patient(probe), _SOON, moving=True, slow=_EAGER)


def _promoted(host: Host) -> bool:
    """
    Wait briefly until the leader promotes this node; return whether it did.

    A node that had to wait for the cluster joins while the host that creates it waits for it, and
    then applies the pillar to all nodes that are there: it sets the labels of a node before its
    role. A request would start another run for it.
    """
    if not host.settings["is_manager"]:
        return False

    def probe() -> str | None:
        return None if membership.manager(swarm_api.swarm(host.client)) else "still a worker"

    with contextlib.suppress(errors.WaitTimeoutError):
        wait.until(swarm_api.patient(probe), _SOON, slow=_EAGER)
        return True
    return False


def note_member(host: Host, known: Known) -> dict[str, Any]:
    """Record whether this node was brought in by the formula, and publish it; return its state."""
    now = swarm_api.swarm(host.client)
    adoption.note(now["NodeID"], is_adopted(now, host.settings, known))
    publication.update(host.minion, now, host.settings, known)
    return now


def is_adopted(swarm: dict[str, Any], settings: Settings, known: Known) -> bool:
    """Check whether this host was this node before the formula managed it."""
    told = known.claims.get(settings["id"]) == swarm["NodeID"]
    return adoption.is_adopted(swarm["NodeID"], told)


class _Way:
    """The way of this node into the cluster: the steps taken, and what members have published."""

    def __init__(self, host: Host, taken: Iterable[str], known: Known | None) -> None:
        self._host, self.taken = host, [*taken]
        self.known, self._current = known or Known({}, {}), known is not None
        self._refused = False

    def probe(self) -> str | None:
        """Take the next step; return what is missing, ``None`` if nothing is left to do."""
        host = self._host
        swarm = swarm_api.swarm(host.client)
        if not (self._current and peers.is_enough(self.known, swarm)):
            # If the managers in the pillar do not let it in, a former one may.
            managers = not self._refused
            self.known = next_step.own(host.minion, swarm, host.settings, managers)
        # The managers list a node that has just joined, so they need not be asked.
        step = _find(host, swarm, self.known, asks=JOIN not in self.taken)
        if step.what == NOTHING:
            return None
        if step.what == RESTART and RESTART in self.taken:
            step = next_step.after_restart(host.minion, swarm, host.settings, self.known)
            if step.what == RESTART:
                return f"{host.settings['id']}, after a restart of its engine: {step.why}"
        missing = _take(host, self.known, step)
        if not (missing and step.what == RESTART):
            self.taken.append(step.what)
        self._refused = bool(missing) and step.what == JOIN
        # It is in the cluster of which it has read: that it need not read again.
        self._current = not missing and step.what in {INIT, JOIN}
        return missing or f"{host.settings['id']}: {step.why}"


def become(
    host: Host, before: Iterable[str] = (), known: Known | None = None
) -> tuple[list[str], Known]:
    """
    Take one step after the other until nothing is left to do.

    Returns all steps, and what members have published, as of the last read of the mine.

    known
        What they have published, if it has just been read.
    """
    way = _Way(host, before, known)
    slow = _EAGER if host.settings["is_manager"] else 1
    wait.until(way.probe, host.settings["timeout"], slow=slow)
    return way.taken, way.known


def _find(host: Host, swarm: dict[str, Any], known: Known, asks: bool) -> Step:
    if not asks:
        return next_step.look(swarm, host.settings, known)
    return _next(host, swarm, known)


def _next(host: Host, swarm: dict[str, Any], known: Known, test: bool = False) -> Step:
    """Return the next step; only a dry run reports at once what the managers may tell later."""
    try:
        return next_step.find(host.minion, swarm, host.settings, known)
    except errors.UntoldError as err:
        if test:
            raise
        return Step(WAIT, str(err))


def _take(host: Host, known: Known, step: Step) -> str | None:
    """Take one step; return what blocks it, if anything."""
    if step.what == INIT:
        return _init(host)
    if step.what == JOIN:
        return _join(host, known)
    if step.what == REJOIN:
        return _leave_by_force(host)
    if step.what == RESTART:
        return restart(host)
    if step.what == UNLOCK and (place := host.settings["builtin"]["unlock_key"]):
        key = secret_store.load(host.minion.salt, place, path="swarm:builtin:unlock_key")
        return entry.unlock(host.client, key)
    return None


def _init(host: Host) -> str | None:
    """Create the cluster, unless another manager may have one."""
    if elsewhere := swarm_api.listens(host.settings) or _telling(host):
        return f"{', '.join(elsewhere)} may have a cluster and have not told of it: apply there"
    adoption.begin()
    entry.init(host.client, host.settings)
    return None


def _telling(host: Host) -> list[str]:
    """Return the managers of a cluster that the mine lacks: it may have been cleared."""
    if host.minion.masterless:
        return []
    return peers.managers(host.minion.salt, host.settings)


def _join(host: Host, known: Known) -> str | None:
    adoption.begin()
    try:
        entry.join(host.client, host.settings, known.records)
    except errors.SwarmError as err:
        # Retry: a lost leader is replaced by another one, an old token by a new one.
        return str(err)
    next_step.note_ready(host.minion, swarm_api.swarm(host.client)["NodeID"])
    return None


def restart(host: Host) -> str | None:
    """Restart the engine unless this would cost the quorum; return why it was not restarted."""
    if goes_on := _goes_on(host.client, "error"):
        return f"{host.settings['id']}: {goes_on}"
    swarm = swarm_api.swarm(host.client)
    if membership.manager(swarm):
        refused = node_quorum.restart_refusal(swarm_api.nodes(host.client), swarm["NodeID"])
        if refused:
            return refused
    dockerd.start(host.minion.salt, host.settings["engine"]["service"])
    dockerd.wait(host.settings["timeout"])
    return None


def _leave_by_force(host: Host) -> str | None:
    """Leave a cluster that does not count this node, to join again; return why it did not leave."""
    state = swarm_api.swarm(host.client).get("LocalNodeState")
    if goes_on := state != "active" and _goes_on(host.client, state):
        return f"{host.settings['id']}: {goes_on}"
    left = swarm_api.swarm(host.client).get("NodeID")
    host.client.leave_swarm(force=True)
    next_step.forget_listed(host.minion)
    host.minion.context["swarm_builtin.left"] = (left, time.monotonic() + _LEFT)
    return None


def left(host: Host, swarm: dict[str, Any], known: Known) -> str | None:
    """
    Return the node that this host was before it joined again, while the managers list it.

    They remove it once it is down. If this apply did not wait for that, the next one would change
    something.
    """
    node, until = host.minion.context.get("swarm_builtin.left", ("", 0))
    if not node or time.monotonic() > until:
        return None
    listed = next_step.recent_listing(host.minion, swarm, host.settings, known)
    return node if node in listed.get("nodes", {}) else None


def _goes_on(client: Any, at: str | None) -> str | None:
    """
    Return what an engine whose swarm mode has failed does, ``None`` if its state does not change.

    The engine retries by itself, at growing intervals of up to 30 s. If it is stopped while it
    joins Raft, Raft counts it although it never takes part, and the managers lose their quorum.
    """
    end = time.monotonic() + _STEADY
    while time.monotonic() < end:
        state = swarm_api.swarm(client).get("LocalNodeState")
        if state != at:
            return f"the engine tries again by itself, and is {state}"
        time.sleep(_LOOK)
    return None
