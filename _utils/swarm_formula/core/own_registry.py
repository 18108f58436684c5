"""
Where the swarm's own registry (``swarm:registry``) is, and how images name it. Pure.
"""

from collections.abc import Sequence
from pathlib import Path

from swarm_formula.core import addresses, checks, host_files
from swarm_formula.core.settings_types import AnySettings, Draft, Settings

CONTAINER = "swarm-registry"


def folder() -> Path:
    """Return the folder of the registry's configuration."""
    return host_files.CONFIG / "registry"


def is_ours(command: Sequence[str]) -> bool:
    """Check whether a container with this command is the formula's registry."""
    return list(command[:1]) == ["serve"] and command[-1].startswith(f"{folder()}/")


def is_here(settings: AnySettings) -> bool:
    """Check whether this node runs the registry."""
    return settings["registry"]["node"] == settings["id"]


def hosts(settings: Settings | Draft) -> list[str]:
    """
    Return the registry's ``host:port`` as images name it, ``[]`` without a registry.

    The pillar has the address of a manager or Consul server only; Docker takes no IPv6 address.
    """
    registry = settings["registry"]
    node, port = registry["node"], registry["port"]
    if not node:
        return []
    known = {**settings["servers"], **settings["managers"], settings["id"]: settings["address"]}
    names = dict.fromkeys([node, *registry["names"], known.get(node)])
    found = [addresses.endpoint(one, port) for one in names if one]
    return [one for one in found if checks.registry(one) is None]
