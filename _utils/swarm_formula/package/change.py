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
from swarm_formula.engine import node_drain, restart_turn
from swarm_formula.package import apt, dpkg, hold, put_back, record
from swarm_formula.package import plan as package_plan
from swarm_formula.package.plan import Installation
from swarm_formula.salt.execution import Minion
from swarm_formula.standalone import container_names

log = logging.getLogger(__name__)

# Units that deb-systemd-helper(1p) has masked, and unmasks when the package is installed again.
_MASKED = Path("/var/lib/systemd/deb-systemd-helper-masked")


class Present(NamedTuple):
    """The engine's package on this host."""

    version: str  # empty if it is absent
    begun: bool  # whether an installation of it was begun and has not ended


def install(minion: Minion, settings: Settings, test: bool) -> dict[str, Any]:
    """Ensure the engine's package is installed as the pillar specifies; return what changed."""
    salt, engine = minion.salt, settings["engine"]
    begun = record.is_begun()
    if not test:
        dpkg.await_lock(settings["id"], settings["timeout"])
        if begun:
            record.finish()
    have = salt["pkg.version"](engine["package"])
    if have and package_plan.accepts(engine["version"], have):
        if begun and not test:
            record.end(salt)
        finished = {engine["package"]: {"old": None, "new": have}} if begun else {}
        aligned = _align(minion, engine, have, test)
        return {**finished, **aligned, **hold.apply(salt, engine, test)}
    return _move(minion, settings, Present(have, begun), test)


def _move(minion: Minion, settings: Settings, now: Present, test: bool) -> dict[str, Any]:
    """Ensure the engine's packages have another version than now; return what changed."""
    salt, engine = minion.salt, settings["engine"]
    if test and package_plan.awaits_repository(salt, engine):
        if not now.version:
            package_plan.replaced(salt, engine)
        new = f"{engine['version'] or 'the newest'} from {engine['repository']['url']}"
        return {engine["package"]: {"old": now.version or None, "new": new}}
    candidate, others = _acceptable(minion, settings, now, test)
    if test and now.begun and dpkg.interrupted():
        # apt says nothing before the installation that was begun is finished.
        return {engine["package"]: {"old": now.version or None, "new": candidate}}
    planned = package_plan.installation(salt, engine, candidate, now.version, others)
    drained = _drains(minion, settings, now) if test else _carry_out(minion, settings, planned, now)
    held = hold.apply(salt, engine, test, planned.changes)
    return {**planned.changes, **held, **drained}


def _acceptable(
    minion: Minion, settings: Settings, now: Present, test: bool
) -> tuple[str, list[str]]:
    """
    Return the version to install, and the engines whose place it takes; raise an error if this
    host or the pillar rules it out.
    """
    salt, engine = minion.salt, settings["engine"]
    if not _masked_by_removal(engine["service"]):
        # The package of an engine that nobody can start would only be left behind.
        dockerd.refuse_masked(salt, engine["service"], settings["id"])
    others = [] if now.version else package_plan.replaced(salt, engine)
    if not now.begun:
        record.refuse_interrupted()
    if not test:
        dpkg.await_lock(settings["id"], settings["timeout"], downloads=True)
    candidate = package_plan.candidate(salt, engine["package"], engine["version"])
    salt["swarm_engine.check"](candidate)
    return candidate, others


def _masked_by_removal(service: str) -> bool:
    """Check whether Debian masked the units of the removed package, until it is installed again."""
    return any((_MASKED / f"{service}.{kind}").exists() for kind in ("service", "socket"))


def _carry_out(
    minion: Minion, settings: Settings, planned: Installation, now: Present
) -> dict[str, Any]:
    """
    Install the engine's packages, in this host's turn if that restarts the engine; return what
    became of the drain, for the report.
    """
    salt, package = minion.salt, settings["engine"]["package"]
    # An upgrade of an engine that the formula has installed brings packages as well.
    ours = now.begun or not now.version or host_files.record("engine").get("package") == package
    turn = _turn(minion, settings, now.version, planned.pkgs)
    with hold.released(salt, package, *planned.others), turn as drained:
        begun = record.begun(salt, package, planned.companions)
        kept = put_back.unless_installed(salt, package, planned.others)
        with begun if ours else contextlib.nullcontext(), kept:
            _install(minion, package, planned)
        if planned.others:
            salt["swarm_engine.refit"]()
    return drained


def _install(minion: Minion, package: str, planned: Installation) -> None:
    # Without recommended packages: needrestart is among them and restarts daemons on its own.
    minion.salt["pkg.install"](pkgs=planned.pkgs, install_recommends=False, refresh=False)
    if not minion.salt["pkg.version"](package):
        raise errors.SwarmError(
            f"{package} {planned.candidate} could not be installed: /var/log/apt/term.log on that"
            " host says why"
        )


@contextlib.contextmanager
def _turn(
    minion: Minion, settings: Settings, have: str, pkgs: list[str | dict[str, str]]
) -> Iterator[dict[str, Any]]:
    """Hold the turn if the package may restart the engine; yield what became of the drain."""
    if not _restarts(settings, have):
        yield {}
        return
    # The download takes longest, and therefore precedes the turn.
    minion.salt["pkg.install"](
        pkgs=pkgs, install_recommends=False, refresh=False, downloadonly=True
    )
    with restart_turn.held(minion.salt, settings, minion.masterless) as held:
        yield held.changes
        dockerd.wait(settings["timeout"])


def _restarts(settings: Settings, have: str) -> bool:
    """Check whether the package may restart a running engine, as all but Debian's do."""
    package = settings["engine"]["package"]
    quiet = package_set.engine(package).quiet and not dpkg.restarts(package)
    return not (have and quiet) and dockerd.answers()


def _drains(minion: Minion, settings: Settings, now: Present) -> dict[str, Any]:
    """Return whether the node would be drained first, for the report."""
    if not settings["engine"]["drain"] or not _restarts(settings, now.version):
        return {}
    drained = restart_turn.foreseen(minion.salt, settings, minion.masterless)
    return node_drain.report(drained)


def _align(minion: Minion, engine: Engine, have: str, test: bool) -> dict[str, Any]:
    """
    Ensure the packages that share the engine's version have it, if the pillar sets a version.

    Who upgrades one of them by hand, or without its hold, leaves the others behind.
    """
    salt, package = minion.salt, engine["package"]
    pkgs = package_plan.astray(salt, engine, have)
    if not pkgs:
        return {}
    plan = apt.simulate(pkgs)
    if plan.removed:
        return {}
    if not test:
        with hold.released(salt, package):
            salt["pkg.install"](pkgs=pkgs, install_recommends=False, refresh=False)
    return package_plan.report(package, plan)


def remove(minion: Minion, settings: Settings, test: bool) -> dict[str, Any]:
    """Remove the engine's package if this formula installed it; return what changed."""
    from swarm_formula.package import traces

    salt = minion.salt
    if not test:
        _end_begun(minion, settings)
    noted = host_files.record("engine")
    package: str | None = noted.get("package")
    # First, because apt does not remove held packages.
    unheld: Engine = {**settings["engine"], "hold": False}
    changes = hold.apply(salt, unheld, test)
    have = salt["pkg.version"](package) if package else None
    # With containers that are not the formula's, the engine stays.
    stays = have and container_names.others(settings, salt)
    if package and (have or noted.get("brought")) and not stays:
        if not test:
            bridges = traces.bridges(salt)
            salt["pkg.remove"](pkgs=[package, *noted.get("companions", [])])
            # Before iptables may be removed as well.
            for error in traces.remove(salt, bridges):
                log.warning("What the engine left stays until the host restarts: %s", error)
            _remove_orphans(minion, noted.get("brought", []))
        changes[package] = {"old": have or None, "new": None}
    if not test:
        host_files.note("engine", {})
    return changes


def _end_begun(minion: Minion, settings: Settings) -> None:
    """Finish an installation that was begun, before the packages are removed."""
    if host_files.record("engine"):
        dpkg.await_lock(settings["id"], settings["timeout"], downloads=True)
    if record.is_begun():
        record.finish()
        record.end(minion.salt)


def _remove_orphans(minion: Minion, brought: list[str]) -> None:
    """Remove packages installed with the engine that nothing else needs, above all containerd."""
    orphans = set(minion.salt["pkg.autoremove"](list_only=True))
    if ours := sorted(orphans & set(brought)):
        minion.salt["pkg.remove"](pkgs=ours)
