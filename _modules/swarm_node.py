"""
This node as a member of the swarm, whatever the swarm's mode is.
"""

import swarm_errors
import swarm_roles

__virtualname__ = "swarm_node"


def __virtual__():
    return __virtualname__


def joined():
    """
    Return whether this node is a healthy member with the labels that pillar gives it.

    What the master asks a minion that has started, before it has it apply anything.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_node.joined
    """
    try:
        __salt__["swarm_classic.wait_healthy"](0)
    except swarm_errors.SwarmError:
        return False
    return True


def report():
    """
    Return what the master wants to know of a member: address, roles, labels, engine.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_node.report
    """
    settings = __salt__["swarm_settings.get"]()
    return {
        "address": settings["address"],
        "endpoint": swarm_roles.engine_endpoint(settings),
        "manager": settings["is_manager"],
        "server": settings["is_server"],
        "managers": settings["managers"],
        "servers": settings["servers"],
        "labels": settings["labels"],
        "engine": __salt__["swarm_engine.version"](),
    }
