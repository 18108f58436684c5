"""
Manage the apt repository that has the engine.
"""

from swarm_formula.salt import state_return

__virtualname__ = "swarm_repository"


def __virtual__():
    if "swarm_repository.apply" not in __salt__:
        return False, "The swarm_repository execution module is not available"
    return __virtualname__


def managed(name):
    """
    Ensure apt knows the repository in ``swarm:engine:repository``, and no other for its archive.

    Without a repository in the pillar, nothing is added, and that of the formula is removed.

    .. code-block:: yaml

        engine repository is present:
          swarm_repository.managed: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_repository.apply"])


def removed(name):
    """
    Ensure the formula's repository is absent from apt; sources of others are as they were.

    .. code-block:: yaml

        engine repository is removed:
          swarm_repository.removed: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_repository.remove"])
