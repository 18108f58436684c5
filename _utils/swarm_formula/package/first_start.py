"""
Keep a package from starting its engine, which is started once it is configured.

Debian's packages start their services when they are installed. With its default options, the engine
would only be stopped again: a start takes as long as all else on a new host.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from swarm_formula.core import host_files
from swarm_formula.core.salt_types import Salt

# Not kept over a boot, so that a run that is killed leaves nothing for long.
_UNITS = Path("/run/systemd/system")
_NAME = "swarm-formula-installs.conf"


def _dropins(service: str) -> list[Path]:
    # A connection to the socket would start the service.
    return [_UNITS / f"{service}.{kind}.d" / _NAME for kind in ("service", "socket")]


@contextlib.contextmanager
def put_off(salt: Salt, service: str) -> Iterator[None]:
    """
    Have systemd skip each start of the service within the context.

    A start that is skipped has succeeded, so the package is installed as usual. A masked unit would
    do as well, but might be an administrator's.
    """
    try:
        for path in _dropins(service):
            # Without the file, the condition is met, whether or not systemd has read it again.
            host_files.write(path, f"[Unit]\nConditionPathExists=!{path}\n")
        salt["service.systemctl_reload"]()
        yield
    finally:
        allow(salt, service)


def allow(salt: Salt, service: str) -> None:
    """End what ``put_off`` began, also for a run that was killed."""
    there = [path for path in _dropins(service) if path.exists()]
    for path in there:
        host_files.write(path, None)
        host_files.drop_empty(path.parent)
    if there:
        salt["service.systemctl_reload"]()
