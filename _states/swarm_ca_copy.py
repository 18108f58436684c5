"""
Manage a manager's copy of the swarm's CA.
"""

from swarm_formula.salt import state_return

__virtualname__ = "swarm_ca_copy"


def __virtual__():
    if "swarm_ca_copy.apply" not in __salt__:
        return False, "The swarm_ca_copy execution module is not available"
    return __virtualname__


def present(name):
    """
    Ensure a manager has an encrypted copy of the CA, from which a lost CA is restored.

    Warns, and does not fail, if the CA gives none: the swarm works without a copy.

    .. code-block:: yaml

        CA copy is present:
          swarm_ca_copy.present: []

    name
        A name for the report.
    """
    ret = state_return.applied(name, __opts__["test"], __salt__["swarm_ca_copy.apply"])
    if ret["result"] is False:
        return state_return.warned(state_return.done(name, {}), [ret["comment"]])
    return ret


def absent(name):
    """
    Ensure this host has no copy of the CA.

    .. code-block:: yaml

        CA copy is removed:
          swarm_ca_copy.absent: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_ca_copy.remove"])
