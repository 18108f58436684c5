"""
Report this node as a member of the swarm, in either mode.
"""

from swarm_formula.cluster import node_info, swarm_api
from swarm_formula.core import errors, member_rules
from swarm_formula.standalone import containers

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
    except errors.SwarmError:
        return False
    return True


def report():
    """
    Return this member's data for the master: address, roles, labels, engine; in builtin mode, the
    state of the engine's swarm mode as well.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_node.report
    """
    settings = __salt__["swarm_settings.get"]()
    builtin = settings["mode"] == "builtin"
    return {
        "mode": settings["mode"],
        "address": settings["address"],
        "manager": settings["is_manager"],
        "server": settings["is_server"],
        "managers": settings["managers"],
        "servers": settings["servers"],
        "ca": settings["tls"]["ca"],
        "engine": __salt__["swarm_engine.version"](),
        **(_of_engine(settings) if builtin else _of_pillar(settings)),
    }


def _of_pillar(settings):
    return {"endpoint": containers.engine_endpoint(settings), "labels": settings["labels"]}


def _of_engine(settings):
    """Return the node's ID, the state of its swarm mode, and the pillar's settings for the node."""
    with swarm_api.connect(__salt__) as client:
        swarm = swarm_api.swarm(client)
    wanted = member_rules.settings_of(settings["id"], settings["nodes"])
    return {
        "endpoint": swarm.get("NodeID") or "",
        "state": swarm.get("LocalNodeState") or "",
        "error": swarm.get("Error") or "",
        "labels": node_info.label_texts(wanted["labels"]),
        "availability": wanted["availability"],
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
