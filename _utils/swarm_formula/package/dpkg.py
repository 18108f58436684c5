"""
Detect and finish the interrupted work of dpkg, and wait for the locks of apt and dpkg.

apt installs nothing after an interruption: https://manpages.debian.org/dpkg(1), ``--configure``.
"""

import fcntl
import subprocess
from pathlib import Path

from swarm_formula.core import host_files, wait
from swarm_formula.package import command

_LOCKS = (Path("/var/lib/dpkg/lock-frontend"), Path("/var/lib/dpkg/lock"))
# apt holds these without dpkg's while it downloads lists and packages, and another apt fails then.
_DOWNLOADS = (Path("/var/lib/apt/lists/lock"), Path("/var/cache/apt/archives/lock"))
# dpkg's journal: after an orderly end it has no file with a number for its name.
_JOURNAL = Path("/var/lib/dpkg/updates")
# Answers to dpkg's question about changed configuration files.
_KEEP = ("--force-confdef", "--force-confold")
# The answers to the questions of packages, and the questions of one package with their defaults.
_ANSWERS, _QUESTIONS = Path("/var/cache/debconf/config.dat"), Path("/var/lib/dpkg/info")
_SETTLED = ("installed", "config-files", "not-installed", "triggers-pending", "triggers-awaited")


def _is_held(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open("r+") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def await_lock(host: str, limit: float, downloads: bool = False) -> None:
    """
    Wait until no dpkg runs: the apt of a killed run continues by itself.

    downloads
        Wait for the locks of apt's downloads as well, which only who changes packages needs.
    """

    def probe() -> str | None:
        held = filter(_is_held, (*_LOCKS, *(_DOWNLOADS if downloads else ())))
        path = next(held, None)
        return f"another apt or dpkg is at work on {host}: it has {path}" if path else None

    wait.until(probe, limit)


def interrupted() -> bool:
    """Return whether apt would refuse to install because dpkg was killed."""
    if any(map(_is_held, _LOCKS)) or not _JOURNAL.is_dir():
        return False
    return any(one.name.isdigit() for one in _JOURNAL.iterdir())


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """Run a command of apt or dpkg."""
    return command.run(*args)


def unfinished() -> list[str]:
    """Return the names of the packages that are neither installed nor removed."""
    listed = run("dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package}\n")
    pairs = (line.split() for line in listed.stdout.splitlines())
    return sorted(name for status, name in pairs if status not in _SETTLED)


def finish() -> str:
    """
    Configure what is unpacked, install again what was unpacked by half; return what went wrong.

    Changed configuration files are kept.
    """
    run("dpkg", *_KEEP, "--configure", "-a")
    if not unfinished():
        return ""
    done = _install("--fix-broken")
    if left := unfinished():
        # apt leaves those alone that came for a package that was not there yet: nothing needs them.
        done = _install("--reinstall", *left)
        left = unfinished()
    return f"{', '.join(left)}: {done.stderr.strip()}" if left else ""


def _install(*args: str) -> subprocess.CompletedProcess[str]:
    keep = [word for one in _KEEP for word in ("-o", f"Dpkg::Options::={one}")]
    return run("apt-get", *keep, "--assume-yes", "--no-install-recommends", "install", *args)


def restarts(package: str) -> bool:
    """
    Return whether a package restarts its daemon with an upgrade, by the answer to its question.

    Ubuntu's docker.io asks, and does as an administrator has answered, perhaps years ago; nobody is
    asked during an apply.
    """
    for path, name, value in (
        (_ANSWERS, "Name", "Value"),
        (_QUESTIONS / f"{package}.templates", "Template", "Default"),
    ):
        for stanza in (host_files.read(path) or "").split("\n\n"):
            fields = dict(line.partition(": ")[::2] for line in stanza.splitlines())
            if fields.get(name) == f"{package}/restart" and value in fields:
                return fields[value] == "true"
    return False
