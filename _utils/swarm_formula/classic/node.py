"""
Look at this host as a node of classic mode.
"""

from typing import Any

from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.standalone import containers


def check(salt: Salt) -> None:
    """Raise an error if this node is not a healthy member, with its labels."""
    salt["swarm_classic.wait_healthy"](0)


def report(_salt: Salt, settings: Settings) -> dict[str, Any]:
    """Return the node's engine, and its labels in the pillar."""
    return {"endpoint": containers.engine_endpoint(settings), "labels": settings["labels"]}


def managers(salt: Salt) -> Any:
    """Return the managers' view of the whole swarm."""
    return salt["swarm_classic.managers"]()
