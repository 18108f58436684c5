"""
Manage packages with dnf and rpm, and hold them with dnf's plugin versionlock.
"""

import configparser
import contextlib
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from swarm_formula.core import errors, host_files
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Engine
from swarm_formula.daemon import package_set
from swarm_formula.package import command, dnf, rpm_version, versionlock
from swarm_formula.package.transaction import Plan, Requests, Words

_PLUGIN = Path("/etc/dnf/plugins/versionlock.conf")
_LIST = Path("/etc/dnf/plugins/versionlock.list")
# The program of dnf 4, which ``dnf`` leads to. dnf 5 has other commands, and other locks.
_PROGRAM = "dnf-3"


class Dnf:
    """The packages of a host with dnf. See ``manager.Manager``."""

    def __init__(self, _: Salt) -> None:
        """Keep what the host and the repositories have: each question takes a process."""
        self._available: dict[str, list[str]] = {}
        self._installed: dict[str, list[str]] = {}

    @property
    def words(self) -> Words:
        """The names for messages."""
        return Words(
            name="dnf",
            log="/var/log/dnf.rpm.log",
            refresh="dnf makecache --refresh",
            versions="dnf list --showduplicates",
            mend="dnf remove --duplicates",
        )

    def refuse(self, engine: Engine) -> None:
        """Raise an error for another dnf, for a hold without the plugin, and for docker.io."""
        found = shutil.which("dnf")
        if not found or Path(found).resolve().name != _PROGRAM:
            raise errors.SwarmError(
                f"this host has {'another dnf' if found else 'no dnf'}, and this formula knows dnf"
                " 4 only (RHEL 8 to 10 and their relatives): nothing was changed"
            )
        if engine["package"] == "docker.io":
            raise errors.SwarmError(
                "docker.io (swarm:engine:package) is a package of Debian and Ubuntu only: nothing"
                " was changed. Set swarm:engine:package to docker-ce, and swarm:engine:repository"
            )
        if engine["hold"] and command.run("dnf", "--quiet", "versionlock", "list").returncode:
            raise errors.SwarmError(
                "swarm:engine:hold needs dnf's plugin versionlock, which does not work on this"
                " host: nothing was changed. Run 'dnf install python3-dnf-plugin-versionlock'"
                " there, and 'dnf versionlock list' to try it; or set swarm:engine:hold to false"
            )

    def await_lock(self, host: str, limit: float, downloads: bool = False) -> None:
        """Return at once: dnf and rpm wait themselves."""

    def interrupted(self) -> bool:
        """Return false: dnf installs after an interruption."""
        return False

    def unfinished(self) -> list[str]:
        """Return the engine's packages that are installed twice."""
        names = set().union(*map(package_set.names, package_set.ENGINES))
        return [one for one in sorted(names) if len(self._here().get(one, [])) > 1]

    def finish(self) -> str:
        """Return what an administrator has to finish: dnf would touch other packages as well."""
        left = self.unfinished()
        return f"{', '.join(left)} is there in two versions" if left else ""

    def _here(self) -> dict[str, list[str]]:
        """Return the versions of all installed packages."""
        if not self._installed:
            self._installed = dnf.installed()
        return self._installed

    def _change(self, what: str, *args: str) -> None:
        """Have dnf change packages."""
        try:
            dnf.change(what, *args)
        finally:
            self._installed = {}

    def version(self, name: str) -> str:
        """Return the installed version."""
        return next(reversed(self._here().get(name, [])), "")

    def installed(self) -> Collection[str]:
        """Return the names of all packages."""
        return self._here().keys()

    def versions(self, name: str) -> list[str]:
        """Return the versions in the repositories, of all packages of an engine at once."""
        if name not in self._available:
            sets = [package_set.names(one) for one in package_set.ENGINES]
            names = next((one for one in sets if name in one), {name})
            found = dnf.available(names)
            self._available |= {one: rpm_version.newest_first(found.get(one, [])) for one in names}
        return self._available[name]

    def newest(self, name: str) -> str:
        """Return the newest version."""
        return self.versions(name)[0]

    def refresh(self) -> list[str]:
        """Return the repositories that dnf could not read."""
        self._available = {}
        return dnf.refresh()

    def simulate(self, requests: Requests) -> Plan:
        """Return what dnf would change."""
        return dnf.simulate(requests, self._here())

    def brought_by(self, names: Collection[str]) -> set[str]:
        """Return none: whatever dnf would remove is the host's."""
        return set()

    def download(self, requests: Requests) -> None:
        """Download packages; dnf keeps them until it installs something."""
        self._change("install", "--downloadonly", *dnf.words(requests))

    def install(self, requests: Requests) -> None:
        """Install packages; a version that is asked for may be an older one."""
        self._change("install", *dnf.words(requests))

    def remove(self, names: Iterable[str]) -> None:
        """Remove packages, without those that they needed: others may need them by now."""
        here = [one for one in names if self.version(one)]
        if here:
            self._change("remove", "--noautoremove", *here)

    def orphans(self) -> set[str]:
        """Return the packages that ``dnf autoremove`` would remove."""
        return dnf.unneeded()

    def held(self) -> list[str]:
        """Return the packages that are locked."""
        return versionlock.names(host_files.read(_list()) or "")

    def hold(self, name: str) -> None:
        """Lock a package to its version."""
        text = host_files.read(_list()) or ""
        host_files.write(_list(), versionlock.locked(text, name, self.version(name)))

    def unhold(self, name: str) -> None:
        """Unlock a package."""
        text = host_files.read(_list()) or ""
        host_files.write(_list(), versionlock.without(text, name))

    @contextlib.contextmanager
    def released(self, names: list[str]) -> Iterator[None]:
        """Lock packages that have another version afterwards to that one."""
        try:
            yield
        finally:
            for one in names:
                now = self.version(one)
                if not versionlock.covers(host_files.read(_list()) or "", one, now):
                    self.unhold(one)
                    if now:
                        self.hold(one)

    def restarts(self, package: str) -> bool:
        """Return whether the package restarts its daemon: all of docker.com's do."""
        return True

    def unless_installed(self, package: str, others: list[str]) -> AbstractContextManager[None]:
        """Do nothing: no engine is replaced here, and dnf removes nothing first."""
        return contextlib.nullcontext()


def _list() -> Path:
    """Return the file with the locks."""
    parser = configparser.ConfigParser()
    with contextlib.suppress(configparser.Error):
        parser.read(_PLUGIN)
    return Path(parser.get("main", "locklist", fallback=str(_LIST)))
