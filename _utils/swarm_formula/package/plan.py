"""
Plan which packages are installed with the Docker Engine, by what the repositories have.
"""

import fnmatch
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from swarm_formula.core import errors
from swarm_formula.core.settings_types import Engine
from swarm_formula.daemon import package_set
from swarm_formula.package import manager as managers
from swarm_formula.package.manager import Manager
from swarm_formula.package.transaction import Plan
from swarm_formula.salt.execution import Minion

# Only one of these can be on a host. The Docker snap, with its own engine, can coexist.
# Those that the formula knows all packages of can be replaced.
_ENGINES = ("docker.io", "docker-ce", "docker-ee", "moby-engine", "podman-docker")
_SNAP = Path("/snap/bin/docker")


class Installation(NamedTuple):
    """What an installation consists of, and what it changes."""

    candidate: str
    pkgs: list[str | dict[str, str]]  # as for ``pkg.install``
    companions: list[str]
    others: list[str]
    changes: dict[str, Any]


def accepts(wanted: str | None, version: str) -> bool:
    """Return whether this is a version that pillar accepts, which may leave out the epoch."""
    names = (version, version.partition(":")[2])
    return any(fnmatch.fnmatchcase(one, wanted or "*") for one in names)


def candidate(manager: Manager, package: str, wanted: str | None) -> str:
    """Return the version that would be installed; refresh the package lists if there is none."""
    unread: list[str] = []
    for refresh in (False, True):
        if refresh:
            unread = manager.refresh()
        found = [one for one in manager.versions(package) if accepts(wanted, one)]
        if found:
            return found[0] if wanted else manager.newest(package)
    text = f"version {wanted} of {package}" if wanted else package
    words = manager.words
    why = (
        f"; and {words.name} could not read {', '.join(unread)}: '{words.refresh}' on that host"
        " says why"
        if unread
        else ""
    )
    raise errors.SwarmError(
        f"no repository that {words.name} has read has {text} (swarm:engine:package,"
        f" swarm:engine:version){why}"
    )


def _companions(manager: Manager, package: str, new: bool) -> list[str]:
    """Return the packages that are absent and come with the engine, if a repository has them."""
    wanted = package_set.wanted(package, new)
    absent = [one for one in wanted if not manager.version(one)]
    return [one for one in absent if manager.versions(one)]


def twin(version: str, versions: Iterable[str]) -> str | None:
    """Return the same version among those of another package, which may have another epoch."""
    bare = version.rpartition(":")[2]
    return next((one for one in versions if one.rpartition(":")[2] == bare), None)


def _shared(
    manager: Manager, package: str, candidate: str, companions: list[str]
) -> dict[str, str]:
    """Return the packages that are here, or come, and get the version of the engine as well."""
    found = {}
    for one in package_set.shared(package):
        if not (one in companions or manager.version(one)):
            continue
        if version := twin(candidate, manager.versions(one)):
            found[one] = version
        elif one in package_set.shared(package, strict=True):
            raise errors.SwarmError(
                f"no repository that {manager.words.name} has read has version {candidate} of"
                f" {one}, which belongs to {package} {candidate} (swarm:engine:version). Nothing"
                " was installed. Set a version that is there of both:"
                f" '{manager.words.versions}' shows them"
            )
    return found


def _pkgs(
    manager: Manager, package: str, candidate: str, companions: list[str], others: list[str]
) -> list[str | dict[str, str]]:
    """
    Return the packages of an installation, as for ``pkg.install``.

    others
        Engines whose place this one takes.
    """
    shared = _shared(manager, package, candidate, companions)
    rest = [one for one in companions if one not in shared]
    # The packages whose name ends in a minus are removed.
    gone = [f"{one}-" for other in others for one in package_set.own(other)]
    gone = [one for one in gone if manager.version(one[:-1])]
    return [
        {package: candidate},
        *({one: version} for one, version in shared.items()),
        *rest,
        *gone,
    ]


def installation(
    manager: Manager, engine: Engine, candidate: str, have: str, others: list[str]
) -> Installation:
    """
    Return the installation; raise an error if it would remove a package that is none of it.

    Packages that the engine works without are left out if they are the reason. A dependency of the
    engine that is installed may go: Debian's next release has another ``tini``.
    """
    package = engine["package"]
    companions = _companions(manager, package, not have)
    required = [one for one in companions if one not in package_set.optional(package)]
    allowed = set().union(*map(package_set.names, (package, *others)))
    for chosen in (companions, required):
        pkgs = _pkgs(manager, package, candidate, chosen, others)
        plan = manager.simulate(pkgs)
        foreign = sorted(_foreign(manager, plan, allowed))
        if not foreign:
            return Installation(candidate, pkgs, chosen, others, report(package, plan))
    raise errors.SwarmError(
        f"with {package} {candidate}, {manager.words.name} would remove {', '.join(foreign)} from"
        " this host (swarm:engine:package, swarm:engine:version). Nothing was installed. Remove"
        " these by hand first, if nobody needs them; or set another version"
    )


def _foreign(manager: Manager, plan: Plan, own: set[str]) -> set[str]:
    """Return the packages that would be removed and are not the engines'."""
    foreign = set(plan.removed) - own
    if not foreign:
        return foreign
    here = [one for one in sorted(own) if manager.version(one)]
    return foreign - manager.brought_by(here)


def report(package: str, plan: Plan) -> dict[str, Any]:
    """Return what changes of the engine's packages, and what is removed."""
    names = package_set.names(package)
    new = {
        name: {"old": old, "new": version}
        for name, (old, version) in plan.installed.items()
        if name in names
    }
    return {**new, **{name: {"old": old, "new": None} for name, old in plan.removed.items()}}


def astray(manager: Manager, engine: Engine, have: str) -> list[dict[str, str]]:
    """Return the packages that share the engine's version and have another one, with its own."""
    package = engine["package"]
    names = package_set.shared(package, strict=True) if engine["version"] else []
    here = {one: manager.version(one) for one in names}
    others = [one for one, version in here.items() if version and not twin(have, [version])]
    found = {one: twin(have, manager.versions(one)) for one in others}
    return [{one: version} for one, version in found.items() if version]


def replaced(manager: Manager, engine: Engine) -> list[str]:
    """Return the engines whose place this one takes; raise an error if the pillar forbids it."""
    package = engine["package"]
    found = [one for one in _ENGINES if one != package and manager.version(one)]
    known = {package, *found} <= set(package_set.ENGINES)
    if known and engine["replace"] and not _SNAP.exists():
        return found
    if _SNAP.exists():
        found.append("the snap docker")
    if not found:
        return []
    way = (
        "or set swarm:engine:replace to true, to have it replaced, one host at a time; its data"
        " stays"
        if known and not _SNAP.exists()
        else "or remove it by hand first"
    )
    raise errors.SwarmError(
        f"this host has {', '.join(found)} already, and {package} would take its place"
        " (swarm:engine:package): its containers would end or be out of sight. Nothing was"
        " installed. Name the package that is here in swarm:engine:package, if it is an engine"
        f" of Docker; {way}"
    )


def awaits_repository(minion: Minion, manager: Manager, engine: Engine) -> bool:
    """
    Return whether a dry run cannot know the version, because the repository is not there yet.

    It is read when ``swarm_repository.apply`` adds it.
    """
    if not engine["repository"]["url"]:
        return False
    if any(accepts(engine["version"], one) for one in manager.versions(engine["package"])):
        return False
    return bool(minion.salt["swarm_repository.apply"](test=True))


def planned(minion: Minion, engine: Engine) -> str:
    """Return the version that would be installed, ``""`` if the present version stays."""
    manager = managers.of(minion)
    have = manager.version(engine["package"])
    if have and accepts(engine["version"], have):
        return ""
    if awaits_repository(minion, manager, engine):
        return ""
    return candidate(manager, engine["package"], engine["version"])
