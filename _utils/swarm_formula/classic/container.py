"""
Start, replace and remove the containers of classic mode: the manager and the agent.
"""

import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal

from swarm_formula.core.settings_types import Settings
from swarm_formula.docker import trial
from swarm_formula.standalone import container_names

Salt = Mapping[str, Callable[..., Any]]
Section = Literal["manager", "agent"]

_SECTIONS: tuple[Section, ...] = ("manager", "agent")


def start(salt: Salt, settings: Settings, section: Section, spec: dict[str, Any]) -> dict[str, Any]:
    """Create or start a container; return what changed."""
    name = settings[section]["container"]
    return trial.apply(salt, name, spec, contextlib.nullcontext, _paths(section))


def replace(
    salt: Salt,
    settings: Settings,
    section: Section,
    spec: dict[str, Any],
    wait: Callable[[Salt, Settings], None],
) -> dict[str, Any]:
    """Replace a container; restore the previous one if ``wait(salt, settings)`` fails."""
    name, prove = settings[section]["container"], functools.partial(wait, salt, settings)
    return trial.replace(salt, name, spec, prove, _paths(section))


def _paths(section: Section) -> str:
    """Return the pillar paths that define a container."""
    return f"swarm:{section}:options, swarm:manager:image"


def unless_fallen(salt: Salt, settings: Settings, missing: str, *sections: Section) -> str:
    """Return ``missing``; raise an error if one of this node's containers has failed."""
    for section in sections or _SECTIONS:
        salt["swarm_container.check"](settings[section]["container"])
    return missing


def remove(salt: Salt, settings: Settings, test: bool) -> dict[str, Any]:
    """Remove both containers, and their image if nothing else uses it; return what changed."""
    changes = {
        settings[section]["container"]: container_names.remove(settings, salt, section, test)
        for section in reversed(_SECTIONS)
    }
    image, names = settings["manager"]["image"], list(changes)
    changes[image] = salt["swarm_image.remove_unused"](image, names, test=test)
    return {what: change for what, change in changes.items() if change}
