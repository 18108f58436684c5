"""
Create named volumes on one engine. Docker cannot change a volume: a difference is an error.
"""

import fnmatch
import re
from collections.abc import Mapping
from typing import Any

from swarm_formula.core import checks, errors
from swarm_formula.docker import engine_api
from swarm_formula.spec import option_table, service_parts
from swarm_formula.spec.option_table import Option, Shape

# As in the mount options of CIFS: username=me,password=...
_HIDDEN = r"(?i)((?:pass|pw|secret|token|key)\w*=)[^,]*"


def _globs(value: Any) -> list[str]:
    globs = service_parts.listed(value)
    for one in globs:
        if want := checks.host_glob(one):
            raise ValueError(f"found {one!r}, which is not {want}")
    return globs


TEXT = Shape(service_parts.text, "a text")
TABLE = Shape(service_parts.table, "a mapping of plain values")
NODES = Shape(_globs, "a list of minion IDs or globs, such as [m1, web-*]")
# The paths are those of a volume that is inspected.
OPTIONS: dict[str, Option] = {
    "driver": Option(TEXT, ("Driver",), "its driver, or plugin", "local"),
    "options": Option(TABLE, ("Options",), "options of the driver", {}, hidden=True),
    "labels": Option(TABLE, ("Labels",), "labels of the volume", {}, by_key=True),
    "nodes": Option(NODES, (), "nodes that get it [all]"),
}


def parsed(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Return the given options in their canonical form; raise an error that lists all faults."""
    return option_table.parsed(spec, OPTIONS, f"volume {name}")


def of_node(minion: str, volumes: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the volumes that a node gets."""
    return {
        name: one
        for name, one in volumes.items()
        if one.get("nodes") is None
        or any(fnmatch.fnmatchcase(minion, glob) for glob in one["nodes"])
    }


def created(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the changes of a volume that does not exist yet."""
    return _shown(option_table.created(wanted, OPTIONS, "present"))


def _shown(changes: dict[str, Any]) -> dict[str, Any]:
    """Return changes without values that look secret, also inside of an option such as ``o``."""
    if options := changes.get("options"):
        masked = {side: _masked(one) for side, one in options.items()}
        changes = {**changes, "options": masked}
    return option_table.shown(changes, OPTIONS)


def _masked(options: Any) -> Any:
    if not isinstance(options, dict):
        return options
    return {key: re.sub(_HIDDEN, r"\1***", str(one)) for key, one in options.items()}


def apply(client: Any, name: str, wanted: dict[str, Any], test: bool = False) -> dict[str, Any]:
    """Ensure a volume exists with these options; return what changed."""
    with engine_api.translated(f"volume {name}"):
        found = engine_api.found(client.inspect_volume, name)
        if found is None:
            if not test:
                client.create_volume(
                    name,
                    driver=wanted.get("driver") or "local",
                    driver_opts=wanted.get("options") or {},
                    labels=wanted.get("labels") or {},
                )
            return created(wanted)
    if different := option_table.diff(found, wanted, OPTIONS):
        shown = _shown(different).items()
        texts = [f"{key} {one['old']!r}, not {one['new']!r}" for key, one in shown]
        raise errors.SwarmError(
            f"volume {name}: it has {', '.join(texts)}. Docker cannot change a volume, and without"
            " it its data would be lost. Nothing was changed: correct the pillar; or save the data,"
            f" remove the volume on this host (swarm_volume.remove {name}), and apply again"
        )
    return {}
