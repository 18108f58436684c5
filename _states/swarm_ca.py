"""
Manage the CA of a swarm.
"""

from swarm_formula.salt import state_return

__virtualname__ = "swarm_ca"


def __virtual__():
    if "swarm_ca.apply" not in __salt__:
        return False, "The swarm_ca execution module is not available"
    return __virtualname__


def present(name):
    """
    Ensure the minion in ``swarm:tls:ca`` has a CA; each run takes the next step of its rotation.

    Warns about the members that the rotation waits for.

    .. code-block:: yaml

        CA is present:
          swarm_ca.present: []

    name
        A name for the report.
    """
    ret = state_return.applied(name, __opts__["test"], __salt__["swarm_ca.apply"])
    if ret["changes"] or not ret["result"]:
        # Members have had no time to follow a step of this run: no warning yet.
        return ret
    return state_return.warned(ret, __salt__["swarm_ca.complaints"]())


def absent(name):
    """
    Ensure this host has no CA; refused while other members have certificates signed by it.

    .. code-block:: yaml

        CA is removed:
          swarm_ca.absent: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_ca.remove"], fresh=False)
