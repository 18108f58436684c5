"""
Check whether this node leads its cluster, or is to create one.
"""

from collections.abc import Callable, Mapping
from typing import Any

from swarm_formula.cluster import membership, node_info, swarm_api
from swarm_formula.core import errors, wait
from swarm_formula.core.settings_types import Settings

# Seconds that an engine may need to complete a change of its own role.
CHANGING = 10
# What a node does about objects of its cluster: it changes them; in a dry run, it will, once it has
# created the cluster; or another node does.
LEADS, FOUNDS, IDLE = "leads", "founds", "idle"


def role(salt: Mapping[str, Callable[..., Any]], test: bool) -> str:
    """Return what this node does about objects of its cluster in builtin mode."""
    if salt["swarm_leader.leads"]():
        return LEADS
    return FOUNDS if test and salt["swarm_leader.founds"]() else IDLE


def leads(client: Any) -> bool:
    """Return whether this node is the leader; waits briefly while its own role changes."""

    def look() -> dict[str, Any] | None:
        swarm = swarm_api.swarm(client)
        known = swarm_api.nodes(client) if membership.manager(swarm) else []
        return node_info.by_id(known).get(swarm["NodeID"])

    found = wait.asked(look, errors.ApiError, CHANGING)
    return found is not None and node_info.is_leader(found)


def founds(client: Any, settings: Settings) -> bool:
    """Return whether this node would create the cluster."""
    inactive = swarm_api.swarm(client).get("LocalNodeState") == "inactive"
    return inactive and membership.is_first(settings)
