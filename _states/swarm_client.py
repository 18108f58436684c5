"""
Manage the endpoint, ``DOCKER_HOST``, of the Docker clients of a node's users.
"""

from swarm_formula.salt import state_return

__virtualname__ = "swarm_client"


def __virtual__():
    if "swarm_client.apply" not in __salt__:
        return False, "The swarm_client execution module is not available"
    return __virtualname__


def configured(name):
    """
    Ensure ``DOCKER_HOST`` is the swarm if ``swarm:client:nodes`` names this minion, else unset.

    .. code-block:: yaml

        Docker clients use the swarm:
          swarm_client.configured: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_client.apply"])


def removed(name):
    """
    Ensure the formula's ``DOCKER_HOST`` is removed.

    .. code-block:: yaml

        Docker clients use the engine:
          swarm_client.removed: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_client.remove"])
