"""
Inspect a builtin-mode cluster on its managers, and apply its configuration on the leader.

Joining and leaving of this node itself is in ``swarm_builtin``.
"""

import contextlib
import time

import swarm_caller
import swarm_cluster
import swarm_daemon
import swarm_docker
import swarm_errors
import swarm_membership
import swarm_mode
import swarm_nodes
import swarm_pki
import swarm_secrets
import swarm_wait

__virtualname__ = "swarm_leader"

# Seconds for which the request of another minion waits for other runs.
_PATIENCE = 5
# Seconds by which the managers' simultaneous runs may be apart.
_TOGETHER = 15
# Seconds that an engine may need to complete a change of its own role.
_CHANGING = 10
_AUTHORITY = "CA"


def __virtual__():
    return __virtualname__


def _settings():
    return __salt__["swarm_settings.get"]()


def _client():
    return swarm_mode.connect(__salt__)


def managers():
    """
    Return the cluster as this manager sees it, in the format of ``swarm_classic.managers``.

    Empty on a worker, which cannot list the other nodes.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_leader.managers
    """
    with _client() as client:
        if not swarm_membership.manager(swarm_mode.swarm(client)):
            return {}
        nodes = swarm_mode.nodes(client)
    claims = swarm_nodes.believed(__salt__["swarm_builtin.claims"](), _settings()["managers"])
    return swarm_nodes.as_managers(nodes, {node: minion for minion, node in claims.items()})


def list_nodes(**kwargs):
    """
    Return the cluster's ID and nodes, and the managers of this minion's pillar.

    ``nodes`` is ``{node ID: reachability as a manager}``, ``None`` for workers. The result is
    empty on a node that is not a manager, or if there is no leader. Other members call it, for
    example if swarm mode has failed there: needs ``peer`` in the master's configuration.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_leader.list_nodes
    """
    try:
        with swarm_caller.asked(kwargs, __opts__["id"], _settings):
            return _listed()
    except swarm_errors.BusyError as err:
        return {"busy": str(err)}


def _listed():
    with _client() as client:
        found = swarm_mode.listing(client, swarm_mode.swarm(client))
    if not found:
        return {}
    # Read the current pillar: the minion that asks may already have a newer one.
    settings = __salt__["swarm_settings.get"](fresh=True)
    return {**found, "managers": list(settings["managers"])}


def complaints():
    """
    Return the differences from the pillar that applying the state cannot fix, as messages.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_leader.complaints
    """
    settings = _settings()
    with _client() as client:
        info = client.info()
        swarm = info.get("Swarm") or {}
        address = swarm.get("NodeAddr")
        known = swarm_daemon.overlay_by_ipv6(settings, info["ServerVersion"])
        known += swarm_membership.other_port(swarm, settings)
        if not swarm_membership.manager(swarm):
            return [*_moved(address, settings), *known]
        try:
            with swarm_docker.translated("the cluster"):
                cluster, nodes = client.inspect_swarm(), client.nodes()
        except swarm_errors.SwarmError as err:
            # This node was just demoted, or the managers have lost their quorum.
            return [*_moved(address, settings), *known, f"{settings['id']} cannot look: {err}"]
    claims = __salt__["swarm_builtin.claims"]()
    me = swarm_nodes.by_id(nodes).get(swarm["NodeID"], {})
    return [
        *_moved(swarm_nodes.raft_address(me) or address, settings, nodes),
        *known,
        *swarm_cluster.init_only(cluster, settings),
        *swarm_nodes.doubles(claims, nodes, settings),
        *swarm_nodes.strangers(nodes, claims),
    ]


def _moved(has, settings, nodes=()):
    """Return a message if the cluster has another address for this node than the pillar."""
    me = settings["id"]
    if not has or has == settings["address"]:
        return []
    cure = f"salt {me} swarm_builtin.leave, and apply again"
    if len(swarm_nodes.managers(nodes)) == 1:
        # Leaving would end the cluster, and no node can join at the address it advertises.
        cure = f"it is the only manager: give it {has} too until there is another one, then {cure}"
    return [
        f"{me} is known to the cluster by the address {has}, and is to have {settings['address']}:"
        f" a node takes its address with it; {cure}"
    ]


def leads():
    """
    Return whether this node is the leader of its cluster.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_leader.leads
    """
    with swarm_docker.unless_absent(test=True), _client() as client:
        return _leads(client)
    return False


def founds():
    """
    Return whether this node would create the cluster: it is the first manager, and in none yet.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_leader.founds
    """
    settings = _settings()
    with swarm_docker.unless_absent(test=True), _client() as client:
        return _is_to_found(client, settings)
    return swarm_membership.is_first(settings)


def lists(node):
    """
    Return whether the cluster lists a node, or ``None`` if this minion cannot determine that.

    Any member may call it, because an engine is not notified when its node is removed.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_leader.lists 5z9yk2k0c7gk0sdxqtmdo1hmb

    node
        Its node ID, as ``docker node ls`` shows it.
    """
    if not isinstance(node, str):
        return None
    with swarm_docker.unless_absent(test=True), _client() as client:
        if swarm_membership.manager(swarm_mode.swarm(client)):
            with contextlib.suppress(swarm_errors.ApiError):
                return node in swarm_nodes.by_id(swarm_mode.nodes(client))
    return None


def _leads(client):
    """Return whether this node is the leader; waits briefly while its own role changes."""

    def look():
        swarm = swarm_mode.swarm(client)
        known = swarm_mode.nodes(client) if swarm_membership.manager(swarm) else []
        return swarm_nodes.by_id(known).get(swarm["NodeID"])

    found = swarm_wait.asked(look, swarm_errors.ApiError, _CHANGING)
    return bool(found) and swarm_nodes.is_leader(found)


def apply_cluster(test=False):
    """
    Ensure the cluster has the settings of ``swarm:builtin:cluster``; return what changed.

    Only the leader changes the cluster. If autolock is on, every manager stores the unlock key. The
    nodes change to the CA of ``swarm:builtin:signing_ca_cert`` one by one; waits until all have.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_leader.apply_cluster test=True
    """
    settings = _settings()
    options, place = settings["builtin"]["cluster"], settings["builtin"]["unlock_key"]
    with swarm_docker.unless_absent(test), _client() as client:
        if test and _is_to_found(client, settings):
            return _promised(settings)
        changes = {}
        if _leads(client):
            changes = _apply_spec(client, settings, test) | _apply_authority(client, settings, test)
            if not test and changes.keys() & {_AUTHORITY, swarm_cluster.ROTATION}:
                # Publish the new join tokens: they contain a digest of the CA.
                __salt__["swarm_builtin.tell"]()
        if place and swarm_membership.manager(swarm_mode.swarm(client)):
            if options["autolock"] and not test:
                _await_key(client, settings["timeout"])
            changes |= _keep_key(client, place, test)
        return changes
    return _promised(settings) if swarm_membership.is_first(settings) else {}


def _promised(settings):
    builtin = settings["builtin"]
    own = {_AUTHORITY: {"old": None, "new": "the own one"}} if builtin["signing_ca_cert"] else {}
    return {**swarm_cluster.promised(builtin["cluster"]), **own}


def _is_to_found(client, settings):
    """Return whether this node would create the cluster."""
    inactive = swarm_mode.swarm(client).get("LocalNodeState") == "inactive"
    return inactive and swarm_membership.is_first(settings)


def _apply_spec(client, settings, test):
    options = settings["builtin"]["cluster"]
    changes = swarm_cluster.diff(client.inspect_swarm()["Spec"], options)
    if not changes or test:
        return changes
    done, authority = {}, changes.keys() & {swarm_cluster.ROTATION, swarm_cluster.SIGNERS}
    if len(authority) > 1:
        # The current external CAs also cross-sign the new CA, so they are removed afterwards.
        done |= _update(client, settings, {**options, swarm_cluster.SIGNERS: None})
        done |= _await_rotation(client, settings)
    done |= _update(client, settings, options)
    if authority:
        done |= _await_rotation(client, settings)
    if still := swarm_cluster.diff(client.inspect_swarm()["Spec"], options):
        raise swarm_errors.ApiError(
            f"the cluster keeps other values for {', '.join(still)} of swarm:builtin:cluster:"
            " this engine cannot take what is wanted"
        )
    return changes | done


def _update(client, settings, options):
    """Update the cluster's settings; return the nodes that were pruned in order to do so."""
    try:
        swarm_mode.update_cluster(client, options)
    except swarm_errors.ApiError:
        # Docker refuses to remove the signing CA before the rotation to the new CA is complete.
        pruned = _await_rotation(client, settings)
        swarm_mode.update_cluster(client, options)
        return pruned
    return {}


def _await_rotation(client, settings, wanted=None):
    """Wait until the CA rotation is complete; return the nodes that were pruned for it."""
    pruned, claims = {}, __salt__["swarm_builtin.claims"]()

    def prune(nodes):
        # The former node of a host that has rejoined never gets a certificate.
        pruned.update(_prune(client, nodes, claims, settings, test=False))

    swarm_mode.await_rotation(client, settings["timeout"], prune, wanted)
    return pruned


def _apply_authority(client, settings, test):
    """Rotate the cluster to the signing CA of the pillar, if one is configured."""
    builtin = settings["builtin"]
    if not builtin["signing_ca_cert"]:
        return {}
    # Without a key, the CAs in swarm:builtin:cluster:external-ca hold it and sign.
    cert, key = (
        swarm_secrets.load(__salt__, builtin[one], path=f"swarm:builtin:{one}")
        if builtin[one]
        else ""
        for one in ("signing_ca_cert", "signing_ca_key")
    )
    wanted = swarm_pki.fingerprint(cert, builtin["signing_ca_cert"])
    found = swarm_cluster.root(client.inspect_swarm())
    if found == wanted:
        return {}
    pruned = {}
    if not test:
        swarm_mode.sign_by(client, cert, key)
        pruned = _await_rotation(client, settings, wanted)
    return {_AUTHORITY: {"old": found, "new": wanted}, **pruned}


def _await_key(client, timeout):
    """Wait until the leader, which applies the same state concurrently, enables autolock."""

    def probe():
        return None if client.get_unlock_key()["UnlockKey"] else "the cluster is not locked yet"

    with contextlib.suppress(swarm_errors.WaitTimeoutError):
        swarm_wait.until(probe, min(timeout, _TOGETHER))


def _keep_key(client, place, test):
    """Store the cluster's unlock key, if it has one, in the place that the pillar names."""
    key = client.get_unlock_key()["UnlockKey"]
    if not key or swarm_secrets.load(__salt__, place, missing="") == key:
        return {}
    if not test:
        swarm_secrets.save(__salt__, place, key)
    return {"unlock key": {"old": "not the cluster's", "new": f"in {place}"}}


def settle(test=False, fresh=True, **kwargs):
    """
    Ensure the nodes have the roles, availability and labels of the pillar; return what changed.

    Does nothing on nodes other than the leader. Any member may call it, because it takes no
    argument that determines the changes.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_leader.settle test=True

    fresh
        Compile the pillar again instead of using the one in this minion's memory. Defaults to
        ``True``: the minion that asks may be a member only in a newer pillar.

    Returns ``{"busy": why}`` to another minion if this one is at work: it has to ask again.
    """
    try:
        with swarm_caller.asked(kwargs, __opts__["id"], _settings) as other:
            return _settled(test, fresh, {"limit": _PATIENCE} if other else {})
    except swarm_errors.BusyError as err:
        return {"busy": str(err)}


def _alone(limit):
    """Lock out other runs; a run for another minion does not wait in a queue."""
    lock = swarm_mode.alone(**limit)
    return swarm_caller.unqueued(lock) if limit else lock


def _settled(test, fresh, limit):
    get = __salt__["swarm_settings.get"]
    with swarm_docker.unless_absent(test), _client() as client, _alone(limit):
        # Checked after the lock is taken, because the previous run may have changed the leader; and
        # before the pillar is compiled, because all managers are asked and only one of them leads.
        if not _leads(client):
            founds = test and _is_to_found(client, wanted := get(fresh=fresh))
            return swarm_nodes.promised(wanted) if founds else {}
        return _settle(client, get(fresh=fresh), __salt__["swarm_builtin.claims"](fresh), test)
    return swarm_nodes.promised(_settings())


def _settle(client, settings, claims, test):
    done = _finish(client, claims, settings, test)
    nodes = swarm_mode.nodes(client)
    changes = swarm_nodes.changes(nodes, claims, settings)
    demotions = [one for one in changes if one.role == swarm_nodes.WORKER]
    done |= _change(client, [one for one in changes if one not in demotions], settings, test)
    # Remove lost managers before demoting others, because they still count towards the quorum.
    lost = swarm_nodes.lost_managers(swarm_mode.nodes(client), claims, settings)
    done |= _replace(client, lost, settings, test)
    done |= _change(client, demotions, settings, test)
    if not swarm_membership.manager(swarm_mode.swarm(client)):
        return done  # the last change demoted this node
    nodes = swarm_mode.nodes(client)
    return {
        **done,
        **_prune(client, nodes, claims, settings, test),
        **(_renew(client, nodes, test) if settings["builtin"]["rotate_after_join"] else {}),
    }


def _change(client, changes, settings, test):
    for change in changes if not test else ():
        _carry_out(client, change, settings["timeout"])
    return {change.minion: change.changes for change in changes}


def _finish(client, claims, settings, test):
    """Complete demotions of nodes that no minion reports; others are part of the changes."""
    half = [
        one["ID"]
        for one in swarm_mode.nodes(client)
        if swarm_nodes.is_lost_vote(one) and one["ID"] not in claims.values()
    ]
    for node in half if not test else ():
        swarm_mode.demote(client, node, settings["timeout"])
    role = {"role": {"old": swarm_nodes.MANAGER, "new": swarm_nodes.WORKER}}
    return {f"node {node}": role for node in half}


def _replace(client, lost, settings, test):
    if not test:
        lost = [one for one in lost if swarm_mode.is_lost(client, one["ID"], settings["timeout"])]
        for node in lost:
            swarm_mode.demote(client, node["ID"], settings["timeout"])
            swarm_mode.drop(client, node["ID"])
    return {f"node {one['ID']}": {"old": "a manager that is gone", "new": None} for one in lost}


def _prune(client, nodes, claims, settings, test):
    expired = swarm_nodes.expired(nodes, claims, settings, time.time())
    for node in expired if not test else ():
        swarm_mode.drop(client, node["ID"])
    return {f"node {one['ID']}": {"old": one["Status"]["State"], "new": None} for one in expired}


def _renew(client, nodes, test):
    """Rotate the worker join token if a node has joined since the last change."""
    if not _joined_since(client, nodes):
        return {}
    if not test:
        swarm_mode.rotate(client)
        __salt__["swarm_builtin.tell"]()
    return {"token for workers": {"old": "of before the last join", "new": "another"}}


def _joined_since(client, nodes):
    """Return whether a node has joined since the last update of the cluster, such as a rotation."""
    changed = swarm_nodes.stamp(client.inspect_swarm()["UpdatedAt"])
    return any(swarm_nodes.stamp(one["CreatedAt"]) > changed for one in nodes)


def _carry_out(client, change, timeout):
    if change.spec:
        swarm_mode.update_node(client, change.node, **change.spec)
    if change.role == swarm_nodes.MANAGER:
        swarm_mode.promote(client, change.node, timeout)
    elif change.role == swarm_nodes.WORKER:
        swarm_mode.demote(client, change.node, timeout)


def rotate(managers=False):
    """
    Rotate the join token for workers, and publish it in the mine; existing nodes are not affected.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_leader.rotate
        salt m1 swarm_leader.rotate managers=True

    managers
        Rotate the join token for managers as well. Defaults to ``False``.
    """
    with _client() as client:
        swarm_mode.rotate(client, managers)
    # Called outside a state run, whose pillar would be that of now: new members need the token.
    __salt__["swarm_builtin.tell"](fresh=True)
    return True


def expel(node, timeout=None):
    """
    Drain another node, and demote it if it is a manager. Run it on a manager.

    Refused if the managers would lose their quorum. A node that is still running must also leave by
    itself, before or after; ``swarm_leader.drop`` removes it from the node list. Return
    ``{"drained": True}``, or in place of ``True`` why the node's tasks have not ended in time.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_leader.expel 5z9yk2k0c7gk0sdxqtmdo1hmb

    node
        Its node ID, as ``docker node ls`` shows it.

    timeout
        Seconds to wait until its tasks have ended; ``swarm:timeout`` if unset.
    """
    settings = _settings()
    limit = settings["timeout"] if timeout is None else timeout
    done = {"drained": True}
    with _client() as client, swarm_mode.alone():
        nodes = swarm_mode.nodes(client)
        found = swarm_nodes.only(nodes, node)
        if refused := swarm_nodes.refusal(nodes, node, "removing"):
            raise swarm_errors.SwarmError(refused)
        if not swarm_nodes.is_down(found):
            try:
                swarm_mode.drain(client, node, limit)
            except swarm_errors.WaitTimeoutError as err:
                done["drained"] = str(err)
        if found.get("ManagerStatus"):
            swarm_mode.demote(client, node, settings["timeout"])
        return done


def drop(node, force=True):
    """
    Remove a node that has left from the node list; return what changed. Run it on a manager.

    Refused if the node is still a manager.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_leader.drop 5z9yk2k0c7gk0sdxqtmdo1hmb

    node
        Its node ID, as ``docker node ls`` shows it.

    force
        Remove a node that the cluster has as up, because it has only just left. Defaults to
        ``True``. Otherwise, wait for a moment until it is down; refused if it stays up.
    """
    with _client() as client:
        if not force:
            swarm_mode.await_down(client, node, _CHANGING)
        found = swarm_nodes.by_id(swarm_mode.nodes(client)).get(node)
        if not found:
            return {}
        if found.get("ManagerStatus"):
            raise swarm_errors.SwarmError(
                f"{swarm_nodes.title(found)} was not removed: it is a manager; first"
                f" swarm_leader.expel {node}, which minds the quorum"
            )
        swarm_mode.drop(client, node)
    return {node: {"old": "in the list", "new": None}}
