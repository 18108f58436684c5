"""
Manage the firewall rules for the swarm's ports on this host.
"""

from swarm_formula.salt import state_return

__virtualname__ = "swarm_firewall"


def __virtual__():
    if "swarm_firewall.apply" not in __salt__:
        return False, "The swarm_firewall execution module is not available"
    return __virtualname__


def applied(name):
    """
    Ensure only hosts that need the swarm's ports reach them, if ``swarm:firewall:enabled`` is set.

    Otherwise, the formula's firewall is removed. No other ports are ever blocked.

    .. code-block:: yaml

        firewall rules are applied:
          swarm_firewall.applied: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_firewall.apply"])


def removed(name):
    """
    Ensure the formula's firewall is removed from this host.

    .. code-block:: yaml

        firewall rules are removed:
          swarm_firewall.removed: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_firewall.remove"])
