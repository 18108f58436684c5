"""
The swarm mode that is built into the Docker Engine: this node in it, and from a manager the others.

What a manager knows of the cluster, the others learn from Salt's mine: ``swarm_cluster`` (with the
token for workers, for members only) and ``swarm_node``, which node a minion is.
"""

import time

import swarm_docker
import swarm_errors
import swarm_listing
import swarm_membership
import swarm_mine
import swarm_mode
import swarm_nodes
import swarm_secrets
import swarm_wait
from swarm_address import endpoint
from swarm_membership import INIT, JOIN, NOTHING, REJOIN, UNLOCK, WAIT, Step

__virtualname__ = "swarm_builtin"

_CLUSTER, _NODE = "swarm_cluster", "swarm_node"
# Seconds between two requests to the managers, and how long one may take.
_NUDGE, _ANSWER = 10, 15
# Seconds for which a manager's word that it lists this node holds, and that a manager has for it.
_LISTED, _WORD = 60, 5
# Seconds within which managers that leave at the same time are out of each other's way.
_TOGETHER = 20


def __virtual__():
    return __virtualname__


def _settings():
    return __salt__["swarm_settings.get"]()


def _client():
    return swarm_mode.connect(__salt__)


def _mine():
    return swarm_mine.Mine(__salt__, __opts__, __context__)


# --- what is


def info():
    """
    Return this node's state, role, node ID, cluster (managers only), managers and error.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_builtin.info
    """
    with _client() as client:
        swarm = swarm_mode.swarm(client)
    return {
        "state": swarm.get("LocalNodeState") or "inactive",
        "role": _role(swarm),
        "node": swarm.get("NodeID") or "",
        "cluster": swarm_membership.cluster_id(swarm),
        "managers": sorted(swarm_membership.remote_managers(swarm)),
        "error": swarm.get("Error") or "",
    }


def _role(swarm):
    return swarm_nodes.MANAGER if swarm_membership.manager(swarm) else swarm_nodes.WORKER


# --- the mine


def record():
    """
    Return what a manager tells the others: cluster, node, address and the token for workers.

    For Salt's mine; whoever else calls it does not get the token.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_builtin.record
    """
    settings = _settings()
    with _client() as client:
        swarm = swarm_mode.swarm(client)
        if not swarm_membership.manager(swarm):
            return {}
        token = client.inspect_swarm()["JoinTokens"]["Worker"]
    return {
        "cluster": swarm_membership.cluster_id(swarm),
        "node": swarm["NodeID"],
        "address": endpoint(settings["address"], settings["builtin"]["port"]),
        # Who may read this: if pillar lets others in, the mine has to be told anew.
        "members": swarm_mine.members(settings),
        "token": _mine().secret(token),
    }


def node_id():
    """
    Return the ID of this node in its cluster, empty if it is in none. For Salt's mine.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_builtin.node_id
    """
    with _client() as client:
        return swarm_mode.swarm(client).get("NodeID") or ""


def _records(settings):
    found = _mine().get(list(settings["managers"]), _CLUSTER)
    return {name: found[name] for name in settings["managers"] if found.get(name)}


def claims(fresh=False):
    """
    Return which node each member says it is, ``{minion ID: node ID}``; of this one, its engine.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_builtin.claims

    fresh
        Of the members by the pillar as it is now. Defaults to ``False``: as of the last refresh.
    """
    settings = __salt__["swarm_settings.get"](fresh=fresh)
    with _client() as client:
        mine = swarm_mode.swarm(client).get("NodeID")
    found = {**_mine().get(swarm_mine.members(settings), _NODE), settings["id"]: mine}
    # Anything may be in the mine: each minion writes its own.
    return {minion: node for minion, node in found.items() if node and isinstance(node, str)}


def tell():
    """
    Leave in Salt's mine what others have to know of this node, if they do not know it.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_builtin.tell
    """
    settings = _settings()
    records = _records(settings)
    with _client() as client:
        _tell(swarm_mode.swarm(client), settings, records)


def _tell(swarm, settings, records):
    me, mine = settings["id"], _mine()
    if mine.masterless:
        return
    mine.tell(me, _NODE, swarm["NodeID"], "swarm_builtin.node_id")
    if not swarm_membership.manager(swarm):
        if me in records:
            __salt__["mine.delete"](_CLUSTER)
        return
    with mine.sending():
        known = record() == records.get(me)
    if not known:
        mine.send(_CLUSTER, "swarm_builtin.record", swarm_mine.members(settings))


def forget():
    """
    Have Salt's mine forget what this minion has told of a cluster.

    Only after the loss of a whole cluster: then a new one may be made.

    CLI Example:

    .. code-block:: bash

        salt 'm*' swarm_builtin.forget
    """
    for name in (_CLUSTER, _NODE):
        __salt__["mine.delete"](name)
    return True


# --- this node


def apply(test=False):
    """
    Ensure this node is in the cluster of pillar's managers; return what changed.

    The first manager of pillar makes the cluster, if none was ever known; all others join, as
    workers. Who is a manager, pillar says to the managers: see ``swarm_leader.settle``.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_builtin.apply test=True
    """
    settings = _settings()
    with swarm_docker.unless_absent(test), _client() as client:
        return _apply(client, settings, test)
    return _change("inactive", settings)


def _change(old, settings, step=None):
    new = "unlocked" if step == UNLOCK else f"in the cluster of {', '.join(settings['managers'])}"
    return {"swarm mode": {"old": old, "new": new}}


def _apply(client, settings, test):
    records = _records(settings)
    swarm = swarm_mode.swarm(client)
    step = _step(swarm, settings, records)
    if step.what == WAIT and not records:
        _mine().refuse_forgetful(settings["id"])
    if step.what == NOTHING:
        if not test:
            _tell(swarm, settings, records)
        return {}
    changes = _change(swarm.get("LocalNodeState") or "inactive", settings, step.what)
    if not test:
        _become(client, settings)
        tell()
        if step.what in {JOIN, REJOIN, WAIT}:
            # The leader has not seen this node before: its role, its labels.
            ask_managers()
    return changes


def _step(swarm, settings, records):
    """Return the next step; a node that the managers do not list any more joins again."""
    step = swarm_membership.step(swarm, settings, records)
    if step.what not in {NOTHING, WAIT} or not swarm_listing.is_doubtful(swarm, records):
        return step
    if _listed(swarm["NodeID"], settings, records) is False:
        return Step(REJOIN, swarm_listing.removed(settings, swarm))
    return step


def _listed(node, settings, records):
    """
    Return whether the managers list a node, ``None`` if none of them tells.

    Needs ``peer`` in the master's configuration for ``swarm_leader.lists``.
    """
    known, said, when = __context__.get("swarm_builtin.listed", ("", None, 0))
    if known == node and time.monotonic() - when < (_LISTED if said else _NUDGE):
        return said
    said = None
    for name in swarm_listing.to_ask(settings, records):
        returns = __salt__["publish.publish"](name, "swarm_leader.lists", node, timeout=_WORD)
        if (said := swarm_listing.answer(returns, name)) is not None:
            break
    __context__["swarm_builtin.listed"] = (node, said, time.monotonic())
    return said


def _become(client, settings):
    """Go step by step, until there is nothing left to do."""
    taken = []

    def probe():
        records = _records(settings)
        # A node that has just joined is in the list: there is nothing to ask.
        look = swarm_membership.step if JOIN in taken else _step
        step = look(swarm_mode.swarm(client), settings, records)
        if step.what == NOTHING:
            return None
        taken.append(step.what)
        return _take(client, settings, records, step) or f"{settings['id']}: {step.why}"

    swarm_wait.until(probe, settings["timeout"])


def _take(client, settings, records, step):
    """Take one step; return what is in its way, if something is."""
    if step.what == INIT:
        if elsewhere := swarm_mode.listens(settings):
            return f"{', '.join(elsewhere)} may have a cluster and have not told of it: apply there"
        swarm_mode.init(client, settings)
    elif step.what == JOIN:
        try:
            swarm_mode.join(client, settings, records)
        except swarm_errors.SwarmError as err:
            # A leader that is gone is followed by another one, a token by a new one.
            return str(err)
    elif step.what == REJOIN:
        client.leave_swarm(force=True)
        __context__.pop("swarm_builtin.listed", None)
    elif step.what == UNLOCK:
        key = swarm_secrets.load(__salt__, settings["builtin"]["unlock_key"])
        return swarm_mode.unlock(client, key)
    return None


def wait_ready(timeout=None):
    """
    Wait until this node is an active member in the role that pillar gives it.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_builtin.wait_ready timeout=30

    timeout
        Seconds; ``swarm:timeout`` if unset.
    """
    settings = _settings()
    limit = settings["timeout"] if timeout is None else timeout
    due = swarm_nodes.MANAGER if settings["is_manager"] else swarm_nodes.WORKER
    last = [float("-inf")]

    def probe():
        with _client() as client:
            swarm = swarm_mode.swarm(client)
        # Without a limit, whoever looks at a thousand nodes would have all of them ask.
        look = _step if limit else swarm_membership.step
        step = look(swarm, settings, _records(settings))
        state = swarm.get("LocalNodeState") or "inactive"
        if state != "active":
            why = swarm.get("Error") or step.why or "no reason given"
            return f"{settings['id']} is {state}: {why}"
        if step.what != NOTHING:
            return f"{settings['id']}: {step.why}"
        if _role(swarm) == due:
            return None
        if limit and time.monotonic() - last[0] > _NUDGE:
            ask_managers()
            last[0] = time.monotonic()
        return (
            f"{settings['id']} is a {_role(swarm)} and is to be a {due}: the leader of the cluster"
            " has to apply swarm, or the master's configuration lets minions ask for it"
            " (peer, see the state swarm.master)"
        )

    swarm_wait.until(probe, limit)


def ask_managers():
    """
    Have the managers settle what pillar wants of the nodes, by way of the master; return what they
    say. Needs ``peer`` in the master's configuration for ``swarm_leader.settle``.

    CLI Example:

    .. code-block:: bash

        salt m4 swarm_builtin.ask_managers
    """
    others = [name for name in _settings()["managers"] if name != __opts__["id"]]
    if _mine().masterless or not others:
        return {}
    return __salt__["publish.publish"](
        ",".join(others), "swarm_leader.settle", tgt_type="list", timeout=_ANSWER
    )


def leave(force=False, test=False):
    """
    Ensure this node is in no cluster; return what changed.

    A manager hands over first, and is refused if the others would lose their quorum by it. The last
    manager ends the cluster.

    CLI Example:

    .. code-block:: bash

        salt m4 swarm_builtin.leave test=True

    force
        Leave at once, whatever that costs the cluster. Defaults to ``False``.
    """
    settings = _settings()
    if not __salt__["swarm_engine.exists"]():
        return {}
    with swarm_docker.unless_absent(test=True), _client() as client:
        swarm = swarm_mode.swarm(client)
        state = swarm.get("LocalNodeState") or "inactive"
        if state == "inactive":
            return {}
        if not test:
            last = _hand_over(client, swarm, settings) if not force else True
            client.leave_swarm(force=force or last or state != "active")
            if not _mine().masterless:
                forget()
        return {"swarm mode": {"old": f"{state}, {_role(swarm)}", "new": "inactive"}}
    return {}


def _hand_over(client, swarm, settings):
    """Have a manager become a worker; return whether it is the last one, which cannot."""
    if not swarm_membership.manager(swarm):
        return False
    outcome = {}

    def probe():
        try:
            outcome["last"] = swarm_mode.step_down(client, swarm["NodeID"], settings["timeout"])
        except swarm_errors.SwarmError as err:
            # Others may be stepping down at the same time: for a moment, quorum seems at stake.
            return str(err)
        return None

    with swarm_mode.alone():
        swarm_wait.until(probe, min(settings["timeout"], _TOGETHER))
    return outcome["last"]
