"""
Manage this node in the swarm mode of Docker Engine; ``swarm_leader`` manages the other nodes.

Members exchange data through Salt's mine: ``swarm_cluster`` is the record of a manager (with the
join token for workers, readable by members only), ``swarm_node`` is the node ID of a minion.
"""

from swarm_formula.builtin import joining, next_step, publication, readiness
from swarm_formula.cluster import membership, node_info, swarm_api
from swarm_formula.docker import engine_api
from swarm_formula.salt import current_pillar, execution

__virtualname__ = "swarm_builtin"


def __virtual__():
    return __virtualname__


def _settings():
    return __salt__["swarm_settings.get"]()


def _client():
    return swarm_api.connect(__salt__)


def _minion():
    return execution.Minion(__salt__, __opts__, __context__)


# --- status


def info():
    """
    Return this node's state, role, node ID, cluster (managers only), managers and error.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_builtin.info
    """
    with _client() as client:
        swarm = swarm_api.swarm(client)
    return {
        "state": swarm.get("LocalNodeState") or "inactive",
        "role": node_info.own_role(swarm),
        "node": swarm.get("NodeID") or "",
        "cluster": membership.cluster_id(swarm),
        "managers": sorted(membership.remote_managers(swarm)),
        "error": swarm.get("Error") or "",
    }


# --- the mine


def node_id():
    """
    Return the ID of this node in its cluster, empty if it is in no cluster.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_builtin.node_id
    """
    with _client() as client:
        return swarm_api.swarm(client).get("NodeID") or ""


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
    minion = _minion()
    settings = minion.salt["swarm_settings.get"](fresh=fresh)
    with swarm_api.connect(minion.salt) as client:
        return publication.claims(execution.Host(minion, client, settings))


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
    publication.send(_minion(), fresh)


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
    with current_pillar.pillar(__context__):
        publication.forget(_minion(), lose_cluster)
    return True


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
    with engine_api.unless_absent(test), _client() as client:
        host = execution.Host(_minion(), client, settings)
        return joining.apply(host, test)
    return joining.changes("inactive", settings)


def wait_ready(timeout=None):
    """
    Wait until this node is an active member in the role that the pillar gives it.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_builtin.wait_ready timeout=30

    timeout
        Seconds; ``swarm:timeout`` if unset.
    """
    readiness.await_ready(_minion(), timeout)


def ask_managers():
    """
    Ask the managers, through the master, to apply the pillar to the nodes; return their answers.

    Needs ``peer`` in the master's configuration for ``swarm_leader.settle``.

    CLI Example:

    .. code-block:: bash

        salt m4 swarm_builtin.ask_managers
    """
    return next_step.ask_managers(_minion())


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
    from swarm_formula.builtin import departure

    options = departure.Options(force, lose_cluster, ending, test)
    with current_pillar.pillar(__context__, fresh):
        return departure.leave(_minion(), options)


def release(test=False):
    """
    Keep an adopted node in its cluster and delete its data from the record and the mine; return the
    reason as a sentence, empty if the node is not adopted.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_builtin.release test=True
    """
    from swarm_formula.builtin import departure

    return departure.release(_minion(), test)
