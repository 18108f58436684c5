"""
The package of the Docker Engine.
"""

import contextlib
import fcntl
import fnmatch
from pathlib import Path

import swarm_dockerd
import swarm_engine_turn
import swarm_errors
import swarm_files
import swarm_names
import swarm_wait

__virtualname__ = "swarm_package"

_LOCK = Path("/var/lib/dpkg/lock-frontend")
# The package that leaves a running engine alone; ``swarm_engine.configure`` restarts that.
_QUIET = "docker.io"
# Of these, apt lets a host have one; the snap of Docker is beside them, with an engine of its own.
_ENGINES = ("docker.io", "docker-ce", "docker-ee", "moby-engine", "podman-docker")
_SNAP = Path("/snap/bin/docker")


def __virtual__():
    return __virtualname__


def _await_apt(settings):
    """Wait until no apt is at work here: that of a run that was killed goes on by itself."""

    def probe():
        if not _LOCK.exists():
            return None
        with _LOCK.open("r+") as lock:
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return f"another apt or dpkg is at work on {settings['id']}: it has {_LOCK}"
        return None

    swarm_wait.until(probe, settings["timeout"])


def _candidate(package, wanted):
    """Return the version that would be installed; looks again after a refresh of the lists."""
    unread = ""
    for refresh in (False, True):
        if refresh:
            unread = _unread(__salt__["pkg.refresh_db"]())
        known = __salt__["pkg.list_repo_pkgs"](package).get(package, [])
        found = [one for one in known if not wanted or fnmatch.fnmatchcase(one, wanted)]
        if found:
            return found[0] if wanted else __salt__["pkg.latest_version"](package, refresh=False)
    text = f"version {wanted} of {package}" if wanted else package
    raise swarm_errors.SwarmError(
        f"no repository that apt has read has {text} (swarm:engine:package,"
        f" swarm:engine:version){unread}"
    )


def _unread(refreshed):
    """Return which repositories apt could not read, of what ``pkg.refresh_db`` returns."""
    failed = sorted(name for name, read in (refreshed or {}).items() if read is False)
    return (
        f"; and apt could not read {', '.join(failed)}: 'apt-get update' on that host says why"
        if failed
        else ""
    )


def _companions(package):
    # Debian's newer packages have the command line apart, and only recommend it.
    wanted = ("docker-cli", "apparmor") if package == "docker.io" else ()
    absent = [one for one in wanted if not __salt__["pkg.version"](one)]
    return [one for one in absent if __salt__["pkg.list_repo_pkgs"](one)]


def _install(package, candidate, companions):
    pkgs = [{package: candidate}, *companions]
    # Not the recommended ones: needrestart is among them and restarts daemons on its own.
    done = __salt__["pkg.install"](pkgs=pkgs, install_recommends=False, refresh=False)
    have = __salt__["pkg.version"](package)
    if not have:
        raise swarm_errors.SwarmError(
            f"{package} {candidate} could not be installed: /var/log/apt/term.log on that"
            " host says why"
        )
    return have, sorted(name for name, change in done.items() if not change["old"])


def _hold(engine, test):
    held = engine["package"] in __salt__["pkg.get_selections"](state="hold").get("hold", [])
    if held == engine["hold"] or not (engine["hold"] or swarm_files.record("engine").get("hold")):
        return {}
    if not test:
        __salt__["pkg.hold" if engine["hold"] else "pkg.unhold"](name=engine["package"])
        swarm_files.note("engine", {**swarm_files.record("engine"), "hold": engine["hold"]})
    return {"hold": {"old": held, "new": engine["hold"]}}


@contextlib.contextmanager
def _turn(settings, have, candidate, companions):
    """Hold the turn of an engine that the package may restart, as all but Debian's do."""
    package = settings["engine"]["package"]
    if (have and package == _QUIET) or not swarm_dockerd.answers():
        yield
        return
    # What takes longest is done before.
    pkgs = [{package: candidate}, *companions]
    __salt__["pkg.install"](pkgs=pkgs, install_recommends=False, refresh=False, downloadonly=True)
    masterless = __opts__.get("file_client") == "local"
    with swarm_engine_turn.held(__salt__, settings, masterless):
        yield
        swarm_dockerd.wait(settings["timeout"])


def _refuse_second(package):
    """Raise an error for an engine of somebody else, which ours would replace or shadow."""
    ours = swarm_files.record("engine").get("package")
    found = [one for one in _ENGINES if one not in {package, ours} and __salt__["pkg.version"](one)]
    if _SNAP.exists():
        found.append("the snap docker")
    if found:
        raise swarm_errors.SwarmError(
            f"this host has {', '.join(found)} already, and {package} would take its place"
            " (swarm:engine:package): its containers would end or be out of sight. Nothing was"
            " installed. Name the package that is here in swarm:engine:package, if it is an engine"
            " of Docker; or remove it by hand first"
        )


def planned():
    """
    Return the version that ``install`` would put in the place of the one that is here, else ``""``.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_package.planned
    """
    engine = __salt__["swarm_settings.get"]()["engine"]
    have = __salt__["pkg.version"](engine["package"])
    if have and fnmatch.fnmatchcase(have, engine["version"] or "*"):
        return ""
    return _candidate(engine["package"], engine["version"])


def install(test=False):
    """
    Ensure the engine's package is installed as pillar says; return what changed.

    Refuses, before anything is installed, a version that cannot take what pillar wants of it.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_package.install test=True
    """
    settings = __salt__["swarm_settings.get"]()
    engine = settings["engine"]
    if not test:
        _await_apt(settings)
    have = __salt__["pkg.version"](engine["package"])
    if have and fnmatch.fnmatchcase(have, engine["version"] or "*"):
        return _hold(engine, test)
    if not have:
        _refuse_second(engine["package"])
    candidate = _candidate(engine["package"], engine["version"])
    __salt__["swarm_engine.check"](candidate)
    new = candidate
    if not test:
        companions = _companions(engine["package"])
        with _turn(settings, have, candidate, companions):
            new, brought = _install(engine["package"], candidate, companions)
        if not have:
            noted = {"package": engine["package"], "companions": companions, "brought": brought}
            swarm_files.note("engine", {**swarm_files.record("engine"), **noted})
    changes = {engine["package"]: {"old": have or None, "new": new}}
    return {**changes, **({} if test and not have else _hold(engine, test))}


def _remove_orphans(brought):
    """Remove what came with the engine and is needed by nothing else, containerd above all."""
    orphans = set(__salt__["pkg.autoremove"](list_only=True))
    if ours := sorted(orphans & set(brought)):
        __salt__["pkg.remove"](pkgs=ours)


def remove(test=False):
    """
    Ensure the engine's package is gone if this formula brought it; return what changed.

    It stays, and its data with it, if a container is left on it that is not the formula's own.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_package.remove test=True
    """
    noted = swarm_files.record("engine")
    package = noted.get("package")
    # First, for apt removes no package that is held.
    settings = __salt__["swarm_settings.get"]()
    changes = _hold({**settings["engine"], "hold": False}, test)
    have = __salt__["pkg.version"](package) if package else None
    # With somebody else's containers on it, the engine stays.
    if have and not swarm_names.others(settings, __salt__):
        if not test:
            __salt__["pkg.remove"](pkgs=[package, *noted.get("companions", [])])
            _remove_orphans(noted.get("brought", []))
        changes[package] = {"old": have, "new": None}
    if not test:
        swarm_files.note("engine", {})
    return changes
