"""
Check whether this node leads its cluster, or is to create one.
"""

from typing import Any

import swarm_errors
import swarm_membership
import swarm_mode
import swarm_nodes
import swarm_wait

# Seconds that an engine may need to complete a change of its own role.
CHANGING = 10


def leads(client: Any) -> bool:
    """Return whether this node is the leader; waits briefly while its own role changes."""

    def look() -> dict | None:
        swarm = swarm_mode.swarm(client)
        known = swarm_mode.nodes(client) if swarm_membership.manager(swarm) else []
        return swarm_nodes.by_id(known).get(swarm["NodeID"])

    found = swarm_wait.asked(look, swarm_errors.ApiError, CHANGING)
    return bool(found) and swarm_nodes.is_leader(found)


def founds(client: Any, settings: dict) -> bool:
    """Return whether this node would create the cluster."""
    inactive = swarm_mode.swarm(client).get("LocalNodeState") == "inactive"
    return inactive and swarm_membership.is_first(settings)
