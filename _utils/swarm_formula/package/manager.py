"""
Define what the formula needs of a package manager, and choose the one of this host.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from swarm_formula.core import errors, platforms
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Engine
from swarm_formula.package import apt_manager, dnf_manager
from swarm_formula.package.transaction import Plan, Requests, Words
from swarm_formula.salt.execution import Minion


class Manager(Protocol):
    """A package manager, and the packages of this host."""

    @property
    def words(self) -> Words:
        """The package manager's names for messages."""

    def refuse(self, engine: Engine) -> None:
        """Raise an error if it cannot do what the pillar asks of it on this host."""

    def await_lock(self, host: str, limit: float, downloads: bool = False) -> None:
        """Wait until no other run of it works."""

    def interrupted(self) -> bool:
        """Return whether it installs nothing before an interrupted run is finished."""

    def unfinished(self) -> list[str]:
        """Return the packages that an interrupted run has left by half."""

    def finish(self) -> str:
        """Finish the packages of an interrupted run; return what went wrong."""

    def version(self, name: str) -> str:
        """Return the installed version of a package, empty if it is absent."""

    def installed(self) -> Collection[str]:
        """Return the names of all packages of the host."""

    def versions(self, name: str) -> list[str]:
        """Return the versions of a package that the repositories have, the newest first."""

    def newest(self, name: str) -> str:
        """Return the version of a package that it would choose by itself."""

    def refresh(self) -> list[str]:
        """Read all repositories again; return those that it could not read."""

    def simulate(self, requests: Requests) -> Plan:
        """Return what an installation would change; raise what it objects to."""

    def brought_by(self, names: Collection[str]) -> set[str]:
        """Return the packages that these installed ones need, and that nobody has asked for."""

    def download(self, requests: Requests) -> None:
        """Download the packages of an installation."""

    def install(self, requests: Requests) -> None:
        """Install these packages, and remove those whose name ends in a minus."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove packages."""

    def orphans(self) -> set[str]:
        """Return the installed packages that nobody has asked for, and that nothing needs."""

    def held(self) -> list[str]:
        """Return the packages that are held, by whomever."""

    def hold(self, name: str) -> None:
        """Hold a package at its installed version."""

    def unhold(self, name: str) -> None:
        """Release a package from its hold."""

    def released(self, names: list[str]) -> AbstractContextManager[None]:
        """Let these held packages be changed meanwhile."""

    def restarts(self, package: str) -> bool:
        """Return whether a package that may leave its daemon alone restarts it on this host."""

    def unless_installed(self, package: str, others: list[str]) -> AbstractContextManager[None]:
        """Put the packages of other engines back if the installation of this one fails."""


# By the name in ``platforms.TABLE``.
_KINDS: Mapping[str, Callable[[Salt], Manager]] = {
    "apt": apt_manager.Apt,
    "dnf": dnf_manager.Dnf,
}


def of(minion: Minion) -> Manager:
    """Return the package manager of this host; raise an error if there is none that is known."""
    if why := platforms.refusal(minion.opts["id"], minion.grains):
        raise errors.SwarmError(why)
    return _KINDS[platforms.of(minion.grains).packages](minion.salt)
