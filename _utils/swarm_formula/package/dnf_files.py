"""
Know the files with which dnf learns of a repository, and have dnf read it.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from swarm_formula.core import errors
from swarm_formula.core.settings_types import Settings
from swarm_formula.package import command, dnf, dnf_source

_PATH = "swarm:engine:repository"
_ONLY = (
    "--disablerepo=*",
    f"--enablerepo={dnf_source.PREFIX}*",
    f"--setopt={dnf_source.PREFIX}*.skip_if_unavailable=False",
)


class Files(NamedTuple):
    """The files of dnf on a host. See ``sources.Files``."""

    etc: Path

    @property
    def second(self) -> str:
        """Return why a second source for one archive is refused."""
        return "dnf would take packages from there that were not checked with this key"

    @property
    def key_example(self) -> str:
        """Return where Docker's key is."""
        return "https://download.docker.com/linux/rhel/gpg"

    @property
    def key(self) -> Path:
        """Return the file of the key."""
        return self.etc / "pki/rpm-gpg/RPM-GPG-KEY-swarm-formula"

    @property
    def source(self) -> Path:
        """Return the file that names the repository."""
        return self.etc / "yum.repos.d/swarm-formula.repo"

    @property
    def names(self) -> dict[Path, str]:
        """Return what each file is, for reports; the key first."""
        return {self.key: "key", self.source: "source"}

    def indexes(self, settings: Settings, grains: Mapping[str, object]) -> list[str]:
        """Return the files of a repository that have the hashes of its others."""
        repository, release = settings["engine"]["repository"], _release(settings, grains)
        return dnf_source.indexes(repository, release, str(grains.get("osarch")))

    def texts(
        self, settings: Settings, grains: Mapping[str, object], packages: Collection[str]
    ) -> dict[Path, str]:
        """Return the text of each file but the key's."""
        repository, release = settings["engine"]["repository"], _release(settings, grains)
        return {self.source: dnf_source.text(repository, release, str(self.key), packages)}

    def others(self) -> list[Path]:
        """Return the files that other tools may have written."""
        every = sorted((self.etc / "yum.repos.d").glob("*.repo"))
        return [path for path in every if path != self.source]

    def of_archive(self, _: Path, text: str, url: str) -> list[bool]:
        """Return for each source in a file whether it is for the archive with this URL."""
        return dnf_source.of_archive(text, url)

    def prepare(self, settings: Settings) -> None:
        """Do nothing: dnf waits itself for another one."""

    def read(self) -> None:
        """Have dnf read the repository; raise an error if it cannot."""
        done = dnf.run("makecache", "--assumeyes", "--refresh", *_ONLY)
        if done.returncode:
            raise errors.SwarmError(
                "dnf cannot read the repository (swarm:engine:repository), and nothing was changed:"
                f" {dnf.objection(done)}. If the repository has no signature of its index"
                f" (repodata/repomd.xml.asc), set {_PATH}:signed_index to false: each package is"
                " checked with the key in any case"
            )

    def knows(self, fingerprint: str) -> bool:
        """Return whether rpm trusts this key already."""
        return bool(_imported(fingerprint))

    def forget(self, fingerprint: str) -> None:
        """Have rpm no longer trust this key, which dnf imports with the first package."""
        for one in _imported(fingerprint):
            command.run("rpm", "--erase", f"gpg-pubkey-{one}")


def _release(settings: Settings, grains: Mapping[str, object]) -> str:
    release = grains.get("osmajorrelease")
    if not (settings["engine"]["repository"]["suite"] or release):
        raise errors.SettingsError(
            f"{settings['id']} does not say which release it is: set {_PATH}:suite"
        )
    return str(release)


def _imported(fingerprint: str) -> list[str]:
    """Return the versions of rpm's package for a key, which are the end of its fingerprint."""
    shape = ("--queryformat", "%{VERSION} %{VERSION}-%{RELEASE}\\n")
    shown = command.run("rpm", "--query", "gpg-pubkey", *shape)
    rows = [line.split() for line in shown.stdout.splitlines()] if not shown.returncode else []
    return [full for version, full in rows if fingerprint.lower().endswith(version.lower())]
