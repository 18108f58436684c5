"""
Put together the registry's container and its configuration, for ``swarm_container``. Pure.

It uses the host's network, so that the firewall of the swarm guards its port.
"""

import copy
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from swarm_formula.core.addresses import endpoint
from swarm_formula.core.own_registry import folder
from swarm_formula.core.settings_types import Settings
from swarm_formula.standalone import containers
from swarm_formula.tls.cert_files import Files

# Where images are inside of the container: as in the registry's own image.
_DATA = "/var/lib/registry"
# Sections of `storage` that are no driver: https://distribution.github.io/distribution/about/configuration/
_NO_DRIVERS = {"cache", "delete", "maintenance", "redirect", "tag"}
_PREFIX, _SUFFIX = "config-", ".yml"


class Server(NamedTuple):
    """The container, and the path and the text of its configuration file."""

    spec: dict[str, Any]
    file: Path
    text: str


def users_file() -> Path:
    """Return the file with the registry's users."""
    return folder() / "htpasswd"


def configs() -> list[Path]:
    """Return the configuration files that are there: the one in use, and replaced ones."""
    return sorted(folder().glob(f"{_PREFIX}*{_SUFFIX}"))


def _merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in more.items():
        below = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if below else copy.deepcopy(value)
    return result


def config(settings: Settings, files: Files) -> dict[str, Any]:
    """Return the registry's configuration: the formula's own keys, and those of the pillar."""
    registry = settings["registry"]
    own: dict[str, Any] = {
        "version": "0.1",
        "http": {
            "addr": endpoint(settings["address"], registry["port"]),
            "tls": {"certificate": files.cert, "key": files.key},
            "headers": {"X-Content-Type-Options": ["nosniff"]},
        },
        "storage": {"filesystem": {"rootdirectory": _DATA}},
    }
    if registry["htpasswd"]:
        own["auth"] = {"htpasswd": {"realm": "swarm", "path": str(users_file())}}
    if registry["options"].get("storage", {}).keys() - _NO_DRIVERS - {"filesystem"}:
        # The registry takes one driver only.
        del own["storage"]["filesystem"]
    return _merged(own, registry["options"])


def server(settings: Settings, files: Files) -> Server:
    """Return the registry's container and its configuration."""
    text = json.dumps(config(settings, files), indent=2, sort_keys=True) + "\n"
    # Another content has another name: the old container keeps its own, for a rollback.
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    file, registry = folder() / f"{_PREFIX}{digest}{_SUFFIX}", settings["registry"]
    spec = {
        "image": registry["image"],
        "image_source": registry["image_source"],
        "image_hash": registry["image_hash"],
        "command": ["serve", str(file)],
        # Version 3 would send traces to localhost:4318, and log that nothing is there.
        "environment": {"OTEL_TRACES_EXPORTER": "none"},
        "mounts": [
            containers.mount(settings, folder()),
            containers.mount(settings, files.folder),
            containers.mount(settings, registry["path"], _DATA),
        ],
        **containers.HOST,
        "restart_policy": "unless-stopped",
    }
    return Server(spec, file, text)
