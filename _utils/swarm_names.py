"""
The names of the formula's own containers, which pillar may change while they run.
"""

from collections.abc import Callable, Mapping

import swarm_errors
import swarm_files
import swarm_schema

_RECORD = "containers"
# The first word of each one's command.
_COMMANDS = {"consul": "agent", "manager": "manage", "agent": "join"}


def _former(section: str) -> str:
    """Return the name of before; what was not noted yet had most likely that of the schema."""
    default = swarm_schema.SCHEMA[section]["container"].default
    return swarm_files.record(_RECORD).get(section, default)


def _is_ours(found: Mapping | None, section: str) -> bool:
    return bool(found) and (
        found["command"][:1] == [_COMMANDS[section]] and found["network_mode"] == "host"
    )


def rename(settings: Mapping, salt: Mapping[str, Callable], section: str, test: bool) -> dict:
    """Give a container the name that pillar has for it by now; return what changed."""
    name, old = settings[section]["container"], _former(section)
    renamed = name != old and _is_free(salt, name, old, section)
    if not test:
        if renamed:
            salt["swarm_container.rename"](old, name)
        _note(section, name)
    return {"name": {"old": old, "new": name}} if renamed else {}


def _is_free(salt: Mapping[str, Callable], name: str, old: str, section: str) -> bool:
    """Say whether a container of ours has the old name, and none the new one."""
    get = salt["swarm_container.get"]
    try:
        return get(name) is None and _is_ours(get(old), section)
    except swarm_errors.SwarmError:
        return False


def _note(section: str, name: str) -> None:
    noted = swarm_files.record(_RECORD)
    default = swarm_schema.SCHEMA[section]["container"].default
    named = {**noted, section: name if name != default else ""}
    swarm_files.note(_RECORD, {key: one for key, one in named.items() if one})
