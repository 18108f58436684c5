"""Kernel limits of the machine that several systemds and engines soon use up."""

import json
from pathlib import Path

from lab.config import Settings

# Each host's systemd, engine and Salt watch files; Debian's default of 128 ends at four hosts.
WANTED = {
    "fs/inotify/max_user_instances": 4096,
    "fs/inotify/max_user_watches": 524288,
    "net/ipv4/ip_forward": 1,
}
_PROC = Path("/proc/sys")


def apply(settings: Settings) -> None:
    """Raises the limits that are too low, and remembers what they were."""
    before = {key: int((_PROC / key).read_text()) for key in WANTED}
    raised = {key: old for key, old in before.items() if old < WANTED[key]}
    if raised:
        _memory(settings).parent.mkdir(parents=True, exist_ok=True)
        _memory(settings).write_text(json.dumps(raised))
    for key in raised:
        (_PROC / key).write_text(str(WANTED[key]))


def undo(settings: Settings) -> None:
    """Puts the limits back."""
    memory = _memory(settings)
    if memory.exists():
        for key, old in json.loads(memory.read_text()).items():
            (_PROC / key).write_text(str(old))
        memory.unlink()


def _memory(settings: Settings) -> Path:
    return settings.engine / "limits.json"
