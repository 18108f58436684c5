"""
Keep this host's encrypted copy of the CA, and its key for copies.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm_formula.core import errors, host_files, pem_text
from swarm_formula.core.settings_types import Settings
from swarm_formula.tls import ca_state, cert_files

if TYPE_CHECKING:
    from swarm_formula.tls.ca_copy import Copy


def _file() -> Path:
    return host_files.CONFIG / "ca.sealed"


def _key_file() -> Path:
    return host_files.CONFIG / "sealing.key"


def is_due(settings: Settings) -> bool:
    """Check whether this host keeps a copy: each manager, except for the CA itself."""
    return bool(settings["tls"]["ca"]) and settings["is_manager"] and not settings["is_ca"]


def held() -> dict[str, Any]:
    """Return this host's encrypted copy, ``{}`` if it has none, or a damaged one."""
    try:
        return host_files.read_json(_file())
    except errors.SwarmError:
        return {}


def is_kept() -> bool:
    """Check whether this host has a copy or the key for one."""
    return _file().exists() or _key_file().exists()


def drop() -> None:
    """Remove this host's copy and its key."""
    for path in (_file(), _key_file()):
        host_files.write(path, None)


def keep(copy: dict[str, Any]) -> None:
    """Replace this host's encrypted copy."""
    host_files.write(_file(), host_files.to_json(copy), mode=0o600)


def own_key() -> str:
    """Return this host's key for copies; create it if it does not exist."""
    from swarm_formula.tls import seal

    if not (key := (host_files.read(_key_file()) or "").strip()):
        key = seal.new_key()
        host_files.write(_key_file(), f"{key}\n", mode=0o600)
    return key


def own(me: str) -> "Copy | None":
    """Return this host's copy, ``None`` if it has none."""
    from swarm_formula.tls import ca_copy

    if not (have := held()):
        return None
    try:
        return ca_copy.opened(me, have, own_key(), me)
    except errors.SwarmError as err:
        raise errors.SwarmError(f"{_file()} of {me} is no copy of the CA: {err}") from err


def trusted() -> list[str]:
    """Return the fingerprints of the CAs that this host's certificate trusts."""
    have = cert_files.NODE.read()
    return pem_text.fingerprints(have.ca) if have else []


def is_current(published: dict[str, Any], me: str) -> bool:
    """Check whether this host's copy is good, and the CA has published no change since."""
    from swarm_formula.tls import ca_copy

    try:
        copy = own(me)
        # Another CA, or one from a backup, may have reached the same number.
        fits = copy and not ca_copy.stale(copy, [published])
        return bool(fits) and held().get("published") == published.get(ca_state.SERIAL)
    except errors.SwarmError:
        return False
