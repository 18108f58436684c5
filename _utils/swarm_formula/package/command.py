"""
Run a program of the host that asks nothing, and return what it said.
"""

import os
import subprocess

from swarm_formula.core import errors

# The formula's own packages take seconds; a database's post-installation script may take longer.
_LIMIT = 600


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """Run a command, with messages in English."""
    quiet = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(  # noqa: S603 - fixed arguments, no shell
            args, capture_output=True, text=True, check=False, timeout=_LIMIT, env=quiet
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        raise errors.SwarmError(f"cannot run {' '.join(args)}: {err}") from err
