"""
Keep a copy of a repository that Salt's file server has, for hosts that reach no other.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from salt.utils.hashutils import get_hash

from swarm_formula.core import errors
from swarm_formula.core.settings_types import Repository

FOLDER = Path("/var/lib/swarm-formula/repository")

_SALT = "salt://"
_PATH = "swarm:engine:repository:url"


def url(repository: Repository) -> str:
    """Return the URL at which the package manager of this host finds the repository."""
    found = repository["url"] or ""
    return f"file:{FOLDER}" if found.startswith(_SALT) else found


class Copy:
    """The copy of a repository on this host, next to what the file server has."""

    def __init__(
        self, salt: Mapping[str, Any], repository: Repository, indexes: Sequence[str], host: str
    ) -> None:
        """
        indexes
            Paths in the repository: those that are there have the hashes of all other files.
        """
        self._salt, self._host = salt, host
        self._source = (repository["url"] or "").rstrip("/") + "/"
        self.wanted = self._source.startswith(_SALT)
        self._names = self._served() if self.wanted else []
        self._indexes = [one for one in indexes if one in self._names]
        if self.wanted and not self._indexes:
            raise errors.SwarmError(
                f"{self._source} ({_PATH}) has no {indexes[0]} on the file server of {host}: put"
                " the repository there, as it is where you have it from. Nothing was changed"
            )

    def _served(self) -> list[str]:
        prefix = self._source.removeprefix(_SALT)
        return [one.removeprefix(prefix) for one in self._salt["cp.list_master"](prefix=prefix)]

    def changes(self) -> dict[str, Any]:
        """Return what a copy would change, for the report."""
        if not self.wanted:
            return removed(test=True)
        have = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()}
        same = have == set(self._names) and not _former().exists()
        # One question at rest, however many packages there are.
        if same and all(map(self._is_current, self._indexes)):
            return {}
        return {str(FOLDER): {"old": "another" if have else None, "new": self._source}}

    def _is_current(self, name: str) -> bool:
        path = FOLDER / name
        if not path.is_file():
            return False
        # Nothing, if the list of the file server is older than what it has.
        told = self._salt["cp.hash_file"](self._source + name)
        return bool(told) and get_hash(str(path), told["hash_type"]) == told["hsum"]

    @contextlib.contextmanager
    def replaced(self) -> Iterator[None]:
        """Have what is served in place; after an error, what was there before."""
        new, old = _coming(), _former()
        shutil.rmtree(new, ignore_errors=True)
        _recover(old)
        if self.wanted:
            self._fetch(new)
        try:
            _swap(new, old)
            yield
        except BaseException:
            _recover(old)
            raise
        shutil.rmtree(old, ignore_errors=True)

    def _fetch(self, new: Path) -> None:
        for name in self._names:
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if self._is_current(name):
                os.link(FOLDER / name, path)
            elif not self._salt["cp.get_file"](self._source + name, str(path)):
                raise errors.SwarmError(
                    f"{self._source}{name} ({_PATH}) did not arrive on {self._host}: see the log of"
                    " its minion, and apply again. The repository is as it was"
                )


def _former() -> Path:
    """Return the folder with the former copy: while it is there, the new one was not read."""
    return FOLDER.with_name(f"{FOLDER.name}.old")


def _coming() -> Path:
    """Return the folder in which the new copy is made."""
    return FOLDER.with_name(f"{FOLDER.name}.new")


def _recover(old: Path) -> None:
    """Put a former copy back, if a run that failed or was killed has left one."""
    if old.exists():
        shutil.rmtree(FOLDER, ignore_errors=True)
        old.replace(FOLDER)
        # The first copy came after nothing.
        if not any(FOLDER.iterdir()):
            FOLDER.rmdir()


def _swap(new: Path, old: Path) -> None:
    """Have the new copy in place, if there is one, and the present one aside."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    FOLDER.replace(old)
    if new.exists():
        new.replace(FOLDER)


def removed(test: bool) -> dict[str, Any]:
    """Ensure there is no copy; return what changed."""
    # A run that was killed may have left each of them alone.
    there = [path for path in (FOLDER, _coming(), _former()) if path.exists()]
    if not there:
        return {}
    if not test:
        for path in there:
            shutil.rmtree(path, ignore_errors=True)
    return {str(FOLDER): {"old": "present", "new": None}}
