"""
Save the data of classic mode, a snapshot of Consul, and restore it.
"""

import time
from pathlib import Path
from typing import Any

from swarm_formula.consul import acl, agent_api
from swarm_formula.core import archive, errors, host_files, wait
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings

# Seconds to wait until Consul has elected a leader.
_ELECTING = 30


def save(_salt: Salt, settings: Settings, path: str | None, _force: bool) -> Path:
    """Write a snapshot to a new file; return its path."""
    return _saved(settings, archive.place(path, _name(settings)))


def keep(settings: Settings, what: str) -> Path:
    """Write a snapshot beside the backups, for the change that its name tells; return its path."""
    return _saved(settings, archive.place(None, _name(settings, what)))


def _saved(settings: Settings, place: Path) -> Path:
    data = _snapshot(_connect(settings))
    archive.check_snapshot(data, "what Consul answers")
    with host_files.whole(place, 0o600) as file:
        file.write(data)
    return place


def _name(settings: Settings, what: str = "") -> str:
    return f"classic-{settings['id']}-{archive.stamp(time.time())}{what}.snap"


def _connect(settings: Settings) -> Any:
    return acl.connect(settings, settings["timeout"])


def _snapshot(client: agent_api.Client) -> bytes:
    """Return a snapshot of Consul; retry while its servers elect a leader."""
    return wait.asked(lambda: agent_api.snapshot(client), errors.StoreError, _ELECTING)


def restore(
    salt: Salt, settings: Settings, place: Path, _consent: archive.Consent, test: bool
) -> dict[str, Any]:
    """Replace all data in Consul by a snapshot, and keep the current data; return what changed."""
    try:
        data = place.read_bytes()
    except OSError as err:
        raise errors.SwarmError(f"cannot read {place}: {err}") from err
    archive.check_snapshot(data, str(place))
    # Keep the current data: restoring an old snapshot removes newer networks that are in use.
    kept = archive.FOLDER / _name(settings, "-before-restore")
    if not test:
        client = _connect(settings)
        with host_files.whole(kept, 0o600) as file:
            file.write(_snapshot(client))
        agent_api.restore(client, data)
        # The snapshot may predate the ACLs: without its policies, the swarm is denied access.
        salt["swarm_rights.apply"]()
    return {"consul": {"old": f"as it is, kept in {kept}", "new": f"as in {place}"}}
