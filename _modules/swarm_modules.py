"""
The formula's own modules on this minion: are they the ones that the master serves?
"""

import hashlib
from pathlib import Path

# Nothing of the formula is imported here: this runs before the others are brought, and Python keeps
# what it has once imported. The run that brings a new release would mix it with the old one.

__virtualname__ = "swarm_modules"


def __virtual__():
    return __virtualname__


def stale(manifest):
    """
    Return the files of which this minion has no copy or another one than the manifest tells.

    A sync asks the master for the hash of each file: half of all that a run with nothing to change
    costs. To look at the copies costs a millisecond.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_modules.stale '{_utils/swarm_wait.py: 5f6b...}'

    manifest
        ``{path below the formula's root: SHA-256 in hex}``, as in ``salt://swarm/manifest.json``.
    """
    folder = Path(__opts__["extension_modules"])
    return [
        name for name, digest in manifest.items() if _digest(folder / name.lstrip("_")) != digest
    ]


def _digest(path):
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
