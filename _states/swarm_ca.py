"""
Manage the CA of a swarm.
"""

import swarm_ret

__virtualname__ = "swarm_ca"


def __virtual__():
    if "swarm_ca.apply" not in __salt__:
        return False, "The swarm_ca execution module is not available"
    return __virtualname__


def present(name):
    """
    Ensure there is a CA on the minion of ``swarm:tls:ca``; its change goes a step further each run.

    Warns of those that the change waits for.

    .. code-block:: yaml

        swarm has its CA:
          swarm_ca.present: []

    name
        A name for the report.
    """
    ret = swarm_ret.applied(name, __opts__["test"], __salt__["swarm_ca.apply"])
    if ret["changes"] or not ret["result"]:
        # A step that was just made is waited for by nobody yet.
        return ret
    return swarm_ret.warned(ret, __salt__["swarm_ca.complaints"]())


def absent(name):
    """
    Ensure this host is no CA; refused while others have certificates of it.

    .. code-block:: yaml

        CA is removed:
          swarm_ca.absent: []

    name
        A name for the report.
    """
    return swarm_ret.applied(name, __opts__["test"], __salt__["swarm_ca.remove"])
