"""
Install, hold and remove the package of the Docker Engine.
"""

import contextlib
import fnmatch
from pathlib import Path

import swarm_dockerd
import swarm_dpkg
import swarm_engine_turn
import swarm_errors
import swarm_files
import swarm_names

# Units that deb-systemd-helper(1p) has masked, and unmasks when the package is installed again.
_MASKED = Path("/var/lib/systemd/deb-systemd-helper-masked")

__virtualname__ = "swarm_package"

# The package that does not restart a running engine; ``swarm_engine.configure`` restarts it.
_QUIET = "docker.io"
# apt allows only one of these on a host. The Docker snap, with its own engine, can coexist.
_ENGINES = ("docker.io", "docker-ce", "docker-ee", "moby-engine", "podman-docker")
_SNAP = Path("/snap/bin/docker")
# Packages of an engine that apt upgrades by themselves. The command line has the engine's versions;
# an upgrade of containerd stops the engine's containers.
_CLI = {"docker.io": "docker-cli", "docker-ce": "docker-ce-cli"}
_CONTAINERD = {"docker.io": "containerd", "docker-ce": "containerd.io"}


def __virtual__():
    return __virtualname__


def _candidate(package, wanted):
    """Return the version that would be installed; refresh the package lists if there is none."""
    unread = ""
    for refresh in (False, True):
        if refresh:
            unread = _unread(__salt__["pkg.refresh_db"]())
        known = _known(package)
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


def _known(package):
    """Return the versions of a package in the repositories."""
    return __salt__["pkg.list_repo_pkgs"](package).get(package, [])


def _companions(engine, candidate):
    """Return the packages to install with the engine, with their versions, ``None`` for any."""
    if engine["package"] not in _CLI:
        return {}
    # Newer Debian packages ship the command line separately. Both are only recommended packages
    # there; without AppArmor's tools, no container starts on a kernel that has it.
    wanted = {_CLI[engine["package"]]: candidate, "apparmor": None}
    found = {}
    for name, version in wanted.items():
        known, have = _known(name), __salt__["pkg.version"](name)
        exact = version if version in known else None
        # Without a version in pillar, what is installed stays.
        if known and (not have or (engine["version"] and exact not in {None, have})):
            found[name] = exact
    return found


def _cli_off_line(engine):
    """Return the command line's package if it has left ``swarm:engine:version``; else ``{}``."""
    name = _CLI.get(engine["package"])
    have = name and engine["version"] and __salt__["pkg.version"](name)
    if not have or fnmatch.fnmatchcase(have, engine["version"]):
        return {}
    wanted = __salt__["pkg.version"](engine["package"])
    return {name: wanted} if wanted in _known(name) else {}


def _listed(pkgs):
    """Return packages in the form of ``pkg.install``."""
    return [{name: version} if version else name for name, version in pkgs.items()]


def _install(package, candidate, companions):
    pkgs = _listed({package: candidate, **companions})
    # Without recommended packages: needrestart is among them and restarts daemons on its own.
    with _released(package):
        __salt__["pkg.install"](pkgs=pkgs, install_recommends=False, refresh=False)
    have = __salt__["pkg.version"](package)
    if not have:
        raise swarm_errors.SwarmError(
            f"{package} {candidate} could not be installed: /var/log/apt/term.log on that"
            " host says why"
        )
    return have


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
    brought = sorted(set(__salt__["pkg.list_pkgs"]()) - set(noted.pop("before")))
    swarm_files.note("engine", {**noted, "brought": brought})


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


def _held(package):
    """Return the packages that this formula has put on hold."""
    noted = swarm_files.record("engine").get("hold") or []
    # Earlier versions held the engine alone, and noted ``True``.
    return [package] if noted is True else noted


def _hold(engine, test):
    """Hold or release the packages of the engine; holds of an administrator stay."""
    package = engine["package"]
    ours, names = _held(package), (package, _CLI.get(package), _CONTAINERD.get(package))
    held = __salt__["pkg.get_selections"](state="hold").get("hold", [])
    if engine["hold"]:
        there = [one for one in names if one and __salt__["pkg.version"](one)]
        due = [one for one in there if one not in held]
        kept = sorted({*ours, *due})
    else:
        due, kept = [one for one in ours if one in held], []
    if not due:
        return {}
    if not test:
        __salt__["pkg.hold" if engine["hold"] else "pkg.unhold"](pkgs=due)
        swarm_files.note("engine", {**swarm_files.record("engine"), "hold": kept})
    return {"hold": {"old": not engine["hold"], "new": engine["hold"], "packages": due}}


@contextlib.contextmanager
def _released(package):
    """Release the formula's holds: a new engine may need a newer containerd."""
    ours = _held(package)
    held = __salt__["pkg.get_selections"](state="hold").get("hold", [])
    if not (due := [one for one in ours if one in held]):
        yield
        return
    __salt__["pkg.unhold"](pkgs=due)
    try:
        yield
    finally:
        __salt__["pkg.hold"](pkgs=due)


@contextlib.contextmanager
def _turn(settings, have, candidate, companions):
    """Hold the turn if the package may restart the engine, as all but Debian's do."""
    package = settings["engine"]["package"]
    if (have and package == _QUIET) or not swarm_dockerd.answers():
        yield
        return
    # The download takes longest, and therefore precedes the turn.
    pkgs = _listed({package: candidate, **companions})
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
    _refuse_other_cli(package)


def _refuse_other_cli(package):
    """Raise an error if apt would remove somebody's command line of another engine."""
    noted = swarm_files.record("engine")
    ours = {*noted.get("companions", []), *noted.get("brought", [])}
    others = [one for name, one in _CLI.items() if name != package and package in _CLI]
    found = [one for one in others if one not in ours and __salt__["pkg.version"](one)]
    if found:
        raise swarm_errors.SwarmError(
            f"this host has {', '.join(found)}, which apt would remove for {package}"
            " (swarm:engine:package). Nothing was installed. Remove it by hand first, or name the"
            " engine that it belongs to"
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
    """Return the version to install; raise an error if this host or the pillar rules it out."""
    engine = settings["engine"]
    if not _masked_by_removal(engine["service"]):
        # The package of an engine that nobody can start would only be left behind.
        swarm_dockerd.refuse_masked(__salt__, engine["service"], settings["id"])
    if not have:
        _refuse_second(engine["package"])
    if not begun:
        _refuse_interrupted()
    if not test:
        swarm_dpkg.await_lock(settings["id"], settings["timeout"], downloads=True)
    candidate = _candidate(engine["package"], engine["version"])
    __salt__["swarm_engine.check"](candidate)
    return candidate


def _follow(settings, test):
    """Ensure the command line has a version of ``swarm:engine:version``, as the engine has."""
    found = _cli_off_line(settings["engine"])
    changes = {
        name: {"old": __salt__["pkg.version"](name), "new": new} for name, new in found.items()
    }
    if found and not test:
        _refuse_interrupted()
        swarm_dpkg.await_lock(settings["id"], settings["timeout"], downloads=True)
        with _released(settings["engine"]["package"]):
            __salt__["pkg.install"](pkgs=_listed(found), install_recommends=False, refresh=False)
    return changes


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
    begun = _is_begun()
    if not test:
        swarm_dpkg.await_lock(settings["id"], settings["timeout"])
        if begun:
            _finish_begun()
    have = __salt__["pkg.version"](engine["package"])
    if have and fnmatch.fnmatchcase(have, engine["version"] or "*"):
        if begun and not test:
            _end()
        finished = {engine["package"]: {"old": None, "new": have}} if begun else {}
        return {**finished, **_follow(settings, test), **_hold(engine, test)}
    candidate = _acceptable(settings, have, begun, test)
    new = candidate
    if not test:
        companions = _companions(engine, candidate)
        absent = [one for one in companions if not __salt__["pkg.version"](one)]
        with _turn(settings, have, candidate, companions):
            first = begun or not have
            with _begun(engine["package"], absent) if first else contextlib.nullcontext():
                new = _install(engine["package"], candidate, companions)
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
