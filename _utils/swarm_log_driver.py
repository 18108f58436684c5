"""
Check that an engine has the log driver that the pillar sets.

The engine accepts any name, and then fails to start every container that sets no log driver itself.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import swarm_docker
import swarm_errors

_KEY, _NONE, _LATEST = "log-driver", "none", ":latest"
# Where Docker finds plugins that it does not manage, by the name of the file or of its folder.
_LEGACY = tuple(
    map(Path, ("/run/docker/plugins", "/etc/docker/plugins", "/usr/lib/docker/plugins"))
)
_ENDINGS = {".sock", ".spec", ".json"}


def refusals(wanted: Mapping) -> list[str]:
    """
    Return why the running engine has not the log driver of ``wanted``, as a list.

    Empty as well if no engine runs: the package has not been installed yet.
    """
    driver = wanted.get(_KEY)
    if driver is None:
        return []
    try:
        with swarm_docker.connect(what="log drivers of the engine") as client:
            built_in = set((client.info().get("Plugins") or {}).get("Log") or ())
            plugins = _managed(client.plugins())
    except swarm_errors.EngineUnreachableError:
        return []
    if not built_in or driver in {_NONE, *built_in, *plugins, *_unmanaged()}:
        return []
    names = ", ".join(sorted(built_in | plugins))
    return [
        f"it has no log driver {driver!r} (swarm:engine:options:{_KEY}), and would start no"
        f" container with it: choose one of {names}, or install and enable the plugin first"
        " ('docker plugin install')"
    ]


def _managed(plugins: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the names of the enabled plugins; Docker finds them without the tag as well."""
    names = {one["Name"] for one in plugins or () if one.get("Enabled")}
    return names | {name.removesuffix(_LATEST) for name in names}


def _unmanaged() -> set[str]:
    return {
        path.stem for folder in _LEGACY for path in folder.rglob("*") if path.suffix in _ENDINGS
    }
