"""
Manage logins to private registries, the CAs of the registries, and the swarm's own registry.
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


def running(name):
    """
    Ensure the registry of ``swarm:registry`` runs on the host that the pillar names, and that no
    other host runs one of the formula's.

    .. code-block:: yaml

        swarm registry is running:
          swarm_registry.running: []

    A removed registry leaves its images in their folder.

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_registry.run"])


def absent(name):
    """
    Ensure there is no registry of the formula on this host; its images stay in their folder.

    .. code-block:: yaml

        swarm registry is removed:
          swarm_registry.absent: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_registry.remove_container"])
