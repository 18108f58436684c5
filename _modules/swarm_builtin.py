"""
The swarm mode that is built into the Docker Engine: this node in it, and from a manager the others.

What a manager knows of the cluster, the others learn from Salt's mine: ``swarm_cluster`` (with the
token for workers, for members only) and ``swarm_node``, which node a minion is.
"""

import contextlib
import time

import swarm_address
import swarm_adoption
import swarm_docker
import swarm_dockerd
import swarm_errors
import swarm_leave
import swarm_listing
import swarm_membership
import swarm_mine
import swarm_mode
import swarm_nodes
import swarm_peers
import swarm_secrets
import swarm_wait
import swarm_workloads
from swarm_membership import INIT, JOIN, NOTHING, REJOIN, RESTART, UNLOCK, WAIT, Step
from swarm_peers import CLUSTER, NODE

__virtualname__ = "swarm_builtin"

# Seconds between two requests to the managers.
_NUDGE = 10
# Seconds for which a manager's word that it lists this node holds, and that a manager has for it.
_LISTED, _WORD = 60, 5
# Seconds for which an engine rests in its error before it is restarted, and between two looks. Then
# it is in an interval of more than these, and its next attempt is some seconds away.
_STEADY, _LOOK = 20, 0.5
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


def _known(settings):
    return swarm_peers.known(_mine(), settings)


def _own(swarm, settings):
    """Return what the members of this swarm have told; asks those of which that is not known."""
    return swarm_peers.own(_known(settings), settings, swarm, _lists)


def _lists(names):
    told, said, when = __context__.get("swarm_builtin.lists", ([], {}, 0))
    if told != names or time.monotonic() - when > _NUDGE:
        said = swarm_peers.lists(__salt__, names)
        __context__["swarm_builtin.lists"] = (names, said, time.monotonic())
    return said


def _look(swarm, settings, known, listed=None):
    step = swarm_membership.step(swarm, settings, known.records, known.claims, listed)
    return swarm_peers.doubt(step, known, settings)


def _step(swarm, settings, known):
    """
    Return the next step. The managers are asked before a human has to decide, and a node that they
    do not list any more joins again.
    """
    try:
        step = _look(swarm, settings, known)
    except swarm_errors.SwarmError:
        if not (listed := _listing(settings)):
            raise
        return _look(swarm, settings, known, listed)
    if step.what == WAIT and swarm.get("LocalNodeState") == "pending" and swarm.get("NodeID"):
        # Its managers may have been followed by others while it was away.
        step = _look(swarm, settings, known, _recent_listing(settings))
    if step.what == NOTHING and _is_astray(swarm, settings, known):
        why = f"its engine has joined as {swarm['NodeAddr']}, which is no address of it any more"
        return Step(REJOIN, why)
    if step.what not in {NOTHING, WAIT} or not swarm_listing.is_doubtful(swarm, known.records):
        return step
    if _listed(swarm["NodeID"], settings, known.records) is False:
        return Step(REJOIN, swarm_listing.removed(settings, swarm))
    return step


def _is_astray(swarm, settings, known):
    """Say whether a worker that the formula has brought in is on a host of another address now."""
    if not swarm_membership.is_astray(swarm, settings, swarm_address.is_own):
        return False
    claimed = swarm["NodeID"] in known.claims.values()
    return claimed or not _is_adopted(swarm, settings, known)


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


def _recent_listing(settings):
    """Return the listing of a moment ago: a node that waits looks more often than it may ask."""
    said, when = __context__.get("swarm_builtin.listing", ({}, float("-inf")))
    if time.monotonic() - when > _NUDGE:
        said = _listing(settings)
        __context__["swarm_builtin.listing"] = (said, time.monotonic())
    return said


def _listing(settings):
    return {} if _mine().masterless else swarm_peers.listing(__salt__, settings)


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
    # The port that it has joined with: pillar's may be another one by now.
    ports = swarm_membership.manager_ports(swarm)
    port = ports.get(swarm["NodeID"], settings["builtin"]["port"])
    return {
        "cluster": swarm_membership.cluster_id(swarm),
        "node": swarm["NodeID"],
        "address": swarm_address.endpoint(settings["address"], port),
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
    found = {**_known(settings).claims, settings["id"]: mine}
    return {minion: node for minion, node in found.items() if node}


def tell():
    """
    Leave in Salt's mine what others have to know of this node, if they do not know it.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_builtin.tell
    """
    settings = _settings()
    known = _known(settings)
    with _client() as client:
        _tell(swarm_mode.swarm(client), settings, known)


def _tell(swarm, settings, known):
    me, mine = settings["id"], _mine()
    if mine.masterless:
        return
    if known.claims.get(me) != swarm["NodeID"]:
        mine.send(NODE, "swarm_builtin.node_id")
    if not swarm_membership.manager(swarm):
        if me in known.records and swarm_membership.is_demoted(swarm):
            mine.forget(CLUSTER)
        return
    with mine.sending():
        told = record() == known.records.get(me)
    if not told:
        mine.send(CLUSTER, "swarm_builtin.record", swarm_mine.members(settings))


def forget(lose_cluster=False):
    """
    Have Salt's mine forget what this minion has told of a cluster.

    Only after the loss of a whole cluster: then a new one may be made. Refused while this node is
    in a cluster, or something listens where another manager of it may be.

    CLI Example:

    .. code-block:: bash

        salt 'm*' swarm_builtin.forget

    lose_cluster
        Forget a cluster that may be alive. Defaults to ``False``.
    """
    if not lose_cluster and (why := _alive()):
        raise swarm_errors.SwarmError(
            f"nothing was forgotten: {why}; by the record of a cluster nobody makes a second one."
            " If it is to be given up: lose_cluster=True"
        )
    _forget()
    return True


def _forget():
    for name in (CLUSTER, NODE):
        _mine().forget(name)


def _alive():
    """Return why the cluster that this minion has told of may be alive, if it may."""
    settings = _settings()
    swarm = {}
    with contextlib.suppress(swarm_errors.SwarmError), _client() as client:
        swarm = swarm_mode.swarm(client)
    if (state := swarm.get("LocalNodeState") or "inactive") != "inactive":
        return f"swarm mode is {state} on {settings['id']}"
    if others := swarm_mode.listens(settings):
        return f"something listens at the managers' port of {', '.join(others)}"
    return None


# --- this node


def apply(test=False):
    """
    Ensure this node is in the cluster of pillar's managers; return what changed.

    The first manager of pillar makes the cluster, if no member knows one; all others join, as
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
    new = {UNLOCK: "unlocked", RESTART: "active, by a restart of the engine"}
    where = f"in the cluster of {', '.join(settings['managers'])}"
    return {"swarm mode": {"old": old, "new": new.get(step, where)}}


def _apply(client, settings, test):
    swarm = swarm_mode.swarm(client)
    known = _own(swarm, settings)
    if not test:
        _withdraw(swarm, settings, known)
    step = _step(swarm, settings, known)
    if step.what == WAIT and not known.records:
        _mine().refuse_forgetful(settings["id"])
    if step.what == NOTHING:
        if not test:
            swarm_adoption.note(swarm["NodeID"], _is_adopted(swarm, settings, known))
            _tell(swarm, settings, known)
        return {}
    changes = _change(swarm.get("LocalNodeState") or "inactive", settings, step.what)
    if not test:
        _become(client, settings)
        swarm_adoption.note(swarm_mode.swarm(client)["NodeID"], adopted=False)
        tell()
        if step.what in {JOIN, REJOIN, RESTART, WAIT}:
            # The leader has not seen this node before: its role, its labels.
            ask_managers()
    return changes


def _withdraw(swarm, settings, known):
    """Take back which node this minion was, unless it was a manager: then that is all there is."""
    me, state = settings["id"], swarm.get("LocalNodeState") or "inactive"
    if state == "inactive" and me in known.claims and me not in known.records:
        _mine().forget(NODE)


def _become(client, settings):
    """Go step by step, until there is nothing left to do."""
    taken = []

    def probe():
        swarm = swarm_mode.swarm(client)
        known = _own(swarm, settings)
        # A node that has just joined is in the list: there is nothing to ask.
        look = _look if JOIN in taken else _step
        step = look(swarm, settings, known)
        if step.what == NOTHING:
            return None
        if step.what == RESTART and RESTART in taken:
            # If the raft does not count it, it can join anew, and loses nothing by that.
            step = _look(swarm, settings, known, _recent_listing(settings))
        if step.what == RESTART and RESTART in taken:
            return f"{settings['id']}, after a restart of its engine: {step.why}"
        missing = _take(client, settings, known, step)
        if not (missing and step.what == RESTART):
            taken.append(step.what)
        return missing or f"{settings['id']}: {step.why}"

    swarm_wait.until(probe, settings["timeout"])


def _take(client, settings, known, step):
    """Take one step; return what is in its way, if something is."""
    if step.what == INIT:
        if elsewhere := swarm_mode.listens(settings) or _telling(settings):
            return f"{', '.join(elsewhere)} may have a cluster and have not told of it: apply there"
        swarm_mode.init(client, settings)
    elif step.what == JOIN:
        try:
            swarm_mode.join(client, settings, known.records)
        except swarm_errors.SwarmError as err:
            # A leader that is gone is followed by another one, a token by a new one.
            return str(err)
    elif step.what == REJOIN:
        return _leave_by_force(client, settings)
    elif step.what == RESTART:
        return _restart(client, settings)
    elif step.what == UNLOCK:
        place, path = settings["builtin"]["unlock_key"], "swarm:builtin:unlock_key"
        key = swarm_secrets.load(__salt__, place, path=path)
        return swarm_mode.unlock(client, key)
    return None


def _telling(settings):
    """Return who manages a cluster though the mine has nothing of it: it may have been emptied."""
    return [] if _mine().masterless else swarm_peers.managers(__salt__, settings)


def _restart(client, settings):
    """Restart the engine, unless the managers would lose their quorum; return why it was not."""
    if goes_on := _goes_on(client, "error"):
        return f"{settings['id']}: {goes_on}"
    swarm = swarm_mode.swarm(client)
    if swarm_membership.manager(swarm):
        refused = swarm_nodes.restart_refusal(swarm_mode.nodes(client), swarm["NodeID"])
        if refused:
            return refused
    swarm_dockerd.start(__salt__, settings["engine"]["service"])
    swarm_dockerd.wait(settings["timeout"])
    return None


def _leave_by_force(client, settings):
    """Leave a cluster that does not count this node, to join anew; return why it was not done."""
    state = swarm_mode.swarm(client).get("LocalNodeState")
    if goes_on := state != "active" and _goes_on(client, state):
        return f"{settings['id']}: {goes_on}"
    client.leave_swarm(force=True)
    __context__.pop("swarm_builtin.listed", None)
    return None


def _goes_on(client, at):
    """
    Return what an engine does whose swarm mode has failed, ``None`` if it is at rest in that state.

    It tries again by itself, at ever longer intervals, up to 30 s. If it is stopped just when it
    joins the raft, the raft counts it, and it never takes part: the managers lose their quorum.
    """
    end = time.monotonic() + _STEADY
    while time.monotonic() < end:
        state = swarm_mode.swarm(client).get("LocalNodeState")
        if state != at:
            return f"the engine tries again by itself, and is {state}"
        time.sleep(_LOOK)
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
    last = [float("-inf")]
    taken = []

    def probe():
        with _client() as client:
            swarm = swarm_mode.swarm(client)
            missing = _missing(client, swarm, settings, taken if limit else None)
        if missing and limit and time.monotonic() - last[0] > _NUDGE:
            _nudge(swarm)
            last[0] = time.monotonic()
        return missing

    swarm_wait.until(probe, limit)


def _nudge(swarm):
    """Have the leader look what pillar says of the nodes: it may be this node itself."""
    ask_managers()
    if swarm_membership.manager(swarm):
        # What is in its way has been told by the state before, or will be with the next apply.
        with contextlib.suppress(swarm_errors.SwarmError):
            __salt__["swarm_leader.settle"]()


def _missing(client, swarm, settings, taken):
    """
    Return what this node lacks to be a member in its role, ``None`` for nothing.

    taken
        The steps that were taken to mend it; ``None`` if it is only to be looked at. Then nobody is
        asked, either: whoever looks at a thousand nodes would have all of them ask.
    """
    me, quiet = settings["id"], taken is None
    known = _known(settings) if quiet else _own(swarm, settings)
    step = (_look if quiet else _step)(swarm, settings, known)
    if step.what == RESTART and taken == []:
        missing = _restart(client, settings)
        if not missing:
            taken.append(RESTART)
        return missing or f"{me}: {step.why}"
    state = swarm.get("LocalNodeState") or "inactive"
    if state != "active":
        return f"{me} is {state}: {swarm.get('Error') or step.why or 'no reason given'}"
    if step.what != NOTHING:
        return f"{me}: {step.why}"
    if missing := swarm_membership.wrong_role(swarm, settings):
        return missing
    return _unsettled(client, swarm, settings, known, look=quiet)


def _unsettled(client, swarm, settings, known, look):
    """Return what a node that has its role lacks yet, and tell the others of a new manager."""
    if not settings["is_manager"]:
        # If it went off now, it would come back as a manager, and cost the others their quorum.
        early = swarm_mode.is_certified_manager(client)
        return f"{settings['id']} has no certificate of a worker yet" if early else None
    if not look and settings["id"] not in known.records:
        # It was promoted a moment ago: by its word others join, when the old managers are gone.
        _tell(swarm, settings, known)
    return None


def ask_managers():
    """
    Have the managers settle what pillar wants of the nodes, by way of the master; return what they
    say. Needs ``peer`` in the master's configuration for ``swarm_leader.settle``.

    CLI Example:

    .. code-block:: bash

        salt m4 swarm_builtin.ask_managers
    """
    settings = _settings()
    if _mine().masterless:
        return {}
    # A former manager may be the leader still, and has to hear of its successor.
    names = dict.fromkeys([*settings["managers"], *_known(settings).records])
    others = [name for name in names if name != settings["id"]]
    return swarm_peers.ask(__salt__, others, "swarm_leader.settle")


def leave(force=False, lose_cluster=False, ending=False, test=False):
    """
    Ensure this node is in no cluster; return what changed.

    A manager hands over first, and is refused if the others would lose their quorum by it. The last
    manager ends the cluster; refused if that has services, secrets or configs.

    CLI Example:

    .. code-block:: bash

        salt m4 swarm_builtin.leave test=True

    force
        Leave without handing over. Refused where that would cost the managers their quorum, or end
        the last manager, and where nobody can tell. Defaults to ``False``.

    lose_cluster
        Leave even then. What the cluster knows is lost, if this was the last copy. Defaults to
        ``False``.

    ending
        Others leave at the same time, maybe all of them: refused as for the last manager, and on a
        worker that has tasks. Defaults to ``False``.
    """
    settings = _settings()
    if not __salt__["swarm_engine.exists"]():
        return {}
    with swarm_docker.unless_absent(test=True), _client() as client:
        swarm = swarm_mode.swarm(client)
        state = swarm.get("LocalNodeState") or "inactive"
        if state == "inactive":
            return {}
        forced = force or state != "active"
        if not (forced or lose_cluster) and (ending or _is_last(client, swarm)):
            _refuse_loss(client, swarm, settings, 0 if test else _TOGETHER)
        by_force = forced and ((force and lose_cluster) or _may_force(client, swarm, settings))
        if not test:
            last = _hand_over(client, swarm, settings) if not forced else by_force
            if last and not (forced or lose_cluster):
                # The others have left at the same time.
                _refuse_loss(client, swarm, settings, 0)
            client.leave_swarm(force=last)
            _go()
        return {"swarm mode": {"old": f"{state}, {_role(swarm)}", "new": "inactive"}}
    return {}


def release(test=False):
    """
    Leave this node in its cluster and forget it, if it was in there before the formula; return the
    reason as a sentence, empty if it was not.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_builtin.release test=True
    """
    settings = _settings()
    if not __salt__["swarm_engine.exists"]():
        return ""
    with swarm_docker.unless_absent(test=True), _client() as client:
        swarm = swarm_mode.swarm(client)
        if not swarm.get("NodeID") or not _is_adopted(swarm, settings, _known(settings)):
            return ""
        if not test:
            _go()
        return swarm_adoption.stays(settings["id"], swarm["NodeID"])
    return ""


def _is_adopted(swarm, settings, known):
    told = known.claims.get(settings["id"]) == swarm["NodeID"]
    return swarm_adoption.is_adopted(swarm["NodeID"], told)


def _go():
    """Forget what this host was, here and in the mine."""
    swarm_adoption.forget()
    if not _mine().masterless:
        _forget()


def _is_last(client, swarm):
    return swarm_membership.manager(swarm) and swarm_mode.is_last_manager(client)


def _refuse_loss(client, swarm, settings, patience):
    """Raise an error for what would be lost; the tasks of a service that was just removed end."""

    def probe():
        found = swarm_workloads.find(client, swarm)
        return swarm_workloads.refusal(settings["id"], found) if found else None

    with contextlib.suppress(swarm_errors.WaitTimeoutError):
        swarm_wait.until(probe, 0 if swarm_membership.manager(swarm) else patience)
        return
    if refused := probe():
        raise swarm_errors.SwarmError(refused)


def _may_force(client, swarm, settings):
    """
    Raise an error if the cluster would lose what it needs, or nobody can tell; return whether the
    engine is to be forced: it refuses by itself to leave as a manager.
    """
    me, known = settings["id"], _known(settings)
    node = swarm.get("NodeID") or known.claims.get(me, "")
    recorded = known.records.get(me, {}).get("cluster")
    listed = swarm_mode.listing(client, swarm) or _listing(settings)
    if refused := swarm_leave.refusal(swarm, settings, node, listed, recorded):
        raise swarm_errors.SwarmError(
            f"{me} has not left its cluster, nothing was changed: {refused}. To leave whatever that"
            " costs: force=True lose_cluster=True"
        )
    return swarm_leave.needs_force(swarm, node, listed)


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
