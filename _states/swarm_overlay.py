"""
Keep the overlay networks of classic Swarm whole on this host.
"""

from swarm_formula.salt import state_return

__virtualname__ = "swarm_overlay"


def __virtual__():
    if "swarm_overlay.apply" not in __salt__:
        return False, "The swarm_overlay execution module is not available"
    return __virtualname__


def applied(name):
    """
    Ensure overlay networks reach the other hosts, now and after each start of the engine.

    Runs a service for it if ``swarm:overlay`` is set, and takes it away if not.

    .. code-block:: yaml

        overlay service is configured:
          swarm_overlay.applied: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_overlay.apply"])


def removed(name):
    """
    Ensure the service for overlay networks is gone.

    .. code-block:: yaml

        overlay service is removed:
          swarm_overlay.removed: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_overlay.remove"])
