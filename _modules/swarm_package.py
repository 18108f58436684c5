"""
Install, hold and remove the package of the Docker Engine.
"""

import contextlib
import fnmatch
from pathlib import Path
from typing import NamedTuple

import swarm_apt
import swarm_dockerd
import swarm_dpkg
import swarm_engine_turn
import swarm_errors
import swarm_files
import swarm_names
import swarm_package_set

# Units that deb-systemd-helper(1p) has masked, and unmasks when the package is installed again.
_MASKED = Path("/var/lib/systemd/deb-systemd-helper-masked")

__virtualname__ = "swarm_package"

# apt allows only one of these on a host. The Docker snap, with its own engine, can coexist.
# Those that the formula knows all packages of can be replaced.
_ENGINES = ("docker.io", "docker-ce", "docker-ee", "moby-engine", "podman-docker")
_SNAP = Path("/snap/bin/docker")


def __virtual__():
    return __virtualname__


def _is(version, wanted):
    """Return whether this is a version that pillar accepts, which may leave out the epoch."""
    names = (version, version.partition(":")[2])
    return any(fnmatch.fnmatchcase(one, wanted or "*") for one in names)


def _candidate(package, wanted):
    """Return the version that would be installed; refresh the package lists if there is none."""
    unread = ""
    for refresh in (False, True):
        if refresh:
            unread = _unread(__salt__["pkg.refresh_db"]())
        found = [one for one in _versions(package) if _is(one, wanted)]
        if found:
            return found[0] if wanted else __salt__["pkg.latest_version"](package, refresh=False)
    text = f"version {wanted} of {package}" if wanted else package
    raise swarm_errors.SwarmError(
        f"no repository that apt has read has {text} (swarm:engine:package,"
        f" swarm:engine:version){unread}"
    )


def _unread(refreshed):
    """Return which repositories apt could not read, from the result of ``pkg.refresh_db``."""
    failed = sorted(name for name, read in (refreshed or {}).items() if read is False)
    return (
        f"; and apt could not read {', '.join(failed)}: 'apt-get update' on that host says why"
        if failed
        else ""
    )


def _versions(package):
    return __salt__["pkg.list_repo_pkgs"](package).get(package, [])


def _companions(package, new):
    """Return the packages that are absent and come with the engine, if a repository has them."""
    wanted = swarm_package_set.wanted(package, new)
    absent = [one for one in wanted if not __salt__["pkg.version"](one)]
    return [one for one in absent if _versions(one)]


def _shared(package, candidate, companions):
    """Return the packages that are here, or come, and get the version of the engine as well."""
    found = []
    for one in swarm_package_set.shared(package):
        if not (one in companions or __salt__["pkg.version"](one)):
            continue
        if candidate in _versions(one):
            found.append(one)
        elif one in swarm_package_set.shared(package, strict=True):
            raise swarm_errors.SwarmError(
                f"no repository that apt has read has version {candidate} of {one}, which belongs"
                f" to {package} {candidate} (swarm:engine:version). Nothing was installed. Set a"
                " version that is there of both: 'apt-cache madison' shows them"
            )
    return found


def _pkgs(package, candidate, companions, others=()):
    """
    Return the packages of an installation, as for ``pkg.install``.

    others
        Engines whose place this one takes.
    """
    shared = _shared(package, candidate, companions)
    rest = [one for one in companions if one not in shared]
    # apt-get removes the packages whose name ends in a minus.
    gone = [f"{one}-" for other in others for one in swarm_package_set.own(other)]
    gone = [one for one in gone if __salt__["pkg.version"](one[:-1])]
    return [{package: candidate}, *({one: candidate} for one in shared), *rest, *gone]


class _Installation(NamedTuple):
    """What an installation consists of, and what it changes."""

    candidate: str
    pkgs: list
    companions: list
    others: list
    changes: dict


def _planned(engine, candidate, have, others):
    """
    Return the installation; raise an error if apt would remove a package that is none of it.

    Packages that the engine works without are left out if they are the reason.
    """
    package = engine["package"]
    companions = _companions(package, not have)
    required = [one for one in companions if one not in swarm_package_set.optional(package)]
    allowed = set().union(*map(swarm_package_set.names, (package, *others)))
    for chosen in (companions, required):
        pkgs = _pkgs(package, candidate, chosen, others)
        plan = swarm_apt.simulate(pkgs)
        foreign = sorted(set(plan.removed) - allowed)
        if not foreign:
            return _Installation(candidate, pkgs, chosen, others, _report(package, plan))
    raise swarm_errors.SwarmError(
        f"with {package} {candidate}, apt would remove {', '.join(foreign)} from this host"
        " (swarm:engine:package, swarm:engine:version). Nothing was installed. Remove these by hand"
        " first, if nobody needs them; or set another version"
    )


def _report(package, plan):
    """Return what changes of the engine's packages, and what is removed."""
    names = swarm_package_set.names(package)
    new = {
        name: {"old": old, "new": version}
        for name, (old, version) in plan.installed.items()
        if name in names
    }
    return {**new, **{name: {"old": old, "new": None} for name, old in plan.removed.items()}}


def _install(package, candidate, pkgs):
    # Without recommended packages: needrestart is among them and restarts daemons on its own.
    __salt__["pkg.install"](pkgs=pkgs, install_recommends=False, refresh=False)
    have = __salt__["pkg.version"](package)
    if not have:
        raise swarm_errors.SwarmError(
            f"{package} {candidate} could not be installed: /var/log/apt/term.log on that"
            " host says why"
        )
    return have


@contextlib.contextmanager
def _released(*engines):
    """Release the engines' packages from their hold meanwhile: apt changes none that is held."""
    held = sorted({one for package in engines for one in _held(package)})
    for one in held:
        __salt__["pkg.unhold"](name=one)
    try:
        yield
    finally:
        for one in held:
            if __salt__["pkg.version"](one):
                __salt__["pkg.hold"](name=one)


@contextlib.contextmanager
def _begun(package, companions):
    """
    Note the packages that are here before an installation, for a run that is killed in it.

    The next run finishes it, and ``remove`` knows what came with the engine, even by half.
    """
    noted = swarm_files.record("engine")
    before = noted.get("before") or sorted(__salt__["pkg.list_pkgs"]())
    companions = sorted({*noted.get("companions", []), *companions})
    started = {"package": package, "companions": companions, "before": before}
    swarm_files.note("engine", {**noted, **started})
    try:
        yield
    except Exception:
        if sorted(__salt__["pkg.list_pkgs"]()) == before and not swarm_dpkg.interrupted():
            swarm_files.note("engine", noted)
        raise
    _end()


def _end():
    """Note which packages the installation that was begun has brought."""
    noted = swarm_files.record("engine")
    now = set(__salt__["pkg.list_pkgs"]())
    companions = sorted(now & set(noted["companions"]))
    earlier = now & set(noted.get("brought", []))
    brought = sorted(earlier | now - set(noted.pop("before")))
    swarm_files.note("engine", {**noted, "companions": companions, "brought": brought})


def _is_begun():
    return bool(swarm_files.record("engine").get("before"))


def _refuse_interrupted():
    """
    Raise an error if dpkg was killed in the work of another program.

    Its packages are not configured from here: that might start a daemon on this host.
    """
    if swarm_dpkg.interrupted():
        raise swarm_errors.SwarmError(
            "dpkg was interrupted on this host, and until its work is finished apt installs"
            f" nothing. Unfinished: {', '.join(swarm_dpkg.unfinished()) or 'no package'}. Nothing"
            " was installed. Run 'dpkg --configure -a' on that host, if these packages are wanted;"
            " then apply again"
        )


def _all_held():
    return __salt__["pkg.get_selections"](state="hold").get("hold", [])


def _held(package):
    """Return the engine's packages that are held."""
    held = _all_held()
    return [one for one in swarm_package_set.held(package) if one in held]


def _hold(engine, test, changes=()):
    """
    Hold the engine's packages that are here, or release those that the formula holds.

    changes
        What an installation changes: its packages are not here yet with ``test``.
    """
    package, held, noted = engine["package"], _all_held(), swarm_files.record("engine")
    # Earlier versions held, and noted, the engine's package alone.
    ours = noted.get("held", [noted.get("package", package)] if noted.get("hold") else [])
    if engine["hold"]:
        names = swarm_package_set.held(package)
        here = [one for one in names if one in changes or __salt__["pkg.version"](one)]
        due = [one for one in here if one not in held]
    else:
        due = [one for one in ours if one in held]
    if not test:
        for one in due:
            __salt__["pkg.hold" if engine["hold"] else "pkg.unhold"](name=one)
        ours = sorted({*due, *(one for one in ours if one in held)}) if engine["hold"] else []
        rest = {key: one for key, one in noted.items() if key not in {"hold", "held"}}
        swarm_files.note("engine", {**rest, **({"held": ours} if ours else {})})
    return {"hold": {"old": not engine["hold"], "new": engine["hold"]}} if due else {}


@contextlib.contextmanager
def _turn(settings, have, pkgs):
    """Hold the turn if the package may restart the engine, as all but Debian's do."""
    package = settings["engine"]["package"]
    quiet = swarm_package_set.engine(package).quiet
    if (have and quiet) or not swarm_dockerd.answers():
        yield
        return
    # The download takes longest, and therefore precedes the turn.
    __salt__["pkg.install"](pkgs=pkgs, install_recommends=False, refresh=False, downloadonly=True)
    masterless = __opts__.get("file_client") == "local"
    with swarm_engine_turn.held(__salt__, settings, masterless):
        yield
        swarm_dockerd.wait(settings["timeout"])


def _second(engine):
    """Return the engines whose place this one takes; raise an error if the pillar forbids it."""
    package = engine["package"]
    found = [one for one in _ENGINES if one != package and __salt__["pkg.version"](one)]
    known = {package, *found} <= set(swarm_package_set.ENGINES)
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
    raise swarm_errors.SwarmError(
        f"this host has {', '.join(found)} already, and {package} would take its place"
        " (swarm:engine:package): its containers would end or be out of sight. Nothing was"
        " installed. Name the package that is here in swarm:engine:package, if it is an engine"
        f" of Docker; {way}"
    )


def _finish_begun():
    """
    Finish the packages of an installation that was begun.

    For Salt, a package that is unpacked by half is installed.
    """
    if error := swarm_dpkg.finish():
        raise swarm_errors.SwarmError(
            f"an installation of the engine was interrupted, and apt cannot finish it: {error}."
            " If apt reaches no repository, mend that; 'apt-get --fix-broken install' on that host"
            " shows the error. Then apply, or clean, again"
        )


def _masked_by_removal(service):
    """Check whether Debian masked the units of the removed package, until it is installed again."""
    return any((_MASKED / f"{service}.{kind}").exists() for kind in ("service", "socket"))


def _acceptable(settings, have, begun, test):
    """
    Return the version to install, and the engines whose place it takes; raise an error if this
    host or the pillar rules it out.
    """
    engine = settings["engine"]
    if not _masked_by_removal(engine["service"]):
        # The package of an engine that nobody can start would only be left behind.
        swarm_dockerd.refuse_masked(__salt__, engine["service"], settings["id"])
    others = [] if have else _second(engine)
    if not begun:
        _refuse_interrupted()
    if not test:
        swarm_dpkg.await_lock(settings["id"], settings["timeout"], downloads=True)
    candidate = _candidate(engine["package"], engine["version"])
    __salt__["swarm_engine.check"](candidate)
    return candidate, others


def _awaits_repository(engine):
    """
    Return whether a dry run cannot know the version, because the repository is not there yet.

    Apt reads it when ``swarm_repository.apply`` adds it.
    """
    if not engine["repository"]["url"]:
        return False
    known = _versions(engine["package"])
    if any(_is(one, engine["version"]) for one in known):
        return False
    return bool(__salt__["swarm_repository.apply"](test=True))


def planned():
    """
    Return the version that ``install`` would install, ``""`` if the present version stays.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_package.planned
    """
    engine = __salt__["swarm_settings.get"]()["engine"]
    have = __salt__["pkg.version"](engine["package"])
    if have and _is(have, engine["version"]):
        return ""
    if _awaits_repository(engine):
        return ""
    return _candidate(engine["package"], engine["version"])


def install(test=False):
    """
    Ensure the engine's package is installed as the pillar specifies; return what changed.

    Before anything is installed, a version that does not support the pillar's settings is refused.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_package.install test=True
    """
    settings = __salt__["swarm_settings.get"]()
    engine = settings["engine"]
    begun = _is_begun()
    if not test:
        swarm_dpkg.await_lock(settings["id"], settings["timeout"])
        if begun:
            _finish_begun()
    have = __salt__["pkg.version"](engine["package"])
    if have and _is(have, engine["version"]):
        if begun and not test:
            _end()
        finished = {engine["package"]: {"old": None, "new": have}} if begun else {}
        return {**finished, **_aligned(engine, have, test), **_hold(engine, test)}
    return _moved(settings, have, begun, test)


def _moved(settings, have, begun, test):
    """Ensure the engine's packages have another version than now; return what changed."""
    engine = settings["engine"]
    if test and _awaits_repository(engine):
        if not have:
            _second(engine)
        new = f"{engine['version'] or 'the newest'} from {engine['repository']['url']}"
        return {engine["package"]: {"old": have or None, "new": new}}
    candidate, others = _acceptable(settings, have, begun, test)
    if test and begun and swarm_dpkg.interrupted():
        # apt says nothing before the installation that was begun is finished.
        return {engine["package"]: {"old": have or None, "new": candidate}}
    planned = _planned(engine, candidate, have, others)
    if not test:
        _carry_out(settings, planned, have, begun)
    return {**planned.changes, **_hold(engine, test, planned.changes)}


def _carry_out(settings, planned, have, begun):
    """Install the engine's packages, in this host's turn if that restarts the engine."""
    package = settings["engine"]["package"]
    first = begun or not have
    with _released(package, *planned.others), _turn(settings, have, planned.pkgs):
        with _begun(package, planned.companions) if first else contextlib.nullcontext():
            _install(package, planned.candidate, planned.pkgs)
        if planned.others:
            __salt__["swarm_engine.refit"]()


def _aligned(engine, have, test):
    """
    Ensure the packages that share the engine's version have it, if the pillar sets a version.

    Who upgrades one of them by hand, or without its hold, leaves the others behind.
    """
    package = engine["package"]
    names = swarm_package_set.shared(package, strict=True) if engine["version"] else []
    here = {one: __salt__["pkg.version"](one) for one in names}
    astray = [one for one, version in here.items() if version and version != have]
    pkgs = [{one: have} for one in astray if have in _versions(one)]
    if not pkgs:
        return {}
    plan = swarm_apt.simulate(pkgs)
    if plan.removed:
        return {}
    if not test:
        with _released(package):
            __salt__["pkg.install"](pkgs=pkgs, install_recommends=False, refresh=False)
    return _report(package, plan)


def _remove_orphans(brought):
    """Remove packages installed with the engine that nothing else needs, above all containerd."""
    orphans = set(__salt__["pkg.autoremove"](list_only=True))
    if ours := sorted(orphans & set(brought)):
        __salt__["pkg.remove"](pkgs=ours)


def remove(test=False):
    """
    Remove the engine's package if this formula installed it; return what changed.

    The package and its data stay if the engine has a container that is not the formula's own.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_package.remove test=True
    """
    settings = __salt__["swarm_settings.get"]()
    if swarm_files.record("engine") and not test:
        swarm_dpkg.await_lock(settings["id"], settings["timeout"], downloads=True)
    if _is_begun() and not test:
        _finish_begun()
        _end()
    noted = swarm_files.record("engine")
    package = noted.get("package")
    # First, because apt does not remove held packages.
    changes = _hold({**settings["engine"], "hold": False}, test)
    have = __salt__["pkg.version"](package) if package else None
    # With containers that are not the formula's, the engine stays.
    stays = have and swarm_names.others(settings, __salt__)
    if (have or noted.get("brought")) and not stays:
        if not test:
            __salt__["pkg.remove"](pkgs=[package, *noted.get("companions", [])])
            _remove_orphans(noted.get("brought", []))
        changes[package] = {"old": have or None, "new": None}
    if not test:
        swarm_files.note("engine", {})
    return changes
