"""
Find the next step of this node towards membership, and ask the managers where the mine is not
enough.

``cluster.membership`` decides on the step; the answers of the managers are cached in
``__context__``, because a waiting node polls more often than it may ask.
"""

import time
from typing import Any

from swarm_formula.builtin import listing as builtin_listing
from swarm_formula.cluster import membership, node_info, peers, swarm_api
from swarm_formula.cluster.membership import NOTHING, REJOIN, WAIT, Step
from swarm_formula.cluster.peers import Known
from swarm_formula.core import errors
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt import peer_call
from swarm_formula.salt.execution import Minion

# Minimum number of seconds between two requests to the managers.
NUDGE = 10
# Seconds for which a manager's answer is cached that this node is ready, or listed and not ready;
# and that it may take.
_LISTED, _AGAIN, _WORD = 60, 3, 5


def known(minion: Minion, settings: Settings) -> Known:
    """Return what all members have published in the mine."""
    return peers.known(minion.mine(), settings)


def own(minion: Minion, swarm: dict[str, Any], settings: Settings, managers: bool = False) -> Known:
    """
    Return the mine data of this swarm; ask members whose swarm is unknown.

    managers
        Whether those of the managers in the pillar are enough for a node to join by them.
    """
    near = _near(minion, swarm, settings)
    if managers and not near:
        near = peers.entry(minion.mine(), settings, swarm)

    def lists(names: list[str]) -> dict[str, Any]:
        return _lists(minion, names)

    return near or peers.own(known(minion, settings), settings, swarm, lists)


def _near(minion: Minion, swarm: dict[str, Any], settings: Settings) -> Known | None:
    """
    Return what is enough for a node at rest, see ``peers.near``.

    The states of one apply need it read only once, as long as the engine reports the same.
    """
    place = [
        *(swarm.get(key) for key in ("LocalNodeState", "NodeID", "ControlAvailable")),
        membership.cluster_id(swarm),
        membership.remote_managers(swarm),
        [*settings["managers"]],
    ]
    found: Known | None
    was, found, when = minion.context.get("swarm_builtin.near", (None, None, 0))
    if was == place and time.monotonic() - when <= NUDGE:
        return found
    if found := peers.near(minion.mine(), settings, swarm):
        minion.context["swarm_builtin.near"] = (place, found, time.monotonic())
    return found


def forget_near(minion: Minion) -> None:
    """Delete the cached mine data of a node at rest: the mine no longer has this node's."""
    minion.context.pop("swarm_builtin.near", None)


def _lists(minion: Minion, names: list[str]) -> dict[str, Any]:
    said: dict[str, Any]
    told, said, when = minion.context.get("swarm_builtin.lists", ([], {}, 0))
    if told != names or time.monotonic() - when > NUDGE:
        said = peers.lists(minion.salt, names)
        minion.context["swarm_builtin.lists"] = (names, said, time.monotonic())
    return said


def look(
    swarm: dict[str, Any], settings: Settings, told: Known, listed: dict[str, Any] | None = None
) -> Step:
    """Return the next step, without a request to the managers."""
    step = membership.step(swarm, settings, told.records, told.claims, listed)
    return peers.doubt(step, told, settings)


def find(minion: Minion, swarm: dict[str, Any], settings: Settings, told: Known) -> Step:
    """
    Return the next step.

    The managers are asked before an error leaves the decision to a human, and a node that they no
    longer list joins again.
    """
    try:
        step = look(swarm, settings, told)
    except errors.SwarmError:
        if not (nodes := listing(minion, swarm, settings, told)):
            raise
        return look(swarm, settings, told, nodes)
    waits = swarm.get("LocalNodeState") == "pending" and step.what == WAIT and swarm.get("NodeID")
    if waits or (step.what == NOTHING and builtin_listing.is_left_behind(swarm, told.records)):
        # Other managers may have replaced the ones that it knows while it was away.
        step = look(swarm, settings, told, recent_listing(minion, swarm, settings, told))
    if step.what == NOTHING and (former := swarm_api.former_address(swarm, settings)):
        step = membership.moved(former, swarm, settings, told.records) or step
    if step.what not in {NOTHING, WAIT} or not builtin_listing.is_doubtful(swarm, told.records):
        return step
    if listed(minion, swarm, settings, told.records) == "":
        return Step(REJOIN, membership.removed(settings, swarm))
    return step


def after_restart(minion: Minion, swarm: dict[str, Any], settings: Settings, told: Known) -> Step:
    """Return the step of a node for which a restart was the step, and did not help."""
    # If Raft does not count the node, it can join again without losing anything.
    return look(swarm, settings, told, recent_listing(minion, swarm, settings, told))


def listed(
    minion: Minion, swarm: dict[str, Any], settings: Settings, records: dict[str, dict[str, Any]]
) -> str | None:
    """
    Return the state in which the managers list this node, empty if they do not, ``None`` if no
    manager gives an answer.

    Needs ``peer`` in the master's configuration for ``swarm_leader.lists``.
    """
    node = swarm["NodeID"]
    said: str | None
    asked, said, when = minion.context.get("swarm_builtin.listed", ("", None, 0))
    limit = _LISTED if said == node_info.READY else _AGAIN if said else NUDGE
    if asked == node and time.monotonic() - when < limit:
        return said
    said = None
    for name in builtin_listing.to_ask(swarm, settings, records):
        returns = peer_call.answers(
            minion.salt, [name], "swarm_leader.lists", [node], timeout=_WORD
        )
        if (answer := builtin_listing.answer(returns, name)) is not None:
            said = answer
        if said:
            # A node that one manager lists is not removed, whatever others answer.
            break
    minion.context["swarm_builtin.listed"] = (node, said, time.monotonic())
    return said


def note_ready(minion: Minion, node: str) -> None:
    """
    Cache that the managers list this node as ready, which has just joined.

    Its engine ends a join once a manager has accepted the session of the node, and a manager does
    that after it has listed the node as ready.
    """
    minion.context["swarm_builtin.listed"] = (node, node_info.READY, time.monotonic())


def forget_listed(minion: Minion) -> None:
    """Delete the cached answer on whether the managers list this node."""
    minion.context.pop("swarm_builtin.listed", None)


def recent_listing(
    minion: Minion, swarm: dict[str, Any], settings: Settings, told: Known
) -> dict[str, Any]:
    """Return a recent listing: a waiting node polls more often than it may ask the managers."""
    said: dict[str, Any]
    said, when = minion.context.get("swarm_builtin.listing", ({}, float("-inf")))
    if time.monotonic() - when > NUDGE:
        said = listing(minion, swarm, settings, told)
        minion.context["swarm_builtin.listing"] = (said, time.monotonic())
    return said


def listing(
    minion: Minion, swarm: dict[str, Any], settings: Settings, told: Known
) -> dict[str, Any]:
    """Return the list of nodes of a manager, empty if none answers."""
    former = builtin_listing.former(swarm, settings, told.records)
    if minion.masterless:
        return {}
    return peers.listing(minion.salt, settings, former)


def ask_managers(minion: Minion) -> dict[str, Any]:
    """Ask the managers, through the master, to apply the pillar to the nodes."""
    settings = minion.settings()
    if minion.masterless:
        return {}
    return _ask(minion, settings, peers.leading(known(minion, settings), settings))


def ask_leader(minion: Minion, swarm: dict[str, Any], settings: Settings, told: Known) -> None:
    """
    Ask the managers that have published their cluster, one of which leads it; if none of them
    answers, ask the others as well. Those have only just been promoted, and apply the pillar.
    """
    if minion.masterless:
        return
    if membership.remote_managers(swarm) != {one["node"] for one in told.records.values()}:
        # A former manager may lead it, of which only its own record tells.
        told = known(minion, settings)
    names = peers.leading(told, settings)
    first = [name for name in names if name in told.records]
    if not _ask(minion, settings, first):
        _ask(minion, settings, [name for name in names if name not in first])


def _ask(minion: Minion, settings: Settings, names: list[str]) -> dict[str, Any]:
    others = [name for name in names if name != settings["id"]]
    return peers.ask(minion.salt, others, "swarm_leader.settle")
