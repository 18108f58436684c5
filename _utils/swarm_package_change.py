"""
Install and remove the packages of the Docker Engine.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import swarm_apt
import swarm_dockerd
import swarm_dpkg
import swarm_engine_drain
import swarm_engine_turn
import swarm_errors
import swarm_files
import swarm_names
import swarm_package_hold
import swarm_package_plan
import swarm_package_record
import swarm_package_set
import swarm_traces
from swarm_minion import Minion
from swarm_package_plan import Installation

log = logging.getLogger(__name__)

# Units that deb-systemd-helper(1p) has masked, and unmasks when the package is installed again.
_MASKED = Path("/var/lib/systemd/deb-systemd-helper-masked")


class Present(NamedTuple):
    """The engine's package on this host."""

    version: str  # empty if it is absent
    begun: bool  # whether an installation of it was begun and has not ended


def install(minion: Minion, settings: dict, test: bool) -> dict:
    """Ensure the engine's package is installed as the pillar specifies; return what changed."""
    salt, engine = minion.salt, settings["engine"]
    begun = swarm_package_record.is_begun()
    if not test:
        swarm_dpkg.await_lock(settings["id"], settings["timeout"])
        if begun:
            swarm_package_record.finish()
    have = salt["pkg.version"](engine["package"])
    if have and swarm_package_plan.accepts(engine["version"], have):
        if begun and not test:
            swarm_package_record.end(salt)
        finished = {engine["package"]: {"old": None, "new": have}} if begun else {}
        aligned = _align(minion, engine, have, test)
        return {**finished, **aligned, **swarm_package_hold.apply(salt, engine, test)}
    return _move(minion, settings, Present(have, begun), test)


def _move(minion: Minion, settings: dict, now: Present, test: bool) -> dict:
    """Ensure the engine's packages have another version than now; return what changed."""
    salt, engine = minion.salt, settings["engine"]
    if test and swarm_package_plan.awaits_repository(salt, engine):
        if not now.version:
            swarm_package_plan.replaced(salt, engine)
        new = f"{engine['version'] or 'the newest'} from {engine['repository']['url']}"
        return {engine["package"]: {"old": now.version or None, "new": new}}
    candidate, others = _acceptable(minion, settings, now, test)
    if test and now.begun and swarm_dpkg.interrupted():
        # apt says nothing before the installation that was begun is finished.
        return {engine["package"]: {"old": now.version or None, "new": candidate}}
    planned = swarm_package_plan.installation(salt, engine, candidate, now.version, others)
    drained = _drains(minion, settings, now) if test else _carry_out(minion, settings, planned, now)
    held = swarm_package_hold.apply(salt, engine, test, planned.changes)
    return {**planned.changes, **held, **drained}


def _acceptable(minion: Minion, settings: dict, now: Present, test: bool) -> tuple[str, list[str]]:
    """
    Return the version to install, and the engines whose place it takes; raise an error if this
    host or the pillar rules it out.
    """
    salt, engine = minion.salt, settings["engine"]
    if not _masked_by_removal(engine["service"]):
        # The package of an engine that nobody can start would only be left behind.
        swarm_dockerd.refuse_masked(salt, engine["service"], settings["id"])
    others = [] if now.version else swarm_package_plan.replaced(salt, engine)
    if not now.begun:
        swarm_package_record.refuse_interrupted()
    if not test:
        swarm_dpkg.await_lock(settings["id"], settings["timeout"], downloads=True)
    candidate = swarm_package_plan.candidate(salt, engine["package"], engine["version"])
    salt["swarm_engine.check"](candidate)
    return candidate, others


def _masked_by_removal(service: str) -> bool:
    """Check whether Debian masked the units of the removed package, until it is installed again."""
    return any((_MASKED / f"{service}.{kind}").exists() for kind in ("service", "socket"))


def _carry_out(minion: Minion, settings: dict, planned: Installation, now: Present) -> dict:
    """
    Install the engine's packages, in this host's turn if that restarts the engine; return what
    became of the drain, for the report.
    """
    salt, package = minion.salt, settings["engine"]["package"]
    first = now.begun or not now.version
    turn = _turn(minion, settings, now.version, planned.pkgs)
    with swarm_package_hold.released(salt, package, *planned.others), turn as drained:
        begun = swarm_package_record.begun(salt, package, planned.companions)
        with begun if first else contextlib.nullcontext():
            _install(minion, package, planned)
        if planned.others:
            salt["swarm_engine.refit"]()
    return drained


def _install(minion: Minion, package: str, planned: Installation) -> None:
    # Without recommended packages: needrestart is among them and restarts daemons on its own.
    minion.salt["pkg.install"](pkgs=planned.pkgs, install_recommends=False, refresh=False)
    if not minion.salt["pkg.version"](package):
        raise swarm_errors.SwarmError(
            f"{package} {planned.candidate} could not be installed: /var/log/apt/term.log on that"
            " host says why"
        )


@contextlib.contextmanager
def _turn(minion: Minion, settings: dict, have: str, pkgs: list) -> Iterator[dict]:
    """Hold the turn if the package may restart the engine; yield what became of the drain."""
    if not _restarts(settings, have):
        yield {}
        return
    # The download takes longest, and therefore precedes the turn.
    minion.salt["pkg.install"](
        pkgs=pkgs, install_recommends=False, refresh=False, downloadonly=True
    )
    with swarm_engine_turn.held(minion.salt, settings, minion.masterless) as held:
        yield held.changes
        swarm_dockerd.wait(settings["timeout"])


def _restarts(settings: dict, have: str) -> bool:
    """Check whether the package may restart a running engine, as all but Debian's do."""
    package = settings["engine"]["package"]
    quiet = swarm_package_set.engine(package).quiet and not swarm_dpkg.restarts(package)
    return not (have and quiet) and swarm_dockerd.answers()


def _drains(minion: Minion, settings: dict, now: Present) -> dict:
    """Return whether the node would be drained first, for the report."""
    if not settings["engine"]["drain"] or not _restarts(settings, now.version):
        return {}
    drained = swarm_engine_turn.foreseen(minion.salt, settings, minion.masterless)
    return swarm_engine_drain.report(drained)


def _align(minion: Minion, engine: dict, have: str, test: bool) -> dict:
    """
    Ensure the packages that share the engine's version have it, if the pillar sets a version.

    Who upgrades one of them by hand, or without its hold, leaves the others behind.
    """
    salt, package = minion.salt, engine["package"]
    pkgs = swarm_package_plan.astray(salt, engine, have)
    if not pkgs:
        return {}
    plan = swarm_apt.simulate(pkgs)
    if plan.removed:
        return {}
    if not test:
        with swarm_package_hold.released(salt, package):
            salt["pkg.install"](pkgs=pkgs, install_recommends=False, refresh=False)
    return swarm_package_plan.report(package, plan)


def remove(minion: Minion, settings: dict, test: bool) -> dict:
    """Remove the engine's package if this formula installed it; return what changed."""
    salt = minion.salt
    if not test:
        _end_begun(minion, settings)
    noted = swarm_files.record("engine")
    package = noted.get("package")
    # First, because apt does not remove held packages.
    unheld = {**settings["engine"], "hold": False}
    changes = swarm_package_hold.apply(salt, unheld, test)
    have = salt["pkg.version"](package) if package else None
    # With containers that are not the formula's, the engine stays.
    stays = have and swarm_names.others(settings, salt)
    if (have or noted.get("brought")) and not stays:
        if not test:
            bridges = swarm_traces.bridges(salt)
            salt["pkg.remove"](pkgs=[package, *noted.get("companions", [])])
            # Before iptables may be removed as well.
            for error in swarm_traces.remove(salt, bridges):
                log.warning("What the engine left stays until the host restarts: %s", error)
            _remove_orphans(minion, noted.get("brought", []))
        changes[package] = {"old": have or None, "new": None}
    if not test:
        swarm_files.note("engine", {})
    return changes


def _end_begun(minion: Minion, settings: dict) -> None:
    """Finish an installation that was begun, before the packages are removed."""
    if swarm_files.record("engine"):
        swarm_dpkg.await_lock(settings["id"], settings["timeout"], downloads=True)
    if swarm_package_record.is_begun():
        swarm_package_record.finish()
        swarm_package_record.end(minion.salt)


def _remove_orphans(minion: Minion, brought: list[str]) -> None:
    """Remove packages installed with the engine that nothing else needs, above all containerd."""
    orphans = set(minion.salt["pkg.autoremove"](list_only=True))
    if ours := sorted(orphans & set(brought)):
        minion.salt["pkg.remove"](pkgs=ours)
