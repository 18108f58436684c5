"""
Manage this node in the swarm mode of Docker Engine; ``swarm_leader`` manages the other nodes.

Members exchange data through Salt's mine: ``swarm_cluster`` is the record of a manager (with the
join token for workers, readable by members only), ``swarm_node`` is the node ID of a minion.
"""

import contextlib
import time

import swarm_adoption
import swarm_current
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
from swarm_address import endpoint
from swarm_membership import INIT, JOIN, NOTHING, REJOIN, RESTART, UNLOCK, WAIT, Step
from swarm_peers import CLUSTER, NODE

__virtualname__ = "swarm_builtin"

# Minimum number of seconds between two requests to the managers.
_NUDGE = 10
# Seconds for which a manager's answer that it lists this node is cached, and that it may take.
_LISTED, _WORD = 60, 5
# Seconds for which the state of a failed engine must not change before the engine is restarted, and
# seconds between two polls. The engine is then in a retry interval longer than that, and its next
# attempt is some seconds away.
_STEADY, _LOOK = 20, 0.5
# Seconds within which the managers report a node that has left as down, and remove it.
_LEFT = 45
# Seconds after which managers that leave at the same time no longer block each other.
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
    """Return the mine data of this swarm; ask members whose swarm is unknown."""
    near = swarm_peers.near(_mine(), settings, swarm)
    return near or swarm_peers.own(_known(settings), settings, swarm, _lists)


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
    Return the next step.

    The managers are asked before an error leaves the decision to a human, and a node that they no
    longer list joins again.
    """
    try:
        step = _look(swarm, settings, known)
    except swarm_errors.SwarmError:
        if not (listed := _listing(swarm, settings, known)):
            raise
        return _look(swarm, settings, known, listed)
    waits = swarm.get("LocalNodeState") == "pending" and step.what == WAIT and swarm.get("NodeID")
    if waits or (step.what == NOTHING and swarm_listing.is_left_behind(swarm, known.records)):
        # Other managers may have replaced the ones that it knows while it was away.
        step = _look(swarm, settings, known, _recent_listing(swarm, settings, known))
    if step.what == NOTHING and (former := swarm_mode.former_address(swarm, settings)):
        step = swarm_membership.moved(former, swarm, settings, known.records) or step
    if step.what not in {NOTHING, WAIT} or not swarm_listing.is_doubtful(swarm, known.records):
        return step
    if _listed(swarm, settings, known.records) is False:
        return Step(REJOIN, swarm_membership.removed(settings, swarm))
    return step


def _listed(swarm, settings, records):
    """
    Return whether the managers list this node, ``None`` if no manager gives an answer.

    Needs ``peer`` in the master's configuration for ``swarm_leader.lists``.
    """
    node = swarm["NodeID"]
    known, said, when = __context__.get("swarm_builtin.listed", ("", None, 0))
    if known == node and time.monotonic() - when < (_LISTED if said else _NUDGE):
        return said
    said = None
    for name in swarm_listing.to_ask(swarm, settings, records):
        returns = __salt__["publish.publish"](name, "swarm_leader.lists", node, timeout=_WORD)
        if (answer := swarm_listing.answer(returns, name)) is not None:
            said = answer
        if said:
            # A node that one manager lists is not removed, whatever others answer.
            break
    __context__["swarm_builtin.listed"] = (node, said, time.monotonic())
    return said


def _recent_listing(swarm, settings, known):
    """Return a recent listing: a waiting node polls more often than it may ask the managers."""
    said, when = __context__.get("swarm_builtin.listing", ({}, float("-inf")))
    if time.monotonic() - when > _NUDGE:
        said = _listing(swarm, settings, known)
        __context__["swarm_builtin.listing"] = (said, time.monotonic())
    return said


def _listing(swarm, settings, known):
    former = swarm_listing.former(swarm, settings, known.records)
    return {} if _mine().masterless else swarm_peers.listing(__salt__, settings, former)


# --- status


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
    Return the record of a manager: cluster ID, node ID, address and join token for workers.

    Used by Salt's mine; any other caller gets a mask instead of the token.

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
    # The port that this manager joined with: the port in the pillar may have changed since.
    ports = swarm_membership.manager_ports(swarm)
    port = ports.get(swarm["NodeID"], settings["builtin"]["port"])
    return {
        "cluster": swarm_membership.cluster_id(swarm),
        "node": swarm["NodeID"],
        "address": endpoint(settings["address"], port),
        # The minions that may read this: if the pillar admits others, the record is sent again.
        "members": swarm_mine.members(settings),
        "token": _mine().secret(token),
    }


def node_id():
    """
    Return the ID of this node in its cluster, empty if it is in no cluster.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_builtin.node_id
    """
    with _client() as client:
        return swarm_mode.swarm(client).get("NodeID") or ""


def claim():
    """
    Return the ID of this node, and the address that its engine advertises if this host has lost it:
    ``{"node": ID, "address": former address}``. Used by Salt's mine.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_builtin.claim
    """
    with _client() as client:
        swarm = swarm_mode.swarm(client)
    return swarm_peers.claim(
        swarm.get("NodeID") or "", swarm_mode.former_address(swarm, _settings())
    )


def claims(fresh=False):
    """
    Return the node IDs of the members, ``{minion ID: node ID}``; this minion's from its engine.

    Without managers of the pillar that have to join again first, because their engines advertise
    an address that their host has lost.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_builtin.claims

    fresh
        Read the members from the current pillar. Defaults to ``False``: as of the last refresh.
    """
    settings = __salt__["swarm_settings.get"](fresh=fresh)
    with _client() as client:
        mine = swarm_mode.swarm(client).get("NodeID")
    known = _known(settings)
    found = {**known.claims, settings["id"]: mine}
    not_yet = (known.moved.keys() & settings["managers"].keys()) - {settings["id"]}
    return {minion: node for minion, node in found.items() if node and minion not in not_yet}


def tell(fresh=False):
    """
    Publish the data of this node in Salt's mine, unless the mine already has it.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_builtin.tell fresh=True

    fresh
        Have the master compile the pillar now, which names the members that may read the data.
        Defaults to ``False``: use that of the last refresh.
    """
    settings = __salt__["swarm_settings.get"](fresh=fresh)
    known = _known(settings)
    with _client() as client:
        _tell(swarm_mode.swarm(client), settings, known)


def _tell(swarm, settings, known):
    me, mine = settings["id"], _mine()
    if mine.masterless:
        return
    told = known.claims.get(me), known.moved.get(me, "")
    if told != (swarm["NodeID"], swarm_mode.former_address(swarm, settings)):
        mine.send(NODE, "swarm_builtin.claim")
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
    Delete the data that this minion has published about a cluster from Salt's mine.

    Use this only after the loss of a whole cluster, to allow a new one to be created. Refused while
    this node is in a cluster, or while something listens where another manager may be.

    CLI Example:

    .. code-block:: bash

        salt 'm*' swarm_builtin.forget

    lose_cluster
        Delete the data even if the cluster may be alive. Defaults to ``False``.
    """
    with swarm_current.pillar(__context__):
        why = None if lose_cluster else _alive()
    if why:
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
    """Return why the cluster of this minion may be alive, ``None`` if nothing indicates it."""
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
    Ensure that this node is in the cluster of the managers in the pillar; return the changes.

    The first manager in the pillar creates the cluster if no member has published one; all others
    join as workers. The leader then sets the roles from the pillar: see ``swarm_leader.settle``.

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
    if test:
        return changes
    taken = _become(client, settings)
    now = _note_member(client, settings, known)
    if swarm.get("NodeID") == now["NodeID"] and set(taken) <= {WAIT}:
        # The engine has just started, or the managers have elected another leader.
        return {}
    if step.what in {JOIN, REJOIN, RESTART, WAIT}:
        # The node is new to the leader, which has to set its role and labels.
        ask_managers()
    return changes


def _note_member(client, settings, known):
    """Record whether this node was brought in by the formula, and publish it; return its state."""
    now = swarm_mode.swarm(client)
    swarm_adoption.note(now["NodeID"], _is_adopted(now, settings, known))
    tell()
    return now


def _withdraw(swarm, settings, known):
    """
    Delete this minion's node ID from the mine if it has left its cluster.

    The data of a manager are kept: they may be the only trace of the cluster.
    """
    me, state = settings["id"], swarm.get("LocalNodeState") or "inactive"
    if state == "inactive" and me in known.claims and me not in known.records:
        _mine().forget(NODE)


def _become(client, settings, before=()):
    """Take one step after the other until nothing is left to do; return all steps."""
    taken = [*before]

    def probe():
        swarm = swarm_mode.swarm(client)
        known = _own(swarm, settings)
        # The managers list a node that has just joined, so they need not be asked.
        look = _look if JOIN in taken else _step
        step = look(swarm, settings, known)
        if step.what == NOTHING:
            return None
        if step.what == RESTART and RESTART in taken:
            step = _after_restart(swarm, settings, known)
            if step.what == RESTART:
                return f"{settings['id']}, after a restart of its engine: {step.why}"
        missing = _take(client, settings, known, step)
        if not (missing and step.what == RESTART):
            taken.append(step.what)
        return missing or f"{settings['id']}: {step.why}"

    swarm_wait.until(probe, settings["timeout"])
    return taken


def _after_restart(swarm, settings, known):
    """Return the step of a node for which a restart was the step, and did not help."""
    # If Raft does not count the node, it can join again without losing anything.
    return _look(swarm, settings, known, _recent_listing(swarm, settings, known))


def _take(client, settings, known, step):
    """Take one step; return what blocks it, if anything."""
    if step.what == INIT:
        if elsewhere := swarm_mode.listens(settings) or _telling(settings):
            return f"{', '.join(elsewhere)} may have a cluster and have not told of it: apply there"
        swarm_adoption.begin()
        swarm_mode.init(client, settings)
    elif step.what == JOIN:
        swarm_adoption.begin()
        try:
            swarm_mode.join(client, settings, known.records)
        except swarm_errors.SwarmError as err:
            # Retry: a lost leader is replaced by another one, an old token by a new one.
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
    """Return the managers of a cluster that the mine lacks: it may have been cleared."""
    return [] if _mine().masterless else swarm_peers.managers(__salt__, settings)


def _restart(client, settings):
    """Restart the engine unless this would cost the quorum; return why it was not restarted."""
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
    """Leave a cluster that does not count this node, to join again; return why it did not leave."""
    state = swarm_mode.swarm(client).get("LocalNodeState")
    if goes_on := state != "active" and _goes_on(client, state):
        return f"{settings['id']}: {goes_on}"
    left = swarm_mode.swarm(client).get("NodeID")
    client.leave_swarm(force=True)
    __context__.pop("swarm_builtin.listed", None)
    __context__["swarm_builtin.left"] = (left, time.monotonic() + _LEFT)
    return None


def _left(swarm, settings, known):
    """
    Return the node that this host was before it joined again, while the managers list it.

    They remove it once it is down. If this apply did not wait for that, the next one would change
    something.
    """
    node, until = __context__.get("swarm_builtin.left", ("", 0))
    if not node or time.monotonic() > until:
        return None
    listed = _recent_listing(swarm, settings, known).get("nodes", {})
    return node if node in listed else None


def _goes_on(client, at):
    """
    Return what an engine whose swarm mode has failed does, ``None`` if its state does not change.

    The engine retries by itself, at growing intervals of up to 30 s. If it is stopped while it
    joins Raft, Raft counts it although it never takes part, and the managers lose their quorum.
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
    Wait until this node is an active member in the role that the pillar gives it.

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
    """Ask the leader to apply the pillar to the nodes: it may be this node itself."""
    ask_managers()
    if swarm_membership.manager(swarm):
        # The previous state has reported what blocks this, or the next apply will.
        with contextlib.suppress(swarm_errors.SwarmError):
            __salt__["swarm_leader.settle"]()


def _missing(client, swarm, settings, taken):
    """
    Return what this node lacks to be a member in its role, ``None`` if it lacks nothing.

    taken
        The steps that were taken to repair the node; ``None`` for a mere check. A check does not
        ask other members either: a check of a thousand nodes would make all of them ask.
    """
    me, quiet = settings["id"], taken is None
    near = quiet and swarm_peers.near(_mine(), settings, swarm)
    known = near or (_known(settings) if quiet else _own(swarm, settings))
    step = (_look if quiet else _step)(swarm, settings, known)
    state = swarm.get("LocalNodeState") or "inactive"
    if not quiet and RESTART in taken and step.what == RESTART:
        step = _after_restart(swarm, settings, known)
    mends = not quiet and REJOIN not in taken
    if mends and (missing := _mend(client, settings, step, state, taken)):
        return missing
    if state != "active":
        return f"{me} is {state}: {swarm.get('Error') or step.why or 'no reason given'}"
    if step.what != NOTHING:
        return f"{me}: {step.why}"
    if missing := swarm_membership.wrong_role(swarm, settings):
        return missing
    if not quiet and (left := _left(swarm, settings, known)):
        return f"the managers still list node {left}, which {me} was before it joined again"
    return _unsettled(client, swarm, settings, known, look=quiet)


def _mend(client, settings, step, state, taken):
    """Repair a node that is waited for; return what it lacks, ``None`` if no step helps."""
    why = f"{settings['id']}: {step.why}"
    failed, restarted = state == "error", RESTART in taken
    if step.what == REJOIN and (restarted if failed else state == "active"):
        # The managers that know of its removal have not answered before; or its engine knows only
        # former managers, and a restart does not change that.
        _become(client, settings, taken)
        taken.append(REJOIN)
        _note_member(client, settings, _known(settings))
        return why
    # If Raft does not count a failed node, a restart costs nothing, and the node stays the same.
    if not restarted and (step.what == RESTART or (step.what == REJOIN and failed)):
        missing = _restart(client, settings)
        if not missing:
            taken.append(RESTART)
        return missing or why
    return None


def _unsettled(client, swarm, settings, known, look):
    """Return what a node in its role still lacks, and publish the record of a new manager."""
    if not settings["is_manager"]:
        # If it went down now, it would come back as a manager and cost the others their quorum.
        early = swarm_mode.is_certified_manager(client)
        return f"{settings['id']} has no certificate of a worker yet" if early else None
    if not look and settings["id"] not in known.records:
        # It has just been promoted: others join by its record once the old managers are gone.
        _tell(swarm, settings, known)
    return None


def ask_managers():
    """
    Ask the managers, through the master, to apply the pillar to the nodes; return their answers.

    Needs ``peer`` in the master's configuration for ``swarm_leader.settle``.

    CLI Example:

    .. code-block:: bash

        salt m4 swarm_builtin.ask_managers
    """
    settings = _settings()
    if _mine().masterless:
        return {}
    names = swarm_peers.leading(_known(settings), settings)
    others = [name for name in names if name != settings["id"]]
    return swarm_peers.ask(__salt__, others, "swarm_leader.settle")


def leave(force=False, lose_cluster=False, ending=False, test=False, fresh=True):
    """
    Ensure that this node is in no cluster; return the changes.

    A manager is demoted first; refused if the other managers would lose their quorum. The last
    manager ends the cluster; refused if the cluster has services, secrets or configs.

    CLI Example:

    .. code-block:: bash

        salt m4 swarm_builtin.leave test=True

    force
        Leave without a demotion. Refused if this would cost the managers their quorum or remove the
        last manager, or if the consequences are unknown. Defaults to ``False``.

    lose_cluster
        Leave even in these cases. The state of the cluster is lost if this node has the last copy.
        Defaults to ``False``.

    ending
        Other nodes leave at the same time, maybe all of them: refused as for the last manager, and
        on a worker that has tasks. Defaults to ``False``.

    fresh
        Have the master compile the pillar now, instead of using the one of the last refresh.
        Defaults to ``True``.
    """
    with swarm_current.pillar(__context__, fresh):
        return _leave(force, lose_cluster, ending, test)


def _leave(force, lose_cluster, ending, test):
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
                # The other managers have left at the same time.
                _refuse_loss(client, swarm, settings, 0)
            client.leave_swarm(force=last)
            _go()
        return {"swarm mode": {"old": f"{state}, {_role(swarm)}", "new": "inactive"}}
    return {}


def release(test=False):
    """
    Keep an adopted node in its cluster and delete its data from the record and the mine; return the
    reason as a sentence, empty if the node is not adopted.

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
    """Delete the data of this node from the record and the mine."""
    swarm_adoption.forget()
    if not _mine().masterless:
        _forget()


def _is_last(client, swarm):
    return swarm_membership.manager(swarm) and swarm_mode.is_last_manager(client)


def _refuse_loss(client, swarm, settings, patience):
    """Raise an error for what would be lost; wait for tasks of a service just removed to end."""

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
    Raise an error if the cluster would lose its quorum or its state, or if this is unknown; return
    whether the engine must be forced: without force, it refuses to leave as a manager.
    """
    me, known = settings["id"], _known(settings)
    node = swarm.get("NodeID") or known.claims.get(me, "")
    recorded = known.records.get(me, {}).get("cluster")
    listed = swarm_mode.listing(client, swarm) or _listing(swarm, settings, known)
    if refused := swarm_leave.refusal(swarm, settings, node, listed, recorded):
        raise swarm_errors.SwarmError(
            f"{me} has not left its cluster, nothing was changed: {refused}. To leave whatever that"
            " costs: force=True lose_cluster=True"
        )
    return swarm_leave.needs_force(swarm, node, listed)


def _hand_over(client, swarm, settings):
    """Demote this node if it is a manager; return whether it is the last one, which stays one."""
    if not swarm_membership.manager(swarm):
        return False
    outcome = {}

    def probe():
        try:
            outcome["last"] = swarm_mode.step_down(client, swarm["NodeID"], settings["timeout"])
        except swarm_errors.SwarmError as err:
            # Others may step down at the same time: the quorum seems to be at risk for a moment.
            return str(err)
        return None

    with swarm_mode.alone():
        swarm_wait.until(probe, min(settings["timeout"], _TOGETHER))
    return outcome["last"]
