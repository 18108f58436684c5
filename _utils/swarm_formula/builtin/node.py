"""
Look at this host as a node of builtin mode.
"""

from typing import Any

from swarm_formula.cluster import node_info, swarm_api
from swarm_formula.core import member_rules
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings


def check(salt: Salt) -> None:
    """Raise an error if this node is not a healthy member, with its role."""
    salt["swarm_builtin.wait_ready"](0)


def report(salt: Salt, settings: Settings) -> dict[str, Any]:
    """Return the node's ID, the state of its swarm mode, and the pillar's settings for the node."""
    with swarm_api.connect(salt) as client:
        swarm = swarm_api.swarm(client)
    wanted = member_rules.settings_of(settings["id"], settings["nodes"])
    return {
        "endpoint": swarm.get("NodeID") or "",
        "state": swarm.get("LocalNodeState") or "",
        "error": swarm.get("Error") or "",
        "labels": node_info.label_texts(wanted["labels"]),
        "availability": wanted["availability"],
    }


def managers(salt: Salt) -> Any:
    """Return the managers' view of the whole swarm."""
    return salt["swarm_leader.managers"]()
