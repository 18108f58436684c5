"""
Check the log driver and its options, which the engine accepts unread.

With a driver that the engine lacks, or a size that is none, every container that sets no log driver
itself fails to start.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from swarm_formula.core import errors, normalize
from swarm_formula.docker import engine_api

_KEY, _NONE, _LATEST = "log-driver", "none", ":latest"
# Where Docker finds plugins that it does not manage, by the name of the file or of its folder.
_LEGACY = tuple(
    map(Path, ("/run/docker/plugins", "/etc/docker/plugins", "/usr/lib/docker/plugins"))
)
# The drivers that write files, and their options with a value to parse.
_FILES = (None, "json-file", "local")
_SIZE, _COUNT = "max-size", "max-file"
_ENDINGS = {".sock", ".spec", ".json"}


def refusals(wanted: Mapping[str, Any]) -> list[str]:
    """
    Return why the running engine has not the log driver of ``wanted``, as a list.

    Empty as well if no engine runs: the package has not been installed yet.
    """
    driver = wanted.get(_KEY)
    if driver is None:
        return []
    try:
        with engine_api.connect(what="log drivers of the engine") as client:
            built_in = set((client.info().get("Plugins") or {}).get("Log") or ())
            plugins = _managed(client.plugins())
    except errors.EngineUnreachableError:
        return []
    if not built_in or driver in {_NONE, *built_in, *plugins, *_unmanaged()}:
        return []
    names = ", ".join(sorted(built_in | plugins))
    return [
        f"it has no log driver {driver!r} (swarm:engine:options:{_KEY}), and would start no"
        f" container with it: choose one of {names}, or install and enable the plugin first"
        " ('docker plugin install')"
    ]


def faults(options: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield key, value and what is expected for each wrong value of the files' size and number."""
    given = options.get("log-opts")
    if options.get(_KEY) not in _FILES or not isinstance(given, Mapping):
        return
    # Other types are refused by the engine itself, before it restarts.
    found = {key: given[key] for key in (_SIZE, _COUNT) if isinstance(given.get(key), str)}
    if _SIZE in found and not _is_size(found[_SIZE]):
        yield _SIZE, found[_SIZE], 'a size such as "10m"'
    if _COUNT in found and not (found[_COUNT].isdecimal() and int(found[_COUNT])):
        yield _COUNT, found[_COUNT], 'a number of at least 1, as a text: "3"'


def _is_size(text: str) -> bool:
    try:
        return normalize.size(text) > 0
    except ValueError:
        return False


def _managed(plugins: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the names of the enabled plugins; Docker finds them without the tag as well."""
    names = {one["Name"] for one in plugins or () if one.get("Enabled")}
    return names | {name.removesuffix(_LATEST) for name in names}


def _unmanaged() -> set[str]:
    return {
        path.stem for folder in _LEGACY for path in folder.rglob("*") if path.suffix in _ENDINGS
    }
