"""
Install, hold and remove the package of the Docker Engine.
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
# The package that does not restart a running engine; ``swarm_engine.configure`` restarts it.
_QUIET = "docker.io"
# apt allows only one of these on a host. The Docker snap, with its own engine, can coexist.
_ENGINES = ("docker.io", "docker-ce", "docker-ee", "moby-engine", "podman-docker")
_SNAP = Path("/snap/bin/docker")


def __virtual__():
    return __virtualname__


def _await_apt(settings):
    """Wait until no apt runs on this host: the apt of a killed run continues by itself."""

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
    """Return the version that would be installed; refresh the package lists if there is none."""
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
    """Return which repositories apt could not read, from the result of ``pkg.refresh_db``."""
    failed = sorted(name for name, read in (refreshed or {}).items() if read is False)
    return (
        f"; and apt could not read {', '.join(failed)}: 'apt-get update' on that host says why"
        if failed
        else ""
    )


def _companions(package):
    # Newer Debian packages ship the command line separately and only recommend it.
    wanted = ("docker-cli", "apparmor") if package == "docker.io" else ()
    absent = [one for one in wanted if not __salt__["pkg.version"](one)]
    return [one for one in absent if __salt__["pkg.list_repo_pkgs"](one)]


def _install(package, candidate, companions):
    pkgs = [{package: candidate}, *companions]
    # Without recommended packages: needrestart is among them and restarts daemons on its own.
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
    """Hold the turn if the package may restart the engine, as all but Debian's do."""
    package = settings["engine"]["package"]
    if (have and package == _QUIET) or not swarm_dockerd.answers():
        yield
        return
    # The download takes longest, and therefore precedes the turn.
    pkgs = [{package: candidate}, *companions]
    __salt__["pkg.install"](pkgs=pkgs, install_recommends=False, refresh=False, downloadonly=True)
    masterless = __opts__.get("file_client") == "local"
    with swarm_engine_turn.held(__salt__, settings, masterless):
        yield
        swarm_dockerd.wait(settings["timeout"])


def _refuse_second(package):
    """Raise an error if the host has another engine, which this one would replace or shadow."""
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
    Return the version that ``install`` would install, ``""`` if the present version stays.

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
    Ensure the engine's package is installed as the pillar specifies; return what changed.

    Before anything is installed, a version that does not support the pillar's settings is refused.

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
    noted = swarm_files.record("engine")
    package = noted.get("package")
    # First, because apt does not remove held packages.
    settings = __salt__["swarm_settings.get"]()
    changes = _hold({**settings["engine"], "hold": False}, test)
    have = __salt__["pkg.version"](package) if package else None
    # With containers that are not the formula's, the engine stays.
    if have and not swarm_names.others(settings, __salt__):
        if not test:
            __salt__["pkg.remove"](pkgs=[package, *noted.get("companions", [])])
            _remove_orphans(noted.get("brought", []))
        changes[package] = {"old": have, "new": None}
    if not test:
        swarm_files.note("engine", {})
    return changes
