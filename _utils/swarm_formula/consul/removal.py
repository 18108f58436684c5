"""
Take nodes out of Consul: their keys in the store, lost members, and Consul on this host itself.
"""

from pathlib import Path
from typing import Any

from swarm_formula.consul import acl, agent_api, config_file, container_spec
from swarm_formula.core import host_files, wait
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt.execution import Minion
from swarm_formula.standalone import container_names, containers


def nodes(settings: Settings) -> list[str]:
    """Return the engine endpoints that Swarm agents have registered."""
    client = config_file.connect(settings)
    _, found = agent_api.call("nodes", client.kv.get, "docker/swarm/nodes/", recurse=True)
    return sorted(one["Key"].rpartition("/")[2] for one in found or [])


def deregister(minion: Minion, test: bool = False, endpoint: str | None = None) -> dict[str, Any]:
    """Delete the key of a node from the store, this node's by default; return what changed."""
    settings = minion.settings()
    mine = endpoint or containers.engine_endpoint(settings)
    if mine not in nodes(settings):
        return {}
    if not test:
        client = config_file.connect(settings)
        agent_api.call("deregister", client.kv.delete, f"docker/swarm/nodes/{mine}")
    return {mine: {"old": "registered", "new": None}}


def expel(minion: Minion, name: str, timeout: float | None = None) -> dict[str, Any]:
    """Force a lost node to leave Consul once it is not alive any more; return what changed."""
    settings = minion.settings()
    client = config_file.connect(settings)

    def those(status: int) -> set[str]:
        return agent_api.names(agent_api.members(client), status)

    def probe() -> str | None:
        return f"Consul of {name} is still alive" if name in those(agent_api.ALIVE) else None

    wait.until(probe, settings["timeout"] if timeout is None else timeout)
    if name not in those(agent_api.FAILED):
        return {}
    agent_api.expel(acl.connect(settings), name)
    return {name: {"old": "gone", "new": "forgotten"}}


def remove(minion: Minion, test: bool = False) -> dict[str, Any]:
    """Remove Consul of this host with its data, image and configuration; return what changed."""
    changes = _remove_from_engine(minion, minion.settings(), test)
    file = container_spec.consul_file()
    if host_files.read(file) is not None:
        changes[str(file)] = {"old": "present", "new": None}
        if not test:
            config_file.remove()
            host_files.drop_empty(host_files.CONFIG)
    return changes


def _remove_from_engine(minion: Minion, settings: Settings, test: bool) -> dict[str, Any]:
    if not minion.salt["swarm_engine.exists"]():
        return {}
    consul = settings["consul"]
    name, volume, image = consul["container"], consul["volume"], consul["image"]
    removed = container_names.remove(settings, minion.salt, "consul", test)
    changes = {
        name: removed,
        f"volume {volume}": _remove_volume(minion, volume, test),
        image: minion.salt["swarm_image.remove_unused"](image, [name], test=test),
    }
    return {what: change for what, change in changes.items() if change}


def _remove_volume(minion: Minion, volume: str, test: bool) -> dict[str, Any]:
    place = minion.salt["swarm_volume.path"](volume)
    if place is None or not container_names.is_consuls(Path(place)):
        return {}
    changes: dict[str, Any] = minion.salt["swarm_volume.remove"](volume, test=test)
    return changes
