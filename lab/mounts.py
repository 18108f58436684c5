"""Mounts of this machine: what a path lies on, and taking away a folder that has some in it."""

from pathlib import Path

from lab.run import run

_MOUNTS = Path("/proc/mounts")


def filesystem(path: str, mounts: str) -> str:
    """Returns the type of the file system a path lies on, from the text of /proc/mounts."""
    found = [line.split()[1:3] for line in mounts.splitlines()]
    under = [(point, kind) for point, kind in found if Path(path).is_relative_to(point)]
    # The longest mount point is the nearest; of two on one spot the later hides the earlier.
    return max(reversed(under), key=lambda one: len(one[0]), default=("", "unknown"))[1]


def is_overlay(path: str) -> bool:
    """Tells whether a path lies on an overlay file system."""
    return filesystem(path, _MOUNTS.read_text()) == "overlay"


def remove(folder: Path) -> None:
    """Removes a folder, also one in which something interrupted left mounts."""
    for line in reversed(_MOUNTS.read_text().splitlines()):
        target = line.split()[1]
        if target.startswith(f"{folder}/"):
            run(["umount", "-l", target], check=False)
    # A mount that would not go is never emptied.
    run(["rm", "-rf", "--one-file-system", folder], timeout=120, check=False)
