"""
Store a host's key, certificate and trusted CAs as files.

Each set has its own folder, named after a hash of the contents, and the link ``current`` points to
the newest one. New files thus have a new path in the settings of the engine and the containers,
which is enough to restart them; and the old files remain for a rollback.
"""

import hashlib
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from swarm_formula.core import host_files

# ``forgotten`` marks the newest set as untrusted; a restarting engine still reads it by the link.
_LINK, _FORGOTTEN, _NEW = "current", "forgotten", "new"
_NAMES = {
    "ca": "ca.pem",
    "cert": "cert.pem",
    "key": "key.pem",
    "gossip": "gossip",
    "clients": "clients.pem",
    "consul_ca": "consul/ca.pem",
    "consul_cert": "consul/cert.pem",
    "consul_key": "consul/key.pem",
}
_SECRET = {"key", "gossip", "consul_key"}


class Files(NamedTuple):
    """Paths of the files in a set."""

    ca: str
    cert: str
    key: str
    gossip: str
    clients: str = ""
    consul_ca: str = ""
    consul_cert: str = ""
    consul_key: str = ""

    def for_consul(self) -> "Files":
        """Return the files of the certificate for Consul, in place of the node's."""
        return self._replace(ca=self.consul_ca, cert=self.consul_cert, key=self.consul_key)

    @property
    def folder(self) -> str:
        """Return the folder of the files."""
        return str(Path(self.ca).parent)


class Set(NamedTuple):
    """
    Contents of a set, as PEM.

    ``gossip``, Consul's gossip key, is empty in a client's set. ``clients`` holds the CAs of the
    clients' certificates; it is empty if ``ca`` signs these as well. ``consul_ca`` holds the CAs of
    Consul. The certificate for Consul is in the set of a node of classic mode, and not in one of
    its own: engine, agent and manager use both, and a new set restarts them once.
    """

    ca: str
    cert: str
    key: str
    gossip: str = ""
    clients: str = ""
    consul_ca: str = ""
    consul_cert: str = ""
    consul_key: str = ""

    def for_consul(self) -> "Set | None":
        """Return the certificate for Consul in place of the node's, ``None`` if there is none."""
        if not self.consul_cert:
            return None
        return self._replace(ca=self.consul_ca, cert=self.consul_cert, key=self.consul_key)

    def without_consul(self) -> "Set":
        """Return the set without a certificate for Consul."""
        return self._replace(consul_cert="", consul_key="")


def _paths(folder: Path) -> Files:
    return Files(**{key: str(folder / name) for key, name in _NAMES.items()})


def _read(files: Files) -> Set | None:
    found = Set(*(host_files.read(Path(path)) or "" for path in files))
    return found if found.ca and found.cert and found.key else None


class Store:
    """The sets in one folder."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._promised = False  # set in test mode, which installs nothing

    @property
    def folder(self) -> Path:
        """Return the folder of the sets."""
        return host_files.CONFIG / self._name

    def current(self) -> Files:
        """Return the paths of the newest set, or of a future set if there is no valid one."""
        forgotten = (self.folder / _FORGOTTEN).exists()
        return _paths(self.folder / ((not forgotten and self._linked()) or _NEW))

    def promise(self, promised: bool) -> None:
        """Record whether test mode, which installs nothing, plans a new set."""
        self._promised = promised

    def is_promised(self) -> bool:
        """Check whether test mode plans a new set."""
        return self._promised

    def due(self, test: bool) -> Files:
        """
        Return the paths for the services: of the newest set, or in test mode of the planned one.

        Test mode thus predicts the changes that follow from a new set.
        """
        return _paths(self.folder / _NEW) if test and self._promised else self.current()

    def _linked(self) -> str | None:
        """Return the name of the set that the link points to."""
        link = self.folder / _LINK
        return os.readlink(link) if link.is_symlink() else None

    def steady(self) -> Files:
        """Return paths that never change, for services that read the files at each start."""
        return _paths(self.folder / _LINK)

    def read(self) -> Set | None:
        """Return the newest set, or ``None`` if there is none."""
        return _read(self.current())

    def kept(self) -> list[Set]:
        """Return the sets that may be in use: the newest, and older sets not removed yet."""
        linked = self._linked()
        names = [*([linked] if linked else []), *self.outdated()]
        found = [_read(_paths(self.folder / one)) for one in names]
        return [one for one in found if one]

    def install(self, new: Set) -> None:
        """Write a set, then point ``current`` to it; until then, the set is not used."""
        name = hashlib.sha256("".join(new).encode()).hexdigest()[:12]
        paths = _paths(self.folder / name)._asdict()
        for key, text in new._asdict().items():
            mode = 0o600 if key in _SECRET else 0o644
            host_files.write(Path(paths[key]), text or None, mode=mode)
        host_files.link(self.folder / _LINK, name)
        host_files.write(self.folder / _FORGOTTEN, None)

    def rekey(self, gossip: str) -> None:
        """Replace Consul's gossip key in the newest set, whose paths stay the same."""
        host_files.write(Path(self.current().gossip), gossip, mode=0o600)

    def forget(self) -> None:
        """
        Stop treating any set as the newest; services keep the files that they have read.

        The files and the link stay: an engine that restarts meanwhile, for example in a reboot,
        does not start without the certificates of its store.
        """
        if self._linked():
            host_files.write(self.folder / _FORGOTTEN, "", mode=0o600)

    def outdated(self) -> list[str]:
        """Return the names of the sets older than the newest."""
        if not self.folder.is_dir():
            return []
        keep = {self._linked(), _LINK, _FORGOTTEN}
        return sorted(one.name for one in self.folder.iterdir() if one.name not in keep)

    def drop(self, names: list[str]) -> None:
        """Remove sets that are no longer needed."""
        for name in names:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def clear(self) -> bool:
        """Remove all sets; return whether the folder existed."""
        there = self.folder.exists()
        shutil.rmtree(self.folder, ignore_errors=True)
        return there


NODE = Store("tls")
CLIENT = Store("client")
