"""
Manage who may reach the swarm's own ports on this host.
"""

import swarm_ret

__virtualname__ = "swarm_firewall"


def __virtual__():
    if "swarm_firewall.apply" not in __salt__:
        return False, "The swarm_firewall execution module is not available"
    return __virtualname__


def applied(name):
    """
    Ensure only those reach the swarm's ports who have to, if ``swarm:firewall:enabled`` says so.

    Else there is no such firewall. Nothing but these ports is ever closed.

    .. code-block:: yaml

        ports of the swarm are guarded:
          swarm_firewall.applied: []

    name
        A name for the report.
    """
    return swarm_ret.applied(name, __opts__["test"], __salt__["swarm_firewall.apply"])


def removed(name):
    """
    Ensure this host has no firewall of the swarm.

    .. code-block:: yaml

        ports of the swarm are nobody's:
          swarm_firewall.removed: []

    name
        A name for the report.
    """
    return swarm_ret.applied(name, __opts__["test"], __salt__["swarm_firewall.remove"])
