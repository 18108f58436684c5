"""
Manage packages with apt and dpkg, through Salt's functions where it has them.
"""

import contextlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Engine
from swarm_formula.package import apt, dpkg, put_back
from swarm_formula.package.transaction import Plan, Requests, Words


class Apt(NamedTuple):
    """The packages of a host with apt. See ``manager.Manager``."""

    salt: Salt

    @property
    def words(self) -> Words:
        """The names for messages."""
        return Words(
            name="apt",
            log="/var/log/apt/term.log",
            refresh="apt-get update",
            versions="apt-cache madison",
            mend="apt-get --fix-broken install",
        )

    def refuse(self, engine: Engine) -> None:
        """Refuse nothing."""

    def await_lock(self, host: str, limit: float, downloads: bool = False) -> None:
        """Wait until no dpkg runs, and with ``downloads`` no apt either."""
        dpkg.await_lock(host, limit, downloads)

    def interrupted(self) -> bool:
        """Return whether dpkg was killed."""
        return dpkg.interrupted()

    def unfinished(self) -> list[str]:
        """Return the packages that are neither installed nor removed."""
        return dpkg.unfinished()

    def finish(self) -> str:
        """Configure what is unpacked, install again what was unpacked by half."""
        return dpkg.finish()

    def version(self, name: str) -> str:
        """Return the installed version."""
        found: str = self.salt["pkg.version"](name)
        return found

    def installed(self) -> Collection[str]:
        """Return the names of all packages."""
        found: Collection[str] = self.salt["pkg.list_pkgs"]().keys()
        return found

    def versions(self, name: str) -> list[str]:
        """Return the versions in the repositories."""
        found: list[str] = self.salt["pkg.list_repo_pkgs"](name).get(name, [])
        return found

    def newest(self, name: str) -> str:
        """Return the candidate, which pins may have chosen."""
        found: str = self.salt["pkg.latest_version"](name, refresh=False)
        return found

    def refresh(self) -> list[str]:
        """Return the repositories that apt could not read."""
        read = self.salt["pkg.refresh_db"]() or {}
        return sorted(name for name, success in read.items() if success is False)

    def simulate(self, requests: Requests) -> Plan:
        """Return what apt would change."""
        return apt.simulate(requests)

    def brought_by(self, names: Collection[str]) -> set[str]:
        """Return the automatically installed packages among the dependencies of these."""
        return apt.brought_by(names)

    def download(self, requests: Requests) -> None:
        """Download packages."""
        self._install(requests, downloadonly=True)

    def install(self, requests: Requests) -> None:
        """Install packages."""
        self._install(requests)

    def _install(self, requests: Requests, **more: bool) -> None:
        # Without recommended packages: needrestart is among them and restarts daemons on its own.
        self.salt["pkg.install"](pkgs=requests, install_recommends=False, refresh=False, **more)

    def remove(self, names: Iterable[str]) -> None:
        """Remove packages."""
        self.salt["pkg.remove"](pkgs=list(names))

    def orphans(self) -> set[str]:
        """Return the packages that ``apt-get autoremove`` would remove."""
        return set(self.salt["pkg.autoremove"](list_only=True))

    def held(self) -> list[str]:
        """Return the packages that dpkg has selected to hold."""
        found: list[str] = self.salt["pkg.get_selections"](state="hold").get("hold", [])
        return found

    def hold(self, name: str) -> None:
        """Hold a package."""
        self.salt["pkg.hold"](name=name)

    def unhold(self, name: str) -> None:
        """Release a package."""
        self.salt["pkg.unhold"](name=name)

    @contextlib.contextmanager
    def released(self, names: list[str]) -> Iterator[None]:
        """Release packages meanwhile: apt changes none that is held."""
        for one in names:
            self.unhold(one)
        try:
            yield
        finally:
            for one in names:
                if self.version(one):
                    self.hold(one)

    def restarts(self, package: str) -> bool:
        """Return the answer to debconf's question."""
        return dpkg.restarts(package)

    def unless_installed(self, package: str, others: list[str]) -> AbstractContextManager[None]:
        """Put the packages back that apt has removed first."""
        return put_back.unless_installed(self.salt, package, others)
