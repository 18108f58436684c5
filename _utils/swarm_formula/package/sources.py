"""
Define what the formula needs to know of the files that name a repository, and choose those of this
host.
"""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol

from swarm_formula.core import errors, platforms
from swarm_formula.core.settings_types import Settings
from swarm_formula.package import apt_files, dnf_files


class Files(Protocol):
    """The files with which a package manager learns of a repository."""

    @property
    def second(self) -> str:
        """Return why a second source for one archive is refused."""

    @property
    def key_example(self) -> str:
        """Return where Docker's key is."""

    @property
    def key(self) -> Path:
        """Return the file of the key."""

    @property
    def names(self) -> Mapping[Path, str]:
        """Return what each file is, for reports; the key first."""

    def indexes(self, settings: Settings, grains: Mapping[str, object]) -> list[str]:
        """Return the files of a repository that may have the hashes of its others."""

    def texts(
        self, settings: Settings, grains: Mapping[str, object], packages: Collection[str]
    ) -> dict[Path, str]:
        """Return the text of each file but the key's."""

    def others(self) -> list[Path]:
        """Return the files that other tools may have written."""

    def of_archive(self, path: Path, text: str, url: str) -> list[bool]:
        """Return for each source in a file whether it is for the archive with this URL."""

    def prepare(self, settings: Settings) -> None:
        """Wait until the package manager can be used."""

    def read(self) -> None:
        """Have the repository read; raise an error if it cannot be."""

    def knows(self, fingerprint: str) -> bool:
        """Return whether the package manager trusts this key without the formula."""

    def forget(self, fingerprint: str) -> None:
        """Have the package manager no longer trust this key."""


def of(grains: Mapping[str, object], etc: Path, apt: Path) -> Files:
    """Return the files of this host; raise an error if its family has none that are known."""
    if why := platforms.refusal(str(grains.get("id")), grains):
        raise errors.SwarmError(why)
    kinds: Mapping[str, Callable[[], Files]] = {
        "apt": lambda: apt_files.Files(apt),
        "dnf": lambda: dnf_files.Files(etc),
    }
    return kinds[platforms.of(grains).packages]()
