"""
Ask for the turn to restart an engine in swarm mode, which is a lock in the cluster.

Managers access the lock (``cluster.raft_lock``) directly, workers through a manager.
"""

import contextlib
import random
from collections.abc import Callable
from typing import Any, Protocol

from swarm_formula.cluster import membership, node_info, node_quorum, raft_lock, swarm_api
from swarm_formula.core import errors
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.engine import node_drain
from swarm_formula.salt import peer_call

TAKE, DRAIN, BACK, SETTLED, END = VERBS = ("take", "drain", "back", "settled", "end")
# Factor for the pauses of a worker: there may be many, so each asks less often than a manager.
_SLOW = 15
UNTURNED = "swarm:engine:turns: false does without turns, for 'salt -b 1'"


class Keeper(Protocol):
    """Access to the lock; requests return what is still missing, ``None`` when done."""

    slow: float
    stuck: bool  # the last request failed for another reason than the turn of another host
    without: str  # why the node is not drained

    def ask(self, what: str) -> str | None:
        """Carry out or check one of ``VERBS``."""


def find(salt: Salt, settings: Settings, masterless: bool) -> Keeper | None:
    """Return the access to the cluster's lock, ``None`` if there is none or none is needed."""
    with swarm_api.connect(salt) as client:
        swarm = swarm_api.swarm(client)
        if swarm.get("LocalNodeState") != "active":
            return None
        if not membership.manager(swarm):
            return None if masterless else Managers(salt, settings)
        with contextlib.suppress(errors.ApiError):
            if len(swarm_api.nodes(client)) == 1:
                return None
            _refuse_lock(client, settings)
        return Raft(salt, settings, swarm["NodeID"])


def _refuse_lock(client: Any, settings: Settings) -> None:
    """Raise an error for a manager that would stay locked after its restart."""
    spec = client.inspect_swarm()["Spec"]
    locks = (spec.get("EncryptionConfig") or {}).get("AutoLockManagers")
    if locks and not settings["builtin"]["unlock_key"]:
        raise errors.SettingsError(
            f"the engine of {settings['id']} has to restart, and the cluster locks its managers"
            " (autolock): it would stay locked. Name the place of the key in"
            " swarm:builtin:unlock_key, and apply again; nothing was changed"
        )


class Raft:
    """Access to the lock on a manager."""

    slow: float = 5

    def __init__(self, salt: Salt, settings: Settings, node: str) -> None:
        self._salt, self._settings, self._node = salt, settings, node
        self._turn: raft_lock.Turn | None = None
        self.stuck, self.without = False, ""

    def ask(self, what: str) -> str | None:
        """Carry out or check one of ``VERBS``."""
        self.stuck = False
        with swarm_api.connect(self._salt) as client:
            try:
                request: Callable[[Any], str | None] = getattr(self, f"_{what}")
                return request(client)
            except errors.ApiError as err:
                # There is no leader, for a moment or for longer.
                self.stuck = True
                return f"{self._settings['id']} cannot ask whose turn it is: {err}"

    def _take(self, client: Any) -> str | None:
        me = self._settings["id"]
        if self._turn is None:
            seconds = raft_lock.lease(self._settings)
            self._turn, why = raft_lock.take(client, me, self._node, seconds)
            if self._turn is None:
                return why
        # Checked while no other engine may restart; another manager may still be coming back.
        refused = pause_refusal(swarm_api.nodes(client), self._node)
        self.stuck = bool(refused)
        return refused

    def _drain(self, client: Any) -> str | None:
        turn = self._own(client)
        if turn is None:
            # Another host may have the turn by now, and restart its engine: this one waits again.
            self._turn, self.without = None, node_drain.ENDED
            return None
        missing, self.without = node_drain.drain(client, turn.before)
        return missing

    def _back(self, client: Any) -> str | None:
        swarm = swarm_api.swarm(client)
        state = swarm.get("LocalNodeState")
        if state == "locked":
            self._salt["swarm_builtin.apply"]()
            return "the manager is being unlocked"
        if state != "active" or not membership.manager(swarm):
            return f"the engine is {state} in its cluster{' and no manager' * (state == 'active')}"
        return raft_lock.back(swarm_api.nodes(client), self._node)

    def _restore(self, client: Any) -> None:
        me = self._settings["id"]
        node_drain.restore_of(client, self._node, me, self._settings)

    def _settled(self, client: Any) -> str | None:
        self._restore(client)
        turn = self._own(client)
        return raft_lock.unsettled(client, turn.before) if turn else None

    def _end(self, client: Any) -> None:
        self._restore(client)
        if turn := self._own(client):
            raft_lock.remove(client, turn.id)
        self._turn = None

    def _own(self, client: Any) -> raft_lock.Turn | None:
        """Return this host's turn; a killed run may have taken it."""
        turn = raft_lock.find(client)
        return turn if turn and turn.holder == self._settings["id"] else None


def pause_refusal(nodes: list[dict[str, Any]], node: str) -> str | None:
    """Return why a manager must not restart now, ``None`` if it may."""
    managers = node_info.managers(nodes)
    away = [one for one in managers if one["ID"] != node and not node_info.is_reachable(one)]
    if not away and len(managers) <= 2:  # noqa: PLR2004
        # One or two managers cannot restart without an interruption; waiting does not change that.
        return None
    refused = node_quorum.pause_refusal(nodes, node)
    names = ", ".join(map(node_info.title, away))
    return f"{refused}; bring {names} up first" if refused else None


class Managers:
    """Access to the lock on a worker, through ``swarm_turn.request`` on any manager."""

    slow: float = _SLOW

    def __init__(self, salt: Salt, settings: Settings) -> None:
        self._salt, self._settings, self.stuck, self.without = salt, settings, False, ""
        self._taken = False
        # The managers need the node ID of the minion that asks.
        salt["swarm_builtin.tell"]()

    def ask(self, what: str) -> str | None:
        """Carry out or check one of ``VERBS``."""
        if what == TAKE and self._taken:
            return None  # a worker's restart costs no quorum
        if what == BACK:
            with swarm_api.connect(self._salt) as client:
                state = swarm_api.swarm(client).get("LocalNodeState")
            if state != "active":
                return f"the engine is {state} in its cluster"
        answer = self._answer(what)
        self.stuck = answer is None or bool(answer.get("stuck"))
        if answer is None:
            return self._silence()
        if answer.get("refused"):
            raise errors.SwarmError(f"nothing was changed: {answer['refused']}")
        self.without = str(answer.get("without") or "")
        self._taken = self._taken or (what == TAKE and not answer["missing"])
        if self.without == node_drain.ENDED:
            self._taken = False
        missing: str | None = answer["missing"]
        return missing

    def _answer(self, what: str) -> dict[str, Any] | None:
        """Return the first valid answer of a manager, ``None`` if there is none."""
        names = list(self._settings["managers"])
        random.shuffle(names)
        for name in names:
            found = peer_call.answers(self._salt, [name], "swarm_turn.request", [what])
            answer = found.get(name)
            if isinstance(answer, dict) and "missing" in answer:
                return answer
        return None

    def _silence(self) -> str:
        me, names = self._settings["id"], ", ".join(self._settings["managers"])
        return (
            f"{me} is a worker, and the managers say when its engine may restart; none of {names}"
            " answers swarm_turn.request: the master's configuration has to let minions ask for it"
            f" (peer, see the state swarm.master), and a manager has to be up; {UNTURNED}"
        )
