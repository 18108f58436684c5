"""
Build the files and the systemd unit of the service that keeps overlay networks connected.

Pure, except that it reads its own modules and lists the folder of the service.
"""

import sys
from pathlib import Path

from swarm_formula.overlay import keeper, kv_store, namespaces, routes

NAME = "swarm-overlay"
UNIT = Path("/etc/systemd/system") / f"{NAME}.service"
# Not in Salt's cache of modules, which Salt or an administrator may clear.
FOLDER = Path("/usr/local/lib/swarm-formula")
_PARTS = (keeper, namespaces, routes, kv_store)


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
WorkingDirectory={FOLDER}
ExecStart={interpreter} -Es -B -m {keeper.__name__}
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target
"""


def _sources() -> dict[Path, Path]:
    """Return ``{path: source}`` of the program: Python finds the modules by the same names."""
    return {
        FOLDER / f"{part.__name__.replace('.', '/')}.py": Path(str(part.__file__))
        for part in _PARTS
    }


def _there() -> list[Path]:
    """Return the files of the program on this host, of whatever version."""
    return sorted(FOLDER.rglob("*.py"))


def texts(engine: str) -> dict[Path, str | None]:
    """Return ``{path: text}`` of all files of the service; ``None`` for those that are to go."""
    found = {path: one.read_text(encoding="utf-8") for path, one in _sources().items()}
    return {**dict.fromkeys(_there()), **found, UNIT: unit(python(), engine)}


def paths() -> list[Path]:
    """Return the paths of the files of the service."""
    return [*{*_there(), *_sources()}, UNIT]


def folders() -> list[Path]:
    """Return the folders of the service, each before the one that it is in."""
    found = {folder for path in paths() for folder in path.parents}
    return sorted((one for one in found if one.is_relative_to(FOLDER)), reverse=True)
