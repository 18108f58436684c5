"""
Ask dnf and rpm about packages, and have them installed and removed.

https://dnf.readthedocs.io/en/latest/command_ref.html. The locks of the plugin versionlock do not
count here: the formula sets them, and moves them with the engine.
"""

import re
import subprocess
from collections.abc import Iterable, Mapping

from swarm_formula.core import errors
from swarm_formula.package import command, transaction
from swarm_formula.package.transaction import Plan, Requests

_FREE = "--disableplugin=versionlock"
_QUERY = "%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\n"
# Without weak dependencies, as with apt; the versions that are asked for, or none.
_OPTIONS = (_FREE, "--setopt=install_weak_deps=False", "--best")
# ---> Package docker-ce.x86_64 3:28.5.2-1.el9 will be an upgrade
_STEP = r"(?m)^---> Package (\S+)\.[^.\s]+ (\S+) will be (?:a |an )?(\S+)$"
_COMES = ("installed", "upgrade", "downgrade", "reinstalled", "obsoleting")
_GOES = ("erased", "obsoleted")
_FAILED = r"(?m)for repo(?:sitory)? '([^']+)'"


def words(requests: Requests) -> list[str]:
    """Return packages as arguments of dnf."""
    return ["-".join(filter(None, one)) for one in transaction.pairs(requests)]


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """Run dnf without its locks."""
    return command.run("dnf", args[0], *_OPTIONS, *args[1:])


def change(what: str, *args: str) -> None:
    """Have dnf change packages; raise an error if it does not."""
    done = run(what, "--assumeyes", *args)
    if done.returncode:
        raise errors.SwarmError(f"dnf {what} failed: {objection(done)}")


def objection(done: subprocess.CompletedProcess[str]) -> str:
    """Return dnf's error, in one line."""
    said = f"{done.stderr}\n{done.stdout}"
    text = said[said.find("Error:") :] if "Error:" in said else done.stderr
    lines = [line.strip() for line in text.splitlines()]
    return "; ".join(line for line in lines if line)[:1000] or "no reason"


def installed() -> dict[str, list[str]]:
    """Return the versions of all packages: two of one after an interruption."""
    done = command.run("rpm", "--query", "--all", "--queryformat", f"%{{NAME}} {_QUERY}")
    if done.returncode:
        raise errors.SwarmError(f"rpm cannot read its database: {objection(done)}")
    found: dict[str, list[str]] = {}
    for name, version in map(str.split, done.stdout.splitlines()):
        found.setdefault(name, []).append(version)
    # rpm keeps the keys of repositories among them.
    found.pop("gpg-pubkey", None)
    return found


def available(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the versions that the repositories have of these packages."""
    shape = ("--quiet", "--showduplicates", "--queryformat", "%{name} %{evr}")
    done = run("repoquery", *shape, *sorted(names))
    if done.returncode:
        raise errors.SwarmError(f"dnf cannot read its repositories: {objection(done)}")
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        name, _, one = line.partition(" ")
        found.setdefault(name, []).append(one)
    return found


def unneeded() -> set[str]:
    """Return the packages that came as dependencies, and that nothing needs any more."""
    shape = ("--quiet", "--disablerepo=*", "--unneeded", "--queryformat", "%{name}")
    return set(run("repoquery", *shape).stdout.split())


def refresh() -> list[str]:
    """Read all repositories again; return those that dnf could not read."""
    return sorted(set(re.findall(_FAILED, run("makecache", "--refresh").stderr)))


def simulate(requests: Requests, here: Mapping[str, list[str]]) -> Plan:
    """
    Return what the installation of these packages would change; raise what dnf objects to.

    If it would only be possible without other packages, these are among the removed ones.

    here
        The versions of the installed packages.
    """
    done = _simulated(words(requests))
    if done.returncode and not _steps(done):
        erasing = _simulated(["--allowerasing", *words(requests)])
        if not _plan(erasing, here).removed:
            raise errors.SwarmError(
                f"dnf cannot install {' '.join(words(requests))}, and nothing was changed:"
                f" {objection(done)}"
            )
        done = erasing
    return _plan(done, here)


def _simulated(args: list[str]) -> subprocess.CompletedProcess[str]:
    return run("install", "--verbose", "--assumeno", *args)


def _steps(done: subprocess.CompletedProcess[str]) -> list[tuple[str, str, str]]:
    return re.findall(_STEP, done.stdout)


def _plan(done: subprocess.CompletedProcess[str], here: Mapping[str, list[str]]) -> Plan:
    steps = _steps(done)
    comes = {name: new for name, new, what in steps if what in _COMES}
    gone = {name: old for name, old, what in steps if what in _GOES and name not in comes}
    old = {name: next(iter(here.get(name, [])), None) for name in comes}
    return Plan({name: (old[name], new) for name, new in comes.items()}, gone)
