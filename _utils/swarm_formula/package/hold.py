"""
Hold the packages of the Docker Engine, so that apt upgrades none of them by itself.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from swarm_formula.core import host_files
from swarm_formula.core.settings_types import Engine
from swarm_formula.daemon import package_set

Salt = Mapping[str, Callable[..., Any]]


def _all_held(salt: Salt) -> list[str]:
    found: list[str] = salt["pkg.get_selections"](state="hold").get("hold", [])
    return found


def _held(salt: Salt, package: str) -> list[str]:
    """Return the engine's packages that are held."""
    held = _all_held(salt)
    return [one for one in package_set.held(package) if one in held]


@contextlib.contextmanager
def released(salt: Salt, *engines: str) -> Iterator[None]:
    """Release the engines' packages from their hold meanwhile: apt changes none that is held."""
    held = sorted({one for package in engines for one in _held(salt, package)})
    for one in held:
        salt["pkg.unhold"](name=one)
    try:
        yield
    finally:
        for one in held:
            if salt["pkg.version"](one):
                salt["pkg.hold"](name=one)


def apply(salt: Salt, engine: Engine, test: bool, changes: Collection[str] = ()) -> dict[str, Any]:
    """
    Hold the engine's packages that are here, or release those that the formula holds.

    changes
        What an installation changes: its packages are not here yet with ``test``.
    """
    package, held, noted = engine["package"], _all_held(salt), host_files.record("engine")
    # Earlier versions held, and noted, the engine's package alone.
    ours = noted.get("held", [noted.get("package", package)] if noted.get("hold") else [])
    if engine["hold"]:
        names = package_set.held(package)
        here = [one for one in names if one in changes or salt["pkg.version"](one)]
        due = [one for one in here if one not in held]
    else:
        due = [one for one in ours if one in held]
    if not test:
        for one in due:
            salt["pkg.hold" if engine["hold"] else "pkg.unhold"](name=one)
        ours = sorted({*due, *(one for one in ours if one in held)}) if engine["hold"] else []
        rest = {key: one for key, one in noted.items() if key not in {"hold", "held"}}
        host_files.note("engine", {**rest, **({"held": ours} if ours else {})})
    return {"hold": {"old": not engine["hold"], "new": engine["hold"]}} if due else {}
