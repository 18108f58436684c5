"""
Report this node as a member of the swarm, in either mode.
"""

from swarm_formula.core import errors
from swarm_formula.modes import verbs
from swarm_formula.salt import current_pillar

__virtualname__ = "swarm_node"


def __virtual__():
    return __virtualname__


def _settings():
    return __salt__["swarm_settings.get"]()


def joined():
    """
    Check whether this node is a healthy member, with its labels (classic) or its role (builtin).

    The master calls this function on a minion that has started, before it applies any state there.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_node.joined
    """
    try:
        verbs.of(_settings()).node().check(__salt__)
    except errors.SwarmError:
        return False
    return True


def report():
    """
    Return this member's data for the master: address, roles, labels, engine; in builtin mode, the
    state of the engine's swarm mode as well; and a short hash of the pillar that this is from.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_node.report
    """
    settings = _settings()
    return {
        "mode": settings["mode"],
        "address": settings["address"],
        "manager": settings["is_manager"],
        "server": settings["is_server"],
        "managers": settings["managers"],
        "servers": settings["servers"],
        "ca": settings["tls"]["ca"],
        "registry": settings["registry"]["node"],
        "engine": __salt__["swarm_engine.version"](),
        "pillar": current_pillar.digest(__pillar__.get("swarm")),
        **verbs.of(settings).node().report(__salt__, settings),
    }


def managers():
    """
    Return the managers' view of the whole swarm, as far as this node can get it.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_node.managers
    """
    return verbs.of(_settings()).node().managers(__salt__)
