"""
Names of the formula's own containers, which the pillar may change while they run.

Another container may have such a name by chance: its command tells it apart.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from swarm_formula.core import errors, host_files, modes, own_registry
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.docker import engine_api

# The sections of the pillar that have a container.
Section = Literal["consul", "manager", "agent"]

_RECORD = "containers"
# Without a name in the pillar.
DEFAULTS: dict[Section, str] = {
    "consul": "swarm-consul",
    "manager": "swarm-manager",
    "agent": "swarm-agent",
}
# The first word of each container's command.
_COMMANDS: dict[Section, str] = {"consul": "agent", "manager": "manage", "agent": "join"}


def _former(section: Section) -> str:
    """Return the recorded name; without a record, most likely the default."""
    name: str = host_files.record(_RECORD).get(section, DEFAULTS[section])
    return name


def is_ours(section: Section, command: Sequence[str]) -> bool:
    """Check whether a container with this command is the formula's, such as its ``consul``."""
    return list(command[:1]) == [_COMMANDS[section]]


def _names(settings: Settings) -> dict[Section, str]:
    return {section: settings[section]["container"] for section in _COMMANDS}


def ours(settings: Settings, commands: Mapping[str, Sequence[str]]) -> dict[Section, str]:
    """Return ``{section: name}`` of the formula's own containers among ``{name: command}``."""
    return {
        section: name
        for section, name in _names(settings).items()
        if name in commands and is_ours(section, commands[name])
    }


def strangers(settings: Settings, commands: Mapping[str, Sequence[str]]) -> dict[Section, str]:
    """Return ``{section: name}`` of containers with a name of the formula that are not its own."""
    return {
        section: name
        for section, name in _names(settings).items()
        if name in commands and not is_ours(section, commands[name])
    }


def _own(salt: Salt, section: Section, name: str) -> bool:
    found = salt["swarm_container.get"](name)
    return bool(found) and is_ours(section, found["command"])


def _is_registry(salt: Salt, name: str) -> bool:
    if name != own_registry.CONTAINER:
        return False
    found = salt["swarm_container.get"](name)
    return bool(found) and own_registry.is_ours(found["command"])


def remove(settings: Settings, salt: Salt, section: Section, test: bool) -> dict[str, Any]:
    """Remove a container if it is the formula's own; return what changed."""
    name, changes = settings[section]["container"], {}
    with engine_api.unless_absent(test):
        if _own(salt, section, name):
            changes = salt["swarm_container.remove"](name, test=test)
    if not test:
        _note(section, DEFAULTS[section])
    return changes


def others(settings: Settings, salt: Salt) -> set[str]:
    """Return the names of this engine's containers, except the formula's and swarm tasks."""
    there, names = set(salt["swarm_container.names"](tasks=False)), _names(settings)
    ours = {name for key, name in names.items() if name in there and _own(salt, key, name)}
    return {name for name in there - ours if not _is_registry(salt, name)}


def rename(settings: Settings, salt: Salt, section: Section, test: bool) -> dict[str, Any]:
    """Rename a container to its current name in the pillar; return what changed."""
    name, old = settings[section]["container"], _former(section)
    renamed = name != old and _is_free(salt, name, old, section)
    if not test:
        if renamed:
            salt["swarm_container.rename"](old, name)
        _note(section, name)
    return {"name": {"old": old, "new": name}} if renamed else {}


def _is_free(salt: Salt, name: str, old: str, section: Section) -> bool:
    """Check whether the formula's container has the old name, and no container the new one."""
    get = salt["swarm_container.get"]
    try:
        found = get(old) or {"command": (), "network_mode": ""}
        kept = is_ours(section, found["command"]) and found["network_mode"] == "host"
        return kept and get(name) is None
    except errors.SwarmError:
        return False


def _note(section: Section, name: str) -> None:
    noted = host_files.record(_RECORD)
    named = {**noted, section: name if name != DEFAULTS[section] else ""}
    host_files.note(_RECORD, {key: one for key, one in named.items() if one})


def by_hand(settings: Settings, commands: Mapping[str, Sequence[str]]) -> str | None:
    """
    Return which containers of a classic swarm run on a host that the formula has never changed,
    ``None`` if none do. Those that the pillar names are taken over.

    commands
        ``{name: words}`` with the program: Swarm's image has only ``/swarm``.
    """
    if not modes.of(settings).standalone or host_files.RECORD.exists():
        return None
    sections = {word: section for section, word in _COMMANDS.items() if section != "consul"}
    names = _names(settings)
    found = {
        name: sections[words[1]]
        for name, words in sorted(commands.items())
        if words[:1]
        and words[0].rpartition("/")[2] == "swarm"
        and words[1:2]
        and words[1] in sections
    }
    found = {name: section for name, section in found.items() if names[section] != name}
    if not found:
        return None
    texts = [f"container {name} (swarm {_COMMANDS[one]})" for name, one in found.items()]
    keys = [f"swarm:{one}:container" for one in dict.fromkeys(found.values())]
    return (
        f"{settings['id']} is a node of a classic swarm that this formula did not set up:"
        f" {', '.join(texts)}. Nothing was changed: other certificates and ports on the engine"
        " would cut it off. To take it over, name its containers in pillar"
        f" ({', '.join(keys)}) and its store in swarm:store: an apply replaces each with one that"
        " has the pillar's settings, and swarm.clean removes them. If that swarm is not wanted,"
        " remove its containers by hand first"
    )


def is_consuls(volume: Path) -> bool:
    """Check whether a volume is empty or Consul's: its agents create ``node-id`` first."""
    return not volume.is_dir() or not any(volume.iterdir()) or (volume / "node-id").exists()


def taken(
    settings: Settings, commands: Mapping[str, list[str]], volume: str | None = None
) -> str | None:
    """
    Return which names that a classic swarm needs on this host are taken, ``None`` if none are.

    volume
        Path of the volume with the name of Consul's volume, if it exists.
    """
    if not modes.of(settings).standalone:
        return None
    due = {"agent": True, "manager": settings["is_manager"], "consul": settings["managed_store"]}
    texts = [
        f"container {name} (swarm:{section}:container) is not the formula's"
        for section, name in strangers(settings, commands).items()
        if due[section]
    ]
    if settings["managed_store"] and volume and not is_consuls(Path(volume)):
        name = settings["consul"]["volume"]
        texts.append(f"volume {name} (swarm:consul:volume) does not hold Consul's data")
    if not texts:
        return None
    return (
        f"{settings['id']} already has other objects under names that this formula uses:"
        f" {'; '.join(texts)}. Nothing was changed. Rename the container (docker rename; a volume"
        " cannot be renamed), or set another name in pillar"
    )
