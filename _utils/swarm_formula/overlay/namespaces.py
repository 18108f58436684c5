"""
The namespaces of overlay networks on this host, and the kernel's entries in them.

Standard library only, as ``swarm-overlay.service`` runs it outside Salt.
"""

import contextlib
import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from swarm_formula.overlay import routes
from swarm_formula.overlay.routes import Device, Route

# ``<epoch>-<beginning of the network's ID>``, as the overlay driver names its namespaces.
_NAMESPACE = re.compile(r"[0-9]*-([0-9a-f]{8,64})")
_OWN = Path("/proc/self/ns/net")
# Seconds that a command may take.
_COMMAND = 30


def namespaces(config: Mapping[str, Any], networks: Iterable[str]) -> dict[str, Path]:
    """Return ``{network ID: path}`` of the namespaces that overlay networks have on this host."""
    folder = Path(config.get("exec-root") or "/var/run/docker") / "netns"
    known, found = sorted(networks), {}
    for path in sorted(folder.glob("*-*")):
        match = _NAMESPACE.fullmatch(path.name)
        named = [one for one in known if match and one.startswith(match[1])]
        if len(named) == 1 and is_namespace(path):
            found[named[0]] = path
    return found


def is_namespace(path: Path) -> bool:
    """Say whether a file is a namespace; of one that is gone, an ordinary file is left."""
    with contextlib.suppress(OSError):
        return path.stat().st_dev == _OWN.stat().st_dev
    return False


def _inside(path: Path, *argv: str, stdin: str = "") -> str:
    done = subprocess.run(  # noqa: S603
        ["nsenter", f"--net={path}", *argv],  # noqa: S607
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=_COMMAND,
    )
    if done.returncode:
        raise OSError(f"{' '.join(argv)} in {path}: {done.stderr.strip()}")
    return done.stdout


def look(path: Path) -> list[Device]:
    """Return the VXLAN devices of a namespace."""
    commands = (
        ("ip", "-j", "-d", "link", "show", "type", "vxlan"),
        ("ip", "-j", "neigh", "show"),
        ("bridge", "-j", "fdb", "show"),
    )
    return routes.devices(*(json.loads(_inside(path, *one) or "[]") for one in commands))


def mend(path: Path, faults: list[tuple[str, Route]]) -> None:
    """Write what the kernel lacks."""
    near = [
        f"neigh replace {one.address} lladdr {one.mac} dev {device} nud permanent\n"
        for device, one in faults
    ]
    far = [
        f"fdb replace {one.mac} dev {device} dst {one.host} self permanent\n"
        for device, one in faults
    ]
    _inside(path, "ip", "-force", "-batch", "-", stdin="".join(near))
    _inside(path, "bridge", "-force", "-batch", "-", stdin="".join(far))
