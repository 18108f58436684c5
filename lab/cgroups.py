"""Control groups that containers leave behind when they die hard."""

import os
from contextlib import suppress
from pathlib import Path


def clean(root: Path = Path("/sys/fs/cgroup")) -> None:
    """Removes Docker's groups where no process is left in any of them."""
    # With version 1 the containers inside a host stand beside it: a power cut orphans their groups.
    for group in (root / "docker", *root.glob("*/docker")):
        folders = [folder for folder, _, _ in os.walk(group, topdown=False)]
        if any(_inhabited(Path(folder)) for folder in folders):
            continue
        for folder in folders:
            with suppress(OSError):
                Path(folder).rmdir()


def _inhabited(group: Path) -> bool:
    try:
        return bool((group / "cgroup.procs").read_text().strip())
    except FileNotFoundError:
        return False
    except OSError:
        # A group of threads (version 2) does not tell; then it is not ours to remove.
        return True
