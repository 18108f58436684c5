"""
Inspect a builtin-mode cluster on its managers, and apply its configuration on the leader.

Joining and leaving of this node itself is in ``swarm_builtin``.
"""

import contextlib

from swarm_formula.builtin import cluster_problems, cluster_update, eviction, node_update
from swarm_formula.cluster import leading, membership, node_claims, node_info, swarm_api, update
from swarm_formula.core import errors
from swarm_formula.docker import engine_api
from swarm_formula.salt import caller, execution

__virtualname__ = "swarm_leader"


def __virtual__():
    return __virtualname__


def _settings():
    return __salt__["swarm_settings.get"]()


def _client():
    return swarm_api.connect(__salt__)


def _minion():
    return execution.Minion(__salt__, __opts__, __context__)


def managers():
    """
    Return the cluster as this manager sees it, in the format of ``swarm_classic.managers``.

    Empty on a worker, which cannot list the other nodes.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_leader.managers
    """
    with _client() as client:
        if not membership.manager(swarm_api.swarm(client)):
            return {}
        nodes = swarm_api.nodes(client)
    claims = __salt__["swarm_builtin.claims"]()
    return node_info.as_managers(nodes, node_claims.minions(claims, _settings()["managers"]))


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
        with caller.asked(kwargs, __opts__["id"], _settings):
            return _listed()
    except errors.BusyError as err:
        return {"busy": str(err)}


def _listed():
    with _client() as client:
        found = swarm_api.listing(client, swarm_api.swarm(client))
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
        return cluster_problems.find(execution.Host(_minion(), client, settings))


def leads():
    """
    Return whether this node is the leader of its cluster.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_leader.leads
    """
    with engine_api.unless_absent(test=True), _client() as client:
        return leading.leads(client)
    return False


def founds():
    """
    Return whether this node would create the cluster: it is the first manager, and in none yet.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_leader.founds
    """
    settings = _settings()
    with engine_api.unless_absent(test=True), _client() as client:
        return leading.founds(client, settings)
    return membership.is_first(settings)


def lists(node):
    """
    Return the state in which the cluster lists a node, such as ``ready`` or ``down``.

    Empty if it does not list the node, ``None`` if this minion cannot determine that. Any member
    may call it, because an engine is notified neither when its node is removed, nor when the
    managers take it for down.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_leader.lists 5z9yk2k0c7gk0sdxqtmdo1hmb

    node
        Its node ID, as ``docker node ls`` shows it.
    """
    if not isinstance(node, str):
        return None
    with engine_api.unless_absent(test=True), _client() as client:
        if membership.manager(swarm_api.swarm(client)):
            with contextlib.suppress(errors.ApiError):
                return node_info.state(swarm_api.nodes(client), node)
    return None


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
    with engine_api.unless_absent(test), _client() as client:
        return cluster_update.apply(execution.Host(_minion(), client, settings), test)
    return cluster_update.promised(settings) if membership.is_first(settings) else {}


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
        with caller.asked(kwargs, __opts__["id"], _settings) as other:
            return node_update.apply(_minion(), test, fresh, other)
    except errors.BusyError as err:
        return {"busy": str(err)}


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
        update.rotate(client, managers)
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
    with _client() as client, swarm_api.alone():
        host = execution.Host(_minion(), client, settings)
        return {"drained": eviction.expel(host, node, limit)}


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
        return eviction.drop(client, node, force)
