"""
Manage logins to private registries and the CAs of the registries.
"""

from swarm_formula.salt import state_return

__virtualname__ = "swarm_registry"


def __virtual__():
    if "swarm_registry.apply" not in __salt__:
        return False, "The swarm_registry execution module is not available"
    return __virtualname__


def logged_in(name):
    """
    Ensure root is logged in to the registries in ``swarm:registries`` and their CAs are trusted.

    .. code-block:: yaml

        registry logins are present:
          swarm_registry.logged_in: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_registry.apply"])


def logged_out(name):
    """
    Ensure the logins and CAs that the formula added are removed.

    .. code-block:: yaml

        registry logins are removed:
          swarm_registry.logged_out: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_registry.remove"])
