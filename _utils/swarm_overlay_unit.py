"""
The service that keeps overlay networks whole: its files, and its unit. Pure but for reading itself.
"""

import sys
from pathlib import Path

import swarm_namespaces
import swarm_overlay
import swarm_routes
import swarm_store

NAME = "swarm-overlay"
UNIT = Path("/etc/systemd/system") / f"{NAME}.service"
# Not among Salt's cached modules: those go when Salt or somebody else clears its cache.
FOLDER = Path("/usr/local/lib/swarm-formula")
_PARTS = (swarm_overlay, swarm_namespaces, swarm_routes, swarm_store)


def python() -> str:
    """Return Salt's Python by the name that it keeps when an upgrade of Salt brings another one."""
    path = Path(sys.executable)
    short = path.with_name("python3")
    return str(short if short.exists() else path)


def unit(interpreter: str, engine: str) -> str:
    """Return the unit; ``engine`` is the name of the engine's."""
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
    """Return where the files of the service are."""
    return [*(FOLDER / Path(part.__file__).name for part in _PARTS), UNIT]
