"""
Hold the packages of the Docker Engine, so that nothing upgrades them by itself.
"""

import contextlib
from collections.abc import Collection, Iterator
from typing import Any

from swarm_formula.core import host_files
from swarm_formula.core.settings_types import Engine
from swarm_formula.daemon import package_set
from swarm_formula.package.manager import Manager


@contextlib.contextmanager
def released(manager: Manager, *engines: str) -> Iterator[None]:
    """Release the engines' packages from their hold meanwhile."""
    held = manager.held()
    ours = {one for package in engines for one in package_set.held(package)}
    with manager.released(sorted(ours & set(held))):
        yield


def apply(
    manager: Manager, engine: Engine, test: bool, changes: Collection[str] = ()
) -> dict[str, Any]:
    """
    Hold the engine's packages that are here, or release those that the formula holds.

    changes
        What an installation changes: its packages are not here yet with ``test``.
    """
    package, held, noted = engine["package"], manager.held(), host_files.record("engine")
    # Earlier versions held, and noted, the engine's package alone.
    ours = noted.get("held", [noted.get("package", package)] if noted.get("hold") else [])
    if engine["hold"]:
        names = package_set.held(package)
        here = [one for one in names if one in changes or manager.version(one)]
        due = [one for one in here if one not in held]
    else:
        due = [one for one in ours if one in held]
    if not test:
        for one in due:
            (manager.hold if engine["hold"] else manager.unhold)(one)
        ours = sorted({*due, *(one for one in ours if one in held)}) if engine["hold"] else []
        rest = {key: one for key, one in noted.items() if key not in {"hold", "held"}}
        host_files.note("engine", {**rest, **({"held": ours} if ours else {})})
    return {"hold": {"old": not engine["hold"], "new": engine["hold"]}} if due else {}
