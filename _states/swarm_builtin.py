"""
Manage the swarm mode that is built into the Docker Engine.
"""

import swarm_ret

__virtualname__ = "swarm_builtin"


def __virtual__():
    if "swarm_builtin.apply" not in __salt__:
        return False, "The swarm_builtin execution module is not available"
    return __virtualname__


def member(name):
    """
    Ensure this node is in the cluster of pillar's managers.

    Warns of what is not as pillar wants it and no apply can mend.

    .. code-block:: yaml

        this node is in the cluster:
          swarm_builtin.member: []

    name
        A name for the report.
    """
    ret = swarm_ret.applied(name, __opts__["test"], __salt__["swarm_builtin.apply"])
    # Before it is in, there is nothing to complain of.
    if ret["result"] is not True:
        return ret
    return swarm_ret.warned(ret, __salt__["swarm_leader.complaints"]())


def cluster(name):
    """
    Ensure the cluster has the settings of ``swarm:builtin:cluster``; its leader sees to it.

    .. code-block:: yaml

        cluster has its settings:
          swarm_builtin.cluster: []

    name
        A name for the report.
    """
    return swarm_ret.applied(name, __opts__["test"], __salt__["swarm_leader.apply_cluster"])


def nodes(name):
    """
    Ensure roles, availability and labels of all nodes are what pillar says; the leader sees to it.

    .. code-block:: yaml

        nodes are as pillar says:
          swarm_builtin.nodes: []

    name
        A name for the report.
    """
    settle = __salt__["swarm_leader.settle"]
    return swarm_ret.applied(name, __opts__["test"], settle, fresh=False)


def ready(name, timeout=None):
    """
    Ensure this node is an active member in the role that pillar gives it; waits for it.

    .. code-block:: yaml

        this node is healthy:
          swarm_builtin.ready: []

    name
        A name for the report.

    timeout
        Seconds; ``swarm:timeout`` if unset.
    """
    return swarm_ret.waited(name, __opts__["test"], __salt__["swarm_builtin.wait_ready"], timeout)


def left(name, lose_cluster=False, alone=False):
    """
    Ensure this node is in no cluster; a manager hands over before.

    The other nodes may be leaving as well: refused if that would cost what users have in the
    cluster. A node that was in its cluster before the formula stays in it, with a warning.

    .. code-block:: yaml

        this node has left:
          swarm_builtin.left: []

    name
        A name for the report.

    lose_cluster
        Leave even then, whatever is lost. Defaults to ``False``.

    alone
        The others stay: leave also with tasks, and as a node that was there before. The last
        manager is refused even so. Defaults to ``False``.
    """
    test = __opts__["test"]
    kept = not (lose_cluster or alone) and __salt__["swarm_builtin.release"](test=test)
    if kept:
        return swarm_ret.warned(swarm_ret.done(name, {}), [kept])
    leave = __salt__["swarm_builtin.leave"]
    return swarm_ret.applied(name, test, leave, lose_cluster=lose_cluster, ending=not alone)
