"""
Manage Consul, the store of classic Swarm.
"""

from salt.exceptions import CommandExecutionError

from swarm_formula.salt import state_return

__virtualname__ = "swarm_consul"


def __virtual__():
    if "swarm_consul.apply" not in __salt__:
        return False, "The swarm_consul execution module is not available"
    return __virtualname__


def running(name):
    """
    Ensure Consul runs as the pillar defines: a server, a client, or none with an external store.

    .. code-block:: yaml

        Consul is running:
          swarm_consul.running: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_consul.apply"])


def ready(name, timeout=None):
    """
    Ensure Consul has a leader; waits for it, and reports the missing servers if there is none.

    .. code-block:: yaml

        Consul has a leader:
          swarm_consul.ready:
            - timeout: 60

    name
        A name for the report.

    timeout
        Seconds; ``swarm:timeout`` if unset.
    """
    return state_return.waited(name, __opts__["test"], __salt__["swarm_consul.wait"], timeout)


def guarded(name):
    """
    Ensure Consul allows only what the swarm needs without a token, if ``swarm:consul:acl`` is on.

    .. code-block:: yaml

        Consul ACLs are enforced:
          swarm_consul.guarded: []

    name
        A name for the report.
    """
    ret = state_return.applied(name, __opts__["test"], __salt__["swarm_rights.apply"])
    failed = ret["result"] is False
    return ret if failed else state_return.remarked(ret, __salt__["swarm_rights.remarks"]())


def deregistered(name):
    """
    Ensure this node's key is not in the store.

    .. code-block:: yaml

        this node is deregistered:
          swarm_consul.deregistered: []

    name
        A name for the report.
    """
    test = __opts__["test"]
    try:
        changes = __salt__["swarm_consul.deregister"](test=test)
    except CommandExecutionError as err:
        # If the store does not answer, the key expires by its TTL.
        return state_return.done(name, {}, test, f"The store was not asked: {err}")
    return state_return.done(name, changes, test)


def removed(name):
    """
    Ensure Consul is removed from this node: container, data, image and configuration.

    .. code-block:: yaml

        Consul is removed:
          swarm_consul.removed: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_consul.remove"])
