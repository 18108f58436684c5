"""
Report this node as a member of the swarm, in either mode.
"""

import swarm_errors
import swarm_roles

__virtualname__ = "swarm_node"


def __virtual__():
    return __virtualname__


def joined():
    """
    Check whether this node is a healthy member, with its labels (classic) or its role (builtin).

    The master calls this function on a minion that has started, before it applies any state there.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_node.joined
    """
    try:
        if __salt__["swarm_settings.get"]()["mode"] == "builtin":
            __salt__["swarm_builtin.wait_ready"](0)
        else:
            __salt__["swarm_classic.wait_healthy"](0)
    except swarm_errors.SwarmError:
        return False
    return True


def report():
    """
    Return this member's data for the master: address, roles, labels, engine.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_node.report
    """
    settings = __salt__["swarm_settings.get"]()
    builtin = settings["mode"] == "builtin"
    return {
        "mode": settings["mode"],
        "address": settings["address"],
        "endpoint": (
            __salt__["swarm_builtin.node_id"]()
            if builtin
            else swarm_roles.engine_endpoint(settings)
        ),
        "manager": settings["is_manager"],
        "server": settings["is_server"],
        "managers": settings["managers"],
        "servers": settings["servers"],
        "labels": settings["labels"],
        "ca": settings["tls"]["ca"],
        "engine": __salt__["swarm_engine.version"](),
    }


def managers():
    """
    Return the managers' view of the whole swarm, as far as this node can get it.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_node.managers
    """
    builtin = __salt__["swarm_settings.get"]()["mode"] == "builtin"
    return __salt__["swarm_leader.managers" if builtin else "swarm_classic.managers"]()
