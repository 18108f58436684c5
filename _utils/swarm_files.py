"""
Files: read, and write so that there is never half a file.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import swarm_errors

RECORD = Path("/var/lib/swarm-formula/record.json")
CONFIG = Path("/etc/swarm-formula")
_LOCKS = Path("/run")


def read(path: Path) -> str | None:
    """Return a file's text, or ``None`` if there is no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as err:
        raise swarm_errors.SwarmError(f"cannot read {path}: {err}") from err


def digest(path: Path) -> str | None:
    """Return a file's SHA-256 in hex, or ``None`` if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def read_json(path: Path) -> dict:
    """Return a JSON object, ``{}`` for no file or an empty one; anything else is an error."""
    text = read(path)
    try:
        value = json.loads(text) if text and text.strip() else {}
    except ValueError as err:
        raise swarm_errors.SwarmError(f"{path} is not JSON: {err}; correct or remove it") from err
    if not isinstance(value, dict):
        raise swarm_errors.SwarmError(f"{path} holds no JSON object; correct or remove it")
    return value


def _mode(path: Path, mode: int) -> int:
    return path.stat().st_mode & 0o7777 if path.exists() else mode


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into the formula's error; the file is as it was."""
    try:
        yield
    except OSError as err:
        raise swarm_errors.SwarmError(f"cannot write {path}: {err}; it is as it was") from err


@contextlib.contextmanager
def whole(path: Path, mode: int, keep: bool = True) -> Iterator[BinaryIO]:
    """
    Give a file to write to that takes the place of ``path`` at the end; after an error there is
    none, and what was there is as it was.

    An existing file keeps its mode, unless ``keep`` is off, and a link its place: what it leads to
    is written.
    """
    with _told(path):
        path = path.resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as temporary:
                yield temporary
                temporary.flush()
                os.fsync(temporary.fileno())
            Path(name).chmod(_mode(path, mode) if keep else mode)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write(path: Path, text: str | None, mode: int = 0o644, keep: bool = True) -> None:
    """Write a file whole or not at all; ``None`` removes it."""
    if text is not None:
        with whole(path, mode, keep) as file:
            file.write(text.encode())
        return
    with _told(path):
        path.unlink(missing_ok=True)


def link(path: Path, target: str) -> None:
    """Have a symbolic link lead to ``target``, at once and without a moment in which it is gone."""
    with _told(path):
        fresh = path.with_name(f".{path.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        fresh.replace(path)


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Keep other runs on this host out of what has this lock."""
    with _LOCKS.joinpath(name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def drop_empty(folder: Path) -> None:
    """Remove a folder of ours if nothing is left in it."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def to_json(value: dict) -> str:
    """Return a dict as the text of a JSON file."""
    return json.dumps(value, indent=2) + "\n"


def record(section: str) -> dict:
    """Return what the formula has noted of its own doing on this host, so that it can be undone."""
    return read_json(RECORD).get(section, {})


def note(section: str, value: dict) -> None:
    """Note something for ``record``; an empty value drops the section, an empty record the file."""
    noted = read_json(RECORD)
    if noted.get(section, {}) == value:
        return
    noted = {key: one for key, one in {**noted, section: value}.items() if one}
    write(RECORD, to_json(noted) if noted else None, mode=0o600)
