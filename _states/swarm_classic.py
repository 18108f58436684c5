"""
Manage the manager and the agent of classic Swarm.
"""

from swarm_formula.salt import state_return

__virtualname__ = "swarm_classic"


def __virtual__():
    if "swarm_classic.managers" not in __salt__:
        return False, "The swarm_classic execution module is not available"
    return __virtualname__


def manager(name):
    """
    Ensure a manager runs here if ``swarm:managers`` names this minion, and no manager otherwise.

    .. code-block:: yaml

        manager is running:
          swarm_classic.manager: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_classic.apply_manager"])


def agent(name):
    """
    Ensure the agent of this node runs and registers the engine in the store.

    .. code-block:: yaml

        agent is running:
          swarm_classic.agent: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_classic.apply_agent"])


def elected(name, timeout=None):
    """
    Ensure a manager is the primary; wait for the election.

    .. code-block:: yaml

        a manager is primary:
          swarm_classic.elected: []

    name
        A name for the report.

    timeout
        Seconds; ``swarm:timeout`` if unset.
    """
    return state_return.waited(
        name, __opts__["test"], __salt__["swarm_classic.wait_primary"], timeout
    )


def healthy(name, timeout=None):
    """
    Ensure a manager reports this node as ``Healthy`` and with its labels; wait for both.

    .. code-block:: yaml

        this node is healthy:
          swarm_classic.healthy: []

    name
        A name for the report.

    timeout
        Seconds; ``swarm:timeout`` if unset.
    """
    return state_return.waited(
        name, __opts__["test"], __salt__["swarm_classic.wait_healthy"], timeout
    )


def removed(name):
    """
    Ensure neither the agent nor the manager runs on this node.

    .. code-block:: yaml

        agent and manager are removed:
          swarm_classic.removed: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_classic.remove"])
