"""
Read files, write them atomically, and lock them.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO

from swarm_formula.core import errors, wait

RECORD = Path("/var/lib/swarm-formula/record.json")
CONFIG = Path("/etc/swarm-formula")
_LOCKS = Path("/run")
_PROC_LOCKS = Path("/proc/locks")
# Seconds to wait for a lock: its holder may make several changes, each within swarm:timeout.
_LOCK_LIMIT = 600
# Never advise removing the file: it may hold the swarm's CA, an engine's data-root, or logins.
_MEND = "correct the file or put back a good copy of it; nothing was changed"


def read(path: Path, newline: str | None = None) -> str | None:
    """
    Return a file's text, or ``None`` if the file does not exist.

    newline
        As for ``open``: ``""`` keeps the ends of lines as they are in the file.
    """
    try:
        with path.open(encoding="utf-8", newline=newline) as file:
            return file.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as err:
        raise errors.SwarmError(f"cannot read {path}: {err}") from err


def digest(path: Path) -> str | None:
    """Return a file's SHA-256 in hex, or ``None`` if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object, ``{}`` if the file is missing or empty; anything else is an error."""
    text = read(path)
    try:
        value = json.loads(text) if text and text.strip() else {}
    except ValueError as err:
        raise errors.SwarmError(f"{path} is not JSON: {err}; {_MEND}") from err
    if not isinstance(value, dict):
        raise errors.SwarmError(f"{path} holds no JSON object; {_MEND}")
    return value


def _own(new: Path, old: Path | None, mode: int) -> None:
    """Give a new file the owner and the mode of the old one; without an old one, this mode."""
    if old and old.exists():
        stat = old.stat()
        os.chown(new, stat.st_uid, stat.st_gid)
        mode = stat.st_mode & 0o7777
    new.chmod(mode)


def _make(folder: Path) -> None:
    """Create a folder with mode 0755, whatever the umask: file modes protect secrets."""
    for one in reversed([folder, *folder.parents]):
        if not one.is_dir():
            one.mkdir(exist_ok=True)
            one.chmod(0o755)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` while writing into the formula's error; the file is unchanged."""
    try:
        yield
    except OSError as err:
        raise errors.SwarmError(f"cannot write {path}: {err}; it is as it was") from err


@contextlib.contextmanager
def whole(path: Path, mode: int, keep: bool = True) -> Iterator[BinaryIO]:
    """
    Yield a temporary file that replaces ``path`` at the end; after an error it is removed, and
    ``path`` is unchanged.

    An existing file keeps its mode and owner, unless ``keep`` is false. If ``path`` is a symbolic
    link, the link stays and its target is replaced.
    """
    with _told(path):
        path = path.resolve()
        _make(path.parent)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as temporary:
                yield temporary
                temporary.flush()
                os.fsync(temporary.fileno())
            _own(Path(name), path if keep else None, mode)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write(path: Path, text: str | None, mode: int = 0o644, keep: bool = True) -> None:
    """Write a file atomically; ``None`` removes it."""
    if text is not None:
        with whole(path, mode, keep) as file:
            file.write(text.encode())
        return
    with _told(path):
        path.unlink(missing_ok=True)


def link(path: Path, target: str) -> None:
    """Point a symbolic link to ``target`` atomically: an existing link is never missing."""
    with _told(path):
        fresh = path.with_name(f".{path.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        fresh.replace(path)


@contextlib.contextmanager
def alone(name: str, limit: float = _LOCK_LIMIT) -> Iterator[None]:
    """Hold a lock against other runs on this host; wait for it up to ``limit`` seconds."""
    path = _LOCKS / name
    # Only for root: any user who can open the file can also hold the lock.
    handle = os.open(path, os.O_RDWR | os.O_CREAT, mode=0o600)
    with os.fdopen(handle) as lock:
        os.fchmod(handle, 0o600)
        wait.until(lambda: _locked(lock, path), limit, fixed=True)
        yield


def mark(name: str, when: float) -> None:
    """Save a time of the monotonic clock where a restart of the host removes it."""
    write(_LOCKS / name, f"{when}\n", mode=0o600)


def marked(name: str) -> float:
    """Return the time that was saved last, minus infinity without one."""
    try:
        return float(read(_LOCKS / name) or "-inf")
    except ValueError:
        return float("-inf")


def _locked(lock: IO[str], path: Path) -> str | None:
    """Take a lock; return which process holds it, ``None`` if it was taken."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pid = _holder(os.fstat(lock.fileno()).st_ino)
        return f"{path} is locked by {pid}: another run of Salt is at work, or look at that process"
    return None


def _holder(inode: int) -> str:
    """Return the process, with its command, that holds a lock on a file, from /proc/locks."""
    for line in (read(_PROC_LOCKS) or "").splitlines():
        # 1: FLOCK  ADVISORY  WRITE 1234 00:18:5678 0 EOF
        fields = line.split()
        if "->" not in fields and fields[5].rpartition(":")[2] == str(inode):
            command = (read(Path("/proc", fields[4], "cmdline")) or "").replace("\0", " ").strip()
            return f"process {fields[4]} ({command[:80] or 'it has ended'})"
    return "a process that /proc/locks does not show"


def drop_empty(folder: Path) -> None:
    """Remove one of the formula's folders if it is empty."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def to_json(value: Mapping[str, Any]) -> str:
    """Return a dict as the text of a JSON file."""
    return json.dumps(value, indent=2) + "\n"


def record(section: str) -> dict[str, Any]:
    """Return a section of the record: what the formula has changed here, so that it can undo it."""
    found: dict[str, Any] = read_json(RECORD).get(section, {})
    return found


def note(section: str, value: Mapping[str, Any]) -> None:
    """Save a section of the record; an empty section is removed, and so is an empty record."""
    noted = read_json(RECORD)
    if noted.get(section, {}) == value:
        return
    noted = {key: one for key, one in {**noted, section: value}.items() if one}
    write(RECORD, to_json(noted) if noted else None, mode=0o600)
