"""
Plan which packages are installed with the Docker Engine, by what the repositories have.
"""

import fnmatch
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from swarm_formula.core import errors
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Engine
from swarm_formula.daemon import package_set
from swarm_formula.package import apt

# apt allows only one of these on a host. The Docker snap, with its own engine, can coexist.
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


def candidate(salt: Salt, package: str, wanted: str | None) -> str:
    """Return the version that would be installed; refresh the package lists if there is none."""
    unread = ""
    for refresh in (False, True):
        if refresh:
            unread = _unread(salt["pkg.refresh_db"]())
        found = [one for one in versions(salt, package) if accepts(wanted, one)]
        if found:
            return found[0] if wanted else salt["pkg.latest_version"](package, refresh=False)
    text = f"version {wanted} of {package}" if wanted else package
    raise errors.SwarmError(
        f"no repository that apt has read has {text} (swarm:engine:package,"
        f" swarm:engine:version){unread}"
    )


def _unread(refreshed: Mapping[str, Any] | None) -> str:
    """Return which repositories apt could not read, from the result of ``pkg.refresh_db``."""
    failed = sorted(name for name, read in (refreshed or {}).items() if read is False)
    return (
        f"; and apt could not read {', '.join(failed)}: 'apt-get update' on that host says why"
        if failed
        else ""
    )


def versions(salt: Salt, package: str) -> list[str]:
    """Return the versions of a package that the repositories have."""
    found: list[str] = salt["pkg.list_repo_pkgs"](package).get(package, [])
    return found


def _companions(salt: Salt, package: str, new: bool) -> list[str]:
    """Return the packages that are absent and come with the engine, if a repository has them."""
    wanted = package_set.wanted(package, new)
    absent = [one for one in wanted if not salt["pkg.version"](one)]
    return [one for one in absent if versions(salt, one)]


def _shared(salt: Salt, package: str, candidate: str, companions: list[str]) -> list[str]:
    """Return the packages that are here, or come, and get the version of the engine as well."""
    found = []
    for one in package_set.shared(package):
        if not (one in companions or salt["pkg.version"](one)):
            continue
        if candidate in versions(salt, one):
            found.append(one)
        elif one in package_set.shared(package, strict=True):
            raise errors.SwarmError(
                f"no repository that apt has read has version {candidate} of {one}, which belongs"
                f" to {package} {candidate} (swarm:engine:version). Nothing was installed. Set a"
                " version that is there of both: 'apt-cache madison' shows them"
            )
    return found


def _pkgs(
    salt: Salt, package: str, candidate: str, companions: list[str], others: list[str]
) -> list[str | dict[str, str]]:
    """
    Return the packages of an installation, as for ``pkg.install``.

    others
        Engines whose place this one takes.
    """
    shared = _shared(salt, package, candidate, companions)
    rest = [one for one in companions if one not in shared]
    # apt-get removes the packages whose name ends in a minus.
    gone = [f"{one}-" for other in others for one in package_set.own(other)]
    gone = [one for one in gone if salt["pkg.version"](one[:-1])]
    return [{package: candidate}, *({one: candidate} for one in shared), *rest, *gone]


def installation(
    salt: Salt, engine: Engine, candidate: str, have: str, others: list[str]
) -> Installation:
    """
    Return the installation; raise an error if apt would remove a package that is none of it.

    Packages that the engine works without are left out if they are the reason. A dependency of the
    engine that is installed may go: Debian's next release has another ``tini``.
    """
    package = engine["package"]
    companions = _companions(salt, package, not have)
    required = [one for one in companions if one not in package_set.optional(package)]
    allowed = set().union(*map(package_set.names, (package, *others)))
    for chosen in (companions, required):
        pkgs = _pkgs(salt, package, candidate, chosen, others)
        plan = apt.simulate(pkgs)
        foreign = sorted(_foreign(salt, plan, allowed))
        if not foreign:
            return Installation(candidate, pkgs, chosen, others, report(package, plan))
    raise errors.SwarmError(
        f"with {package} {candidate}, apt would remove {', '.join(foreign)} from this host"
        " (swarm:engine:package, swarm:engine:version). Nothing was installed. Remove these by hand"
        " first, if nobody needs them; or set another version"
    )


def _foreign(salt: Salt, plan: apt.Plan, own: set[str]) -> set[str]:
    """Return the packages that would be removed and are not the engines'."""
    foreign = set(plan.removed) - own
    if not foreign:
        return foreign
    here = [one for one in sorted(own) if salt["pkg.version"](one)]
    return foreign - apt.brought_by(here)


def report(package: str, plan: apt.Plan) -> dict[str, Any]:
    """Return what changes of the engine's packages, and what is removed."""
    names = package_set.names(package)
    new = {
        name: {"old": old, "new": version}
        for name, (old, version) in plan.installed.items()
        if name in names
    }
    return {**new, **{name: {"old": old, "new": None} for name, old in plan.removed.items()}}


def astray(salt: Salt, engine: Engine, have: str) -> list[dict[str, str]]:
    """Return the packages that share the engine's version and have another one, with its own."""
    package = engine["package"]
    names = package_set.shared(package, strict=True) if engine["version"] else []
    here = {one: salt["pkg.version"](one) for one in names}
    others = [one for one, version in here.items() if version and version != have]
    return [{one: have} for one in others if have in versions(salt, one)]


def replaced(salt: Salt, engine: Engine) -> list[str]:
    """Return the engines whose place this one takes; raise an error if the pillar forbids it."""
    package = engine["package"]
    found = [one for one in _ENGINES if one != package and salt["pkg.version"](one)]
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


def awaits_repository(salt: Salt, engine: Engine) -> bool:
    """
    Return whether a dry run cannot know the version, because the repository is not there yet.

    Apt reads it when ``swarm_repository.apply`` adds it.
    """
    if not engine["repository"]["url"]:
        return False
    if any(accepts(engine["version"], one) for one in versions(salt, engine["package"])):
        return False
    return bool(salt["swarm_repository.apply"](test=True))


def planned(salt: Salt, engine: Engine) -> str:
    """Return the version that would be installed, ``""`` if the present version stays."""
    have = salt["pkg.version"](engine["package"])
    if have and accepts(engine["version"], have):
        return ""
    if awaits_repository(salt, engine):
        return ""
    return candidate(salt, engine["package"], engine["version"])
