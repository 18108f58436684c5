"""
A host's key, certificate and trusted CAs, as files.

Each set has a folder of its own, named by what is in it, and ``current`` leads to the newest. So
whoever reads the files, engine or container, has another path in its settings once they change,
which is all that is needed for it to be started anew; and to go back, the old ones are still there.
"""

import hashlib
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import swarm_files

# That the newest set is not believed any more: an engine that restarts still reads it by the link.
_LINK, _FORGOTTEN, _NEW = "current", "forgotten", "new"
_NAMES = {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem", "gossip": "gossip"}
_MODES = (0o644, 0o644, 0o600, 0o600)


class Files(NamedTuple):
    """The paths of a set."""

    ca: str
    cert: str
    key: str
    gossip: str

    @property
    def folder(self) -> str:
        """The folder they are in."""
        return str(Path(self.ca).parent)


class Set(NamedTuple):
    """What is in a set, as PEM; the key of Consul's gossip is only in a node's of the own CA."""

    ca: str
    cert: str
    key: str
    gossip: str = ""


def _paths(folder: Path) -> Files:
    return Files(**{key: str(folder / name) for key, name in _NAMES.items()})


def _read(files: Files) -> Set | None:
    ca, cert, key, gossip = (swarm_files.read(Path(path)) for path in files)
    return Set(ca, cert, key, gossip or "") if ca and cert and key else None


class Store:
    """The sets below one folder."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._promised = False  # by a dry run, which installs nothing

    @property
    def folder(self) -> Path:
        """Where they are."""
        return swarm_files.CONFIG / self._name

    def current(self) -> Files:
        """Return the paths of the newest set; where it is going to be, if there is none yet."""
        forgotten = (self.folder / _FORGOTTEN).exists()
        return _paths(self.folder / ((not forgotten and self._linked()) or _NEW))

    def promise(self, promised: bool) -> None:
        """Note whether a dry run, which installs nothing, has promised a new set."""
        self._promised = promised

    def due(self, test: bool) -> Files:
        """
        Return the paths that services are to have: of the newest set, or in a dry run of the one
        that it has promised. So it foretells what follows from that.
        """
        return _paths(self.folder / _NEW) if test and self._promised else self.current()

    def _linked(self) -> str | None:
        """Return the name of the set that the link leads to."""
        link = self.folder / _LINK
        return os.readlink(link) if link.is_symlink() else None

    def steady(self) -> Files:
        """Return paths that stay the same: for those who read the files whenever they start."""
        return _paths(self.folder / _LINK)

    def read(self) -> Set | None:
        """Return the newest set, ``None`` if there is none."""
        return _read(self.current())

    def kept(self) -> list[Set]:
        """Return the sets that somebody may be using: the newest, and those not dropped yet."""
        linked = self._linked()
        names = [*([linked] if linked else []), *self.outdated()]
        found = [_read(_paths(self.folder / one)) for one in names]
        return [one for one in found if one]

    def install(self, new: Set) -> None:
        """Write a set, and have ``current`` lead to it; until that, nobody knows of it."""
        name = hashlib.sha256("".join(new).encode()).hexdigest()[:12]
        for path, text, mode in zip(_paths(self.folder / name), new, _MODES, strict=True):
            swarm_files.write(Path(path), text, mode=mode)
        swarm_files.link(self.folder / _LINK, name)
        swarm_files.write(self.folder / _FORGOTTEN, None)

    def forget(self) -> None:
        """
        Have no set be the newest; those who read them go on with what they have read.

        The files stay, and the link to them: an engine that restarts meanwhile, as by a reboot,
        does not start without the certificates of its store.
        """
        if self._linked():
            swarm_files.write(self.folder / _FORGOTTEN, "", mode=0o600)

    def outdated(self) -> list[str]:
        """Return the names of the sets before the newest."""
        if not self.folder.is_dir():
            return []
        keep = {self._linked(), _LINK, _FORGOTTEN}
        return sorted(one.name for one in self.folder.iterdir() if one.name not in keep)

    def drop(self, names: list[str]) -> None:
        """Remove sets that nobody needs any more."""
        for name in names:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def clear(self) -> bool:
        """Remove them all; return whether there was anything."""
        there = self.folder.exists()
        shutil.rmtree(self.folder, ignore_errors=True)
        return there


NODE = Store("tls")
CLIENT = Store("client")
