"""
Save the data of classic mode, a snapshot of Consul, and restore it.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import swarm_acl
import swarm_archive
import swarm_errors
import swarm_files
import swarm_kv
import swarm_wait

# Seconds to wait until Consul has elected a leader.
_ELECTING = 30


def save(settings: dict, path: str | None) -> Path:
    """Write a snapshot to a new file; return its path."""
    place = swarm_archive.place(path, _name(settings))
    data = _snapshot(_connect(settings))
    swarm_archive.check_snapshot(data, "what Consul answers")
    with swarm_files.whole(place, 0o600) as file:
        file.write(data)
    return place


def _name(settings: dict, what: str = "") -> str:
    return f"classic-{settings['id']}-{swarm_archive.stamp(time.time())}{what}.snap"


def _connect(settings: dict) -> Any:
    return swarm_acl.connect(settings, settings["timeout"])


def _snapshot(client: Any) -> bytes:
    """Return a snapshot of Consul; retry while its servers elect a leader."""
    return swarm_wait.asked(lambda: swarm_kv.snapshot(client), swarm_errors.StoreError, _ELECTING)


def restore(salt: Mapping[str, Callable], settings: dict, place: Path, test: bool) -> dict:
    """Replace all data in Consul by a snapshot, and keep the current data; return what changed."""
    try:
        data = place.read_bytes()
    except OSError as err:
        raise swarm_errors.SwarmError(f"cannot read {place}: {err}") from err
    swarm_archive.check_snapshot(data, str(place))
    # Keep the current data: restoring an old snapshot removes newer networks that are in use.
    kept = swarm_archive.FOLDER / _name(settings, "-before-restore")
    if not test:
        client = _connect(settings)
        with swarm_files.whole(kept, 0o600) as file:
            file.write(_snapshot(client))
        swarm_kv.restore(client, data)
        # The snapshot may predate the ACLs: without its policies, the swarm is denied access.
        salt["swarm_rights.apply"]()
    return {"consul": {"old": f"as it is, kept in {kept}", "new": f"as in {place}"}}
