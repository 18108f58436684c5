"""
Load and save secrets, in Salt's ``sdb`` or in a file that only root can read.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from swarm_formula.core import errors, host_files

_SDB = "sdb://"


def load(
    salt: Mapping[str, Callable[..., Any]], place: str, missing: str | None = None, path: str = ""
) -> str:
    """
    Return the secret; raise an error if there is none, unless ``missing`` is given.

    path
        Pillar path of the setting that holds ``place``, for the error.
    """
    if place.startswith(_SDB):
        found = salt["sdb.get"](place)
        # If sdb does not find the secret, it returns the URI itself.
        found = None if found == place else found
    else:
        found = (host_files.read(Path(place)) or "").strip()
    if found:
        return str(found)
    if missing is not None:
        return missing
    named = f" ({path})" if path else ""
    raise errors.SwarmError(f"there is no secret in {place}{named}: put it there")


def save(salt: Mapping[str, Callable[..., Any]], place: str, secret: str) -> None:
    """Save the secret."""
    if place.startswith(_SDB):
        if salt["sdb.set"](place, secret) is False or load(salt, place, missing="") != secret:
            raise errors.SwarmError(f"{place} does not keep what is written to it")
        return
    host_files.write(Path(place), f"{secret}\n", mode=0o600)
