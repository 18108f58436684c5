"""
Build the files and the systemd unit of the service that keeps overlay networks connected.

Pure, except that it reads its own modules.
"""

import sys
from pathlib import Path

import swarm_namespaces
import swarm_overlay
import swarm_routes
import swarm_store

NAME = "swarm-overlay"
UNIT = Path("/etc/systemd/system") / f"{NAME}.service"
# Not in Salt's cache of modules, which Salt or an administrator may clear.
FOLDER = Path("/usr/local/lib/swarm-formula")
_PARTS = (swarm_overlay, swarm_namespaces, swarm_routes, swarm_store)


def python() -> str:
    """Return Salt's Python by a name that is still valid after Salt is upgraded."""
    path = Path(sys.executable)
    short = path.with_name("python3")
    return str(short if short.exists() else path)


def unit(interpreter: str, engine: str) -> str:
    """Return the text of the unit; ``engine`` is the name of the engine's service."""
    return f"""\
# Written by Salt (swarm-formula): overlay networks reach the other hosts after each start of the
# engine, whatever it has missed. Needs neither Salt's minion nor its master.
[Unit]
Description=Overlay networks of the swarm
After={engine}.service

[Service]
ExecStart={interpreter} -Es -B {FOLDER / "swarm_overlay.py"}
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target
"""


def texts(engine: str) -> dict[Path, str]:
    """Return ``{path: text}`` of all files of the service."""
    sources = [Path(part.__file__) for part in _PARTS]
    found = {FOLDER / one.name: one.read_text(encoding="utf-8") for one in sources}
    return {**found, UNIT: unit(python(), engine)}


def paths() -> list[Path]:
    """Return the paths of the files of the service."""
    return [*(FOLDER / Path(part.__file__).name for part in _PARTS), UNIT]
