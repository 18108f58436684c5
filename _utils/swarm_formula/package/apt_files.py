"""
Know the files with which apt learns of a repository, and have apt read it.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from swarm_formula.core import errors
from swarm_formula.core.settings_types import Repository, Settings
from swarm_formula.package import apt, apt_source, copied, dpkg

_PATH = "swarm:engine:repository"


class Files(NamedTuple):
    """The files of apt on a host. See ``sources.Files``."""

    etc: Path  # /etc/apt

    @property
    def second(self) -> str:
        """Return why a second source for one archive is refused."""
        return "apt reads neither if their keys differ"

    @property
    def key_example(self) -> str:
        """Return where Docker's key is."""
        return "https://download.docker.com/linux/debian/gpg"

    @property
    def key(self) -> Path:
        """Return the file of the key."""
        return self.etc / "keyrings/swarm-formula.asc"

    @property
    def source(self) -> Path:
        """Return the file that names the repository."""
        return self.etc / "sources.list.d/swarm-formula.sources"

    @property
    def names(self) -> dict[Path, str]:
        """Return what each file is, for reports; the key first."""
        pin = self.etc / "preferences.d/swarm-formula.pref"
        return {self.key: "key", pin: "pin", self.source: "source"}

    def indexes(self, settings: Settings, grains: Mapping[str, object]) -> list[str]:
        """Return the files of a repository that may have the hashes of its others."""
        suite = _suite(settings, grains)
        folder = suite.removeprefix(".").lstrip("/") if suite.endswith("/") else f"dists/{suite}/"
        return [f"{folder}InRelease", f"{folder}Release"]

    def texts(
        self, settings: Settings, grains: Mapping[str, object], packages: Collection[str]
    ) -> dict[Path, str]:
        """Return the text of each file but the key's."""
        repository: Repository = settings["engine"]["repository"]
        suite = _suite(settings, grains)
        host = apt_source.Host(suite, str(grains["osarch"]), str(self.key), copied.url(repository))
        _, pin, source = self.names
        return {
            pin: apt_source.preferences(repository["origin"], packages),
            source: apt_source.stanza(repository, host),
        }

    def others(self) -> list[Path]:
        """Return the files that other tools may have written."""
        every = [self.etc / "sources.list", *sorted((self.etc / "sources.list.d").glob("*.*"))]
        kinds = {".list", ".sources"}
        return [path for path in every if path.suffix in kinds and path != self.source]

    def of_archive(self, path: Path, text: str, url: str) -> list[bool]:
        """Return for each source in a file whether it is for the archive with this URL."""
        return [apt_source.same(uri, url) for uri in apt_source.uris(path.name, text)]

    def prepare(self, settings: Settings) -> None:
        """Wait until apt can be used."""
        dpkg.await_lock(settings["id"], settings["timeout"], downloads=True)

    def read(self) -> None:
        """Have apt read the repository; raise an error if it cannot."""
        apt.update(self.source)

    def knows(self, fingerprint: str) -> bool:
        """Return true: apt trusts the key for this repository only, in its file."""
        return True

    def forget(self, fingerprint: str) -> None:
        """Do nothing."""


def _suite(settings: Settings, grains: Mapping[str, object]) -> str:
    suite = settings["engine"]["repository"]["suite"] or grains.get("oscodename")
    if not suite:
        raise errors.SettingsError(
            f"{settings['id']} does not say which release it is: set {_PATH}:suite"
        )
    return str(suite)
