"""
Install and remove the packages of the Docker Engine.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from swarm_formula.core import errors, host_files
from swarm_formula.core.settings_types import Engine, Settings
from swarm_formula.daemon import dockerd, package_set
from swarm_formula.engine import check as engine_check
from swarm_formula.engine import node_drain, restart_turn
from swarm_formula.package import first_start, hold, record
from swarm_formula.package import manager as managers
from swarm_formula.package import plan as package_plan
from swarm_formula.package.manager import Manager
from swarm_formula.package.plan import Installation
from swarm_formula.package.transaction import Requests
from swarm_formula.salt.execution import Minion
from swarm_formula.standalone import container_names

log = logging.getLogger(__name__)

# Units that deb-systemd-helper(1p) has masked, and unmasks when the package is installed again.
_MASKED = Path("/var/lib/systemd/deb-systemd-helper-masked")


class Host(NamedTuple):
    """This host: its minion, its settings, and its packages."""

    minion: Minion
    settings: Settings
    manager: Manager

    @property
    def engine(self) -> Engine:
        """Return the settings of its engine."""
        return self.settings["engine"]

    @property
    def package(self) -> str:
        """Return the package of its engine."""
        return self.engine["package"]

    def await_lock(self, downloads: bool = False) -> None:
        """Wait until no other run of the package manager works."""
        self.manager.await_lock(self.settings["id"], self.settings["timeout"], downloads)


class Present(NamedTuple):
    """The engine's package on this host."""

    version: str  # empty if it is absent
    begun: bool  # whether an installation of it was begun and has not ended


def install(minion: Minion, settings: Settings, test: bool) -> dict[str, Any]:
    """Ensure the engine's package is installed as the pillar specifies; return what changed."""
    manager = managers.of(minion)
    host = Host(minion, settings, manager)
    manager.refuse(host.engine)
    begun = record.is_begun()
    if not test:
        host.await_lock()
        if begun:
            _finish(host)
    have = manager.version(host.package)
    if have and package_plan.accepts(host.engine["version"], have):
        if begun and not test:
            record.end(manager)
        finished = {host.package: {"old": None, "new": have}} if begun else {}
        aligned = _align(host, have, test)
        return {**finished, **aligned, **hold.apply(manager, host.engine, test)}
    return _move(host, Present(have, begun), test)


def _move(host: Host, now: Present, test: bool) -> dict[str, Any]:
    """Ensure the engine's packages have another version than now; return what changed."""
    manager, engine = host.manager, host.engine
    if test and package_plan.awaits_repository(host.minion, manager, engine):
        if not now.version:
            package_plan.replaced(manager, engine)
        new = f"{engine['version'] or 'the newest'} from {engine['repository']['url']}"
        return {host.package: {"old": now.version or None, "new": new}}
    candidate, others = _acceptable(host, now, test)
    if test and now.begun and manager.interrupted():
        # apt says nothing before the installation that was begun is finished.
        return {host.package: {"old": now.version or None, "new": candidate}}
    planned = package_plan.installation(manager, engine, candidate, now.version, others)
    drained = _drains(host, now) if test else _carry_out(host, planned, now)
    held = hold.apply(manager, engine, test, planned.changes)
    return {**planned.changes, **held, **drained}


def _acceptable(host: Host, now: Present, test: bool) -> tuple[str, list[str]]:
    """
    Return the version to install, and the engines whose place it takes; raise an error if this
    host or the pillar rules it out.
    """
    salt, manager, engine = host.minion.salt, host.manager, host.engine
    if not _masked_by_removal(engine["service"]):
        # The package of an engine that nobody can start would only be left behind.
        dockerd.refuse_masked(salt, engine["service"], host.settings["id"])
    others = [] if now.version else package_plan.replaced(manager, engine)
    if not now.begun:
        record.refuse_interrupted(manager)
    if not test:
        host.await_lock(downloads=True)
    candidate = package_plan.candidate(manager, host.package, engine["version"])
    salt["swarm_engine.check"](candidate)
    return candidate, others


def _masked_by_removal(service: str) -> bool:
    """Check whether Debian masked the units of the removed package, until it is installed again."""
    return any((_MASKED / f"{service}.{kind}").exists() for kind in ("service", "socket"))


def _carry_out(host: Host, planned: Installation, now: Present) -> dict[str, Any]:
    """
    Install the engine's packages, in this host's turn if that restarts the engine; return what
    became of the drain, for the report.
    """
    manager, package = host.manager, host.package
    # An upgrade of an engine that the formula has installed brings packages as well.
    ours = now.begun or not now.version or host_files.record("engine").get("package") == package
    turn = _turn(host, now.version, planned.pkgs)
    with hold.released(manager, package, *planned.others), turn as drained:
        begun = record.begun(manager, package, planned.companions)
        kept = manager.unless_installed(package, planned.others)
        with begun if ours else contextlib.nullcontext(), kept, _put_off(host, planned, now):
            _install(host, planned)
        if planned.others:
            host.minion.salt["swarm_engine.refit"]()
    return drained


def _put_off(
    host: Host, planned: Installation, now: Present
) -> contextlib.AbstractContextManager[None]:
    """Keep a package from starting an engine that this host has not had, and that is configured."""
    if now.version or planned.others or dockerd.answers():
        return contextlib.nullcontext()
    return first_start.put_off(host.minion.salt, host.engine["service"])


def _install(host: Host, planned: Installation) -> None:
    host.manager.install(planned.pkgs)
    if not host.manager.version(host.package):
        raise errors.SwarmError(
            f"{host.package} {planned.candidate} could not be installed:"
            f" {host.manager.words.log} on that host says why"
        )


@contextlib.contextmanager
def _turn(host: Host, have: str, pkgs: Requests) -> Iterator[dict[str, Any]]:
    """Hold the turn if the package may restart the engine; yield what became of the drain."""
    minion, settings = host.minion, host.settings
    if not _restarts(host, have):
        yield {}
        return
    # The download takes longest, and therefore precedes the turn.
    host.manager.download(pkgs)
    with restart_turn.held(minion.salt, settings, minion.masterless) as held:
        yield held.changes
        dockerd.wait(settings["timeout"])


def _restarts(host: Host, have: str) -> bool:
    """Check whether the package may restart a running engine, as all but Debian's do."""
    package = host.package
    quiet = package_set.engine(package).quiet and not host.manager.restarts(package)
    return not (have and quiet) and dockerd.answers()


def _drains(host: Host, now: Present) -> dict[str, Any]:
    """Return whether the node would be drained first, for the report."""
    minion = host.minion
    if not host.engine["drain"] or not _restarts(host, now.version):
        return {}
    drained = restart_turn.foreseen(minion.salt, host.settings, minion.masterless)
    return node_drain.report(drained)


def _align(host: Host, have: str, test: bool) -> dict[str, Any]:
    """
    Ensure the packages that share the engine's version have it, if the pillar sets a version.

    Who upgrades one of them by hand, or without its hold, leaves the others behind.
    """
    manager, package = host.manager, host.package
    pkgs = package_plan.astray(manager, host.engine, have)
    if not pkgs:
        return {}
    plan = manager.simulate(pkgs)
    if plan.removed:
        return {}
    if not test:
        with hold.released(manager, package):
            manager.install(pkgs)
    return package_plan.report(package, plan)


def remove(minion: Minion, settings: Settings, test: bool) -> dict[str, Any]:
    """Remove the engine's package if this formula installed it; return what changed."""
    from swarm_formula.package import traces

    if not host_files.record("engine"):
        return {}
    salt, manager = minion.salt, managers.of(minion)
    if not test:
        _end_begun(Host(minion, settings, manager))
    noted = host_files.record("engine")
    package: str | None = noted.get("package")
    # First, because held packages are not removed.
    unheld: Engine = {**settings["engine"], "hold": False}
    changes = hold.apply(manager, unheld, test)
    have = manager.version(package) if package else None
    # With containers that are not the formula's, the engine stays.
    stays = have and not engine_check.never_ran() and container_names.others(settings, salt)
    if package and (have or noted.get("brought")) and not stays:
        if not test:
            bridges = traces.bridges(salt)
            manager.remove([package, *noted.get("companions", [])])
            # Before iptables may be removed as well.
            for error in traces.remove(salt, bridges):
                log.warning("What the engine left stays until the host restarts: %s", error)
            _remove_orphans(manager, noted.get("brought", []))
        changes[package] = {"old": have or None, "new": None}
    if not test:
        host_files.note("engine", {})
    return changes


def _finish(host: Host) -> None:
    """Finish what a killed run has left half done."""
    record.finish(host.manager)
    first_start.allow(host.minion.salt, host.engine["service"])


def _end_begun(host: Host) -> None:
    """Finish an installation that was begun, before the packages are removed."""
    host.await_lock(downloads=True)
    if record.is_begun():
        _finish(host)
        record.end(host.manager)


def _remove_orphans(manager: Manager, brought: list[str]) -> None:
    """Remove packages installed with the engine that nothing else needs, above all containerd."""
    if ours := sorted(manager.orphans() & set(brought)):
        manager.remove(ours)
