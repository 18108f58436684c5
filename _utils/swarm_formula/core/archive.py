"""
Write, check and unpack backups: a manager's Raft state with facts about it, or a Consul snapshot.
"""

import contextlib
import gzip
import hashlib
import io
import json
import shutil
import tarfile
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from swarm_formula.core import errors, host_files

FOLDER = Path("/var/backups/swarm-formula")
_FACTS, _STATE = "swarm-formula.json", "swarm"
# Without these, an engine does not recognize a folder as the state of a manager.
_NEEDED = (f"{_STATE}/docker-state.json", f"{_STATE}/raft", f"{_STATE}/certificates")
_SUMS, _META = "SHA256SUMS", "meta.json"
_BLOCK = 1 << 20
# Limits in bytes: a larger file is no backup of this formula, whatever size it declares.
_FACTS_LIMIT, _SNAPSHOT_LIMIT = 1 << 16, 1 << 30
_MEMBERS_LIMIT = 100_000
# Between the check and the use of an archive, the owner of its folder may have replaced it. So each
# member is checked again when it is used. No member needs mode bits other than these.
_MODES = 0o777
_UNREADABLE = (OSError, EOFError, ValueError, tarfile.TarError, zlib.error)


def stamp(now: float) -> str:
    """Return a time in UTC, in the format of the file names."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))


def place(path: str | None, name: str) -> Path:
    """
    Return the path of a new backup; raise an error if there is such a file.

    name
        The name of the file in ``FOLDER`` if no ``path`` is given.
    """
    found = Path(path) if path else FOLDER / name
    if not found.is_absolute():
        raise errors.SwarmError(f"path: {path} is not absolute")
    if found.exists():
        raise errors.SwarmError(f"path: {found} is there already; nothing was written")
    return found


def described(path: Path) -> dict[str, str | int | None]:
    """Return the path of a backup, its size in bytes, and its SHA-256."""
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "sha256": host_files.digest(path),
    }


def pack(state: Path, path: Path, facts: Mapping[str, Any]) -> None:
    """Write the folder ``state`` and facts about it to an archive that only root can read."""
    note = json.dumps(facts).encode()
    entry = tarfile.TarInfo(_FACTS)
    entry.size, entry.mode = len(note), 0o600
    with host_files.whole(path, 0o600) as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        archive.addfile(entry, io.BytesIO(note))
        archive.add(state, _STATE)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Yield an archive that is open for ``read`` and ``unpack``: both get the same file."""
    try:
        file = path.open("rb")
    except OSError as err:
        raise errors.SwarmError(f"{path} is no backup that can be read: {err}") from err
    with file:
        yield file


def read(path: Path, file: BinaryIO | None = None) -> dict[str, Any]:
    """Return the facts of an archive after reading and checking all of it."""
    try:
        with gzip.open(_start(file) or path) as stream:
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                found = dict(_contents(archive))
            # Read to the end, where the gzip checksum is: tar stops earlier.
            while stream.read(_BLOCK):
                pass
    except _UNREADABLE as err:
        raise errors.SwarmError(f"{path} is no backup that can be read: {err}") from err
    missing = [one for one in (_FACTS, *_NEEDED) if one not in found]
    if missing:
        raise errors.SwarmError(
            f"{path} is no backup of a manager's state: {', '.join(missing)} missing in it"
        )
    try:
        facts = json.loads(found[_FACTS])
    except ValueError as err:
        raise errors.SwarmError(f"{_FACTS} in {path} is not JSON: {err}") from err
    if not isinstance(facts, dict) or not {"cluster", "engine", "locked", "managers"} <= set(facts):
        raise errors.SwarmError(f"{_FACTS} in {path} does not say of what it is a backup")
    return facts


def _start(file: BinaryIO | None) -> BinaryIO | None:
    if file:
        file.seek(0)
    return file


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members that may be unpacked; raise an error for any other."""
    for count, member in enumerate(archive):
        if count >= _MEMBERS_LIMIT:
            raise ValueError(f"it has more than {_MEMBERS_LIMIT} members")
        inside = Path(member.name)
        if inside.is_absolute() or ".." in inside.parts or not (member.isfile() or member.isdir()):
            raise ValueError(f"{member.name} does not belong there")
        if member.name == _FACTS and member.size > _FACTS_LIMIT:
            raise ValueError(f"{member.name} is too large")
        yield member


def _contents(archive: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    """Yield the name of each member, with the content of the facts file."""
    for member in _members(archive):
        ours = archive.extractfile(member) if member.name == _FACTS else None
        yield member.name, ours.read() if ours else b""


def _extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Extract an archive to a folder, with root as owner, as long as the disk has room for it."""
    room = shutil.disk_usage(folder).free
    archive.extraction_filter = lambda member, _: member
    for member in _members(archive):
        room -= member.size
        if room < 0:
            raise OSError(f"{member.name} has {member.size} bytes: there is no room for it")
        member.mode &= _MODES
        member.uid, member.gid, member.uname, member.gname = 0, 0, "", ""
        archive.extract(member, folder)


def unpack(path: Path, state: Path, now: float, file: BinaryIO | None = None) -> Path | None:
    """
    Replace the folder ``state`` by an archive's state; return the path of the old folder.

    Call this after ``read`` has checked the archive, while the engine is stopped. If the disk is
    full, the old folder stays in place.
    """
    new = state.with_name(f"{state.name}.restore")
    shutil.rmtree(new, ignore_errors=True)
    try:
        new.mkdir(mode=0o700)
        with tarfile.open(path, "r:gz", fileobj=_start(file)) as archive:
            _extract(archive, new)
        kept = None
        if state.exists():
            kept = state.rename(state.with_name(f"{state.name}.before-{stamp(now)}"))
        (new / _STATE).rename(state)
    except _UNREADABLE as err:
        raise errors.SwarmError(
            f"cannot restore {path} to {state}: {err}; what was there is there or beside it"
        ) from err
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return kept


def _unzipped(data: bytes) -> bytes:
    with gzip.open(io.BytesIO(data)) as stream:
        found = stream.read(_SNAPSHOT_LIMIT + 1)
    if len(found) > _SNAPSHOT_LIMIT:
        raise ValueError(f"it has more than {_SNAPSHOT_LIMIT} bytes")
    return found


def check_snapshot(data: bytes, what: str) -> None:
    """Raise an error unless this is a complete Consul snapshot, verified by its own checksums."""
    try:
        with tarfile.open(fileobj=io.BytesIO(_unzipped(data))) as archive:
            files = {
                one.name: content.read()
                for one in archive
                if one.isfile() and (content := archive.extractfile(one))
            }
        lines = [line.split() for line in files[_SUMS].decode().splitlines()]
        sums = {name: want for want, name in lines}
        bad = [
            name for name, want in sums.items() if hashlib.sha256(files[name]).hexdigest() != want
        ]
    except (*_UNREADABLE, KeyError) as err:
        raise errors.SwarmError(f"{what} is no snapshot of Consul: {err!r}") from err
    if bad or _META not in sums:
        raise errors.SwarmError(
            f"{what} is damaged: {', '.join(bad) or _META} is not what its checksum says"
        )
