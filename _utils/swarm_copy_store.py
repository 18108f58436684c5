"""
Keep this host's encrypted copy of the CA, and its key for copies.
"""

from pathlib import Path

import swarm_ca_state
import swarm_certs
import swarm_copy
import swarm_errors
import swarm_files
import swarm_pki
import swarm_seal
from swarm_copy import Copy


def _file() -> Path:
    return swarm_files.CONFIG / "ca.sealed"


def _key_file() -> Path:
    return swarm_files.CONFIG / "sealing.key"


def is_due(settings: dict) -> bool:
    """Check whether this host keeps a copy: each manager, except for the CA itself."""
    return bool(settings["tls"]["ca"]) and settings["is_manager"] and not settings["is_ca"]


def held() -> dict:
    """Return this host's encrypted copy, ``{}`` if it has none, or a damaged one."""
    try:
        return swarm_files.read_json(_file())
    except swarm_errors.SwarmError:
        return {}


def is_kept() -> bool:
    """Check whether this host has a copy or the key for one."""
    return _file().exists() or _key_file().exists()


def drop() -> None:
    """Remove this host's copy and its key."""
    for path in (_file(), _key_file()):
        swarm_files.write(path, None)


def keep(copy: dict) -> None:
    """Replace this host's encrypted copy."""
    swarm_files.write(_file(), swarm_files.to_json(copy), mode=0o600)


def own_key() -> str:
    """Return this host's key for copies; create it if it does not exist."""
    if not (key := (swarm_files.read(_key_file()) or "").strip()):
        key = swarm_seal.new_key()
        swarm_files.write(_key_file(), f"{key}\n", mode=0o600)
    return key


def own(me: str) -> Copy | None:
    """Return this host's copy, ``None`` if it has none."""
    if not (have := held()):
        return None
    try:
        return swarm_copy.opened(me, have, own_key(), me)
    except swarm_errors.SwarmError as err:
        raise swarm_errors.SwarmError(f"{_file()} of {me} is no copy of the CA: {err}") from err


def trusted() -> list[str]:
    """Return the fingerprints of the CAs that this host's certificate trusts."""
    have = swarm_certs.NODE.read()
    return swarm_pki.fingerprints(have.ca) if have else []


def is_current(published: dict, me: str) -> bool:
    """Check whether this host's copy is good, and the CA has published no change since."""
    try:
        copy = own(me)
        # Another CA, or one from a backup, may have reached the same number.
        fits = copy and not swarm_copy.stale(copy, [published])
        return bool(fits) and held().get("published") == published.get(swarm_ca_state.SERIAL)
    except swarm_errors.SwarmError:
        return False
