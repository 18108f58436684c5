"""
Manage the turn to restart an engine in swarm mode; see ``swarm_engine.configure``.
"""

from swarm_formula.cluster import membership, node_info, raft_lock, swarm_api
from swarm_formula.core import errors, member_rules
from swarm_formula.engine import keeper, node_drain
from swarm_formula.salt import caller as salt_caller
from swarm_formula.salt import current_pillar

__virtualname__ = "swarm_turn"


def __virtual__():
    return __virtualname__


def _client():
    return swarm_api.connect(__salt__)


def status():
    """
    Return the member that has the turn to restart its engine; empty if none. Run on a manager.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_turn.status
    """
    with _client() as client:
        turn = raft_lock.find(client)
    return {"holder": turn.holder, "since": turn.since, "lease": turn.lease} if turn else {}


def end():
    """
    End the current turn, and return which member had it. Run this on a manager.

    Use this only if that member is certain not to restart its engine any more. Otherwise, the turn
    ends when the member applies again, or after some time: see the ``lease`` of
    ``swarm_turn.status``, in seconds.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_turn.end
    """
    with _client() as client:
        turn = raft_lock.find(client)
        if turn:
            node_drain.restore_of(
                client, turn.before.get("node"), turn.holder, __salt__["swarm_settings.get"]()
            )
            raft_lock.remove(client, turn.id)
    return {"turn": {"old": turn.holder, "new": None}} if turn else {}


def request(what, **kwargs):
    """
    Take, check or end the turn of the calling worker, or drain its node in its turn; return what
    is ``missing``, if anything.

    Called through the master, which identifies the caller: a member can delay other members, but
    cannot take or end their turns, and have no node drained but its own.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_turn.request take
        salt m4 publish.publish m1 swarm_turn.request take

    what
        ``take``; ``drain``; ``back``, to check whether the node is back in the cluster;
        ``settled``, to check whether its services are; or ``end``.
    """
    caller = kwargs.get("__pub_id")
    # A verb of another type, such as a list, may not be comparable with texts.
    if not caller or not isinstance(what, str) or what not in keeper.VERBS:
        return {}
    with _client() as client:
        if not membership.manager(swarm_api.swarm(client)):
            return {}
        try:
            return _admitted(client, caller, what)
        except errors.BusyError as err:
            return {"missing": str(err), "stuck": True}
        except errors.ApiError as err:
            # The cluster has no leader, for a moment or for longer.
            return {"missing": f"{caller} cannot ask whose turn it is: {err}", "stuck": True}


def _admitted(client, caller, what):
    """Answer a caller, which may be a member only by the current pillar."""
    known = member_rules.members(__salt__["swarm_settings.get"]())
    fresh = not member_rules.is_among(caller, known)
    with salt_caller.admitted(caller, known), current_pillar.pillar(__context__, fresh):
        return _answer(client, caller, what)


def _answer(client, caller, what):
    settings = __salt__["swarm_settings.get"]()
    me = settings["id"]
    if not member_rules.is_among(caller, member_rules.members(settings)):
        return _refused(f"the pillar of {me} does not name {caller} among managers and nodes")
    if what == keeper.DRAIN:
        return _drained(client, caller, settings)
    if what != keeper.TAKE:
        return {"missing": _look(client, caller, what, settings)}
    node = __salt__["swarm_builtin.claims"]().get(caller)
    if node not in node_info.by_id(swarm_api.nodes(client)):
        return _refused(
            f"no node of the cluster of {me} says that it is {caller}: salt"
            f" {caller} swarm_builtin.tell lets the managers know"
        )
    _, why = raft_lock.take(client, caller, node, raft_lock.lease(settings))
    return {"missing": why or None}


def _refused(why):
    return {"missing": why, "refused": why}


def _own_node(client, caller, settings):
    claims = __salt__["swarm_builtin.claims"]()
    return node_drain.node_of(caller, claims, swarm_api.nodes(client), settings)


def _drained(client, caller, settings):
    turn = raft_lock.find(client)
    if turn is None or turn.holder != caller:
        return {"missing": None, "without": node_drain.ENDED}
    if turn.before.get("node") != _own_node(client, caller, settings):
        return {"missing": None, "without": node_drain.uncertain(caller)}
    return node_drain.drain(client, turn.before)._asdict()


def _restore(client, caller, settings):
    # Most of the time, no node is drained, and the mine need not be read.
    if any(map(node_info.drained_from, swarm_api.nodes(client))):
        node = _own_node(client, caller, settings)
        node_drain.restore_of(client, node, caller, settings)


def _look(client, caller, what, settings):
    if what != keeper.BACK:
        _restore(client, caller, settings)
    turn = raft_lock.find(client)
    if turn is None or turn.holder != caller:
        return None  # the turn has already ended
    if what == keeper.BACK:
        return raft_lock.back(swarm_api.nodes(client), turn.before.get("node"))
    if what == keeper.SETTLED:
        return raft_lock.unsettled(client, turn.before)
    raft_lock.remove(client, turn.id)
    return None
