"""
Manage a node and its cluster in builtin mode, the swarm mode of Docker Engine.
"""

from swarm_formula.salt import state_return

__virtualname__ = "swarm_builtin"


def __virtual__():
    if "swarm_builtin.apply" not in __salt__:
        return False, "The swarm_builtin execution module is not available"
    return __virtualname__


def member(name):
    """
    Ensure this node is in the cluster of the managers that the pillar lists.

    Warns about differences from the pillar that applying the state cannot fix.

    .. code-block:: yaml

        this node has joined the cluster:
          swarm_builtin.member: []

    name
        A name for the report.
    """
    ret = state_return.applied(name, __opts__["test"], __salt__["swarm_builtin.apply"])
    # There is nothing to check before the node is in the cluster.
    if ret["result"] is not True:
        return ret
    return state_return.warned(ret, __salt__["swarm_leader.complaints"]())


def cluster(name):
    """
    Ensure the cluster has the settings of ``swarm:builtin:cluster``; only its leader changes them.

    .. code-block:: yaml

        cluster is configured:
          swarm_builtin.cluster: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_leader.apply_cluster"])


def nodes(name):
    """
    Ensure all nodes have the roles, availability and labels of the pillar; the leader sets them.

    .. code-block:: yaml

        nodes are configured:
          swarm_builtin.nodes: []

    name
        A name for the report.
    """
    settle = __salt__["swarm_leader.settle"]
    return state_return.applied(name, __opts__["test"], settle, fresh=False)


def ready(name, timeout=None):
    """
    Wait until this node is an active member in the role that the pillar assigns to it.

    .. code-block:: yaml

        this node is healthy:
          swarm_builtin.ready: []

    name
        A name for the report.

    timeout
        Seconds; ``swarm:timeout`` if unset.
    """
    return state_return.waited(
        name, __opts__["test"], __salt__["swarm_builtin.wait_ready"], timeout
    )


def left(name, lose_cluster=False, alone=False):
    """
    Ensure this node is not in a cluster; a manager is demoted before it leaves.

    The other nodes may be leaving at the same time: refused if users' services, secrets, configs
    or tasks would be lost. An adopted node, one that was in its cluster before the formula managed
    it, stays there, with a warning.

    .. code-block:: yaml

        this node has left:
          swarm_builtin.left: []

    name
        A name for the report.

    lose_cluster
        Leave even if they are lost. Defaults to ``False``.

    alone
        The other nodes stay: leave also if this node has tasks or is an adopted node. The last
        manager is still refused. Defaults to ``False``.
    """
    test = __opts__["test"]
    kept = not (lose_cluster or alone) and __salt__["swarm_builtin.release"](test=test)
    if kept:
        return state_return.warned(state_return.done(name, {}), [kept])
    leave = __salt__["swarm_builtin.leave"]
    options = {"lose_cluster": lose_cluster, "ending": not alone}
    return state_return.applied(name, test, leave, **options, fresh=False)
