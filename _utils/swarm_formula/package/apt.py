"""
Ask apt what an installation would change, and have it read a repository.

https://manpages.debian.org/apt-get(8), ``--simulate`` and ``update``.
"""

import re
from collections.abc import Collection
from pathlib import Path

from swarm_formula.core import errors
from swarm_formula.package import dpkg, transaction
from swarm_formula.package.transaction import Plan, Requests

# Inst docker-ce [5:28.5.1] (5:28.5.2 Docker CE:bookworm [amd64])
_INSTALLED = r"(?m)^Inst (\S+)(?: \[([^\]]*)\])? \((\S+)"
_REMOVED = r"(?m)^Remv (\S+) \[([^\]]*)\]"
# containerd (>= 1.4~), systemd | systemd-sysusers
_NEEDED = r"(?m)(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]*)"
_UNREAD = ("Failed to fetch", "GPG error")
# The set is released from its hold for the installation.
_OPTIONS = (
    "--no-install-recommends",
    "--allow-downgrades",
    "--allow-change-held-packages",
    "--option=APT::Ignore-Hold=true",
)


def words(requests: Requests) -> list[str]:
    """Return packages as arguments of apt-get."""
    return ["=".join(filter(None, one)) for one in transaction.pairs(requests)]


def simulate(requests: Requests) -> Plan:
    """Return what the installation of these packages would change; raise what apt objects to."""
    asked = words(requests)
    done = dpkg.run("apt-get", "--simulate", "--assume-yes", *_OPTIONS, "install", *asked)
    if done.returncode:
        raise errors.SwarmError(
            f"apt cannot install {' '.join(asked)}, and nothing was changed:"
            f" {_objection(done.stdout, done.stderr)}"
        )
    installed = {name: (old or None, new) for name, old, new in re.findall(_INSTALLED, done.stdout)}
    # apt removes a package for a moment to configure another one in between.
    gone = {name: old for name, old in re.findall(_REMOVED, done.stdout) if name not in installed}
    return Plan(installed, gone)


def brought_by(packages: Collection[str]) -> set[str]:
    """Return the packages that these installed ones need, and that nobody has asked apt for."""
    if not packages:
        # dpkg-query would show all.
        return set()
    fields = ("--showformat", "${Pre-Depends}, ${Depends}, ${Recommends}\\n")
    shown = dpkg.run("dpkg-query", "--show", *fields, *packages).stdout
    needed = set(re.findall(_NEEDED, shown))
    return needed & set(dpkg.run("apt-mark", "showauto").stdout.split())


def update(source: Path) -> None:
    """Have apt read the repositories of one file; raise an error if it cannot."""
    only = (f"Dir::Etc::SourceList={source}", "Dir::Etc::SourceParts=-", "APT::Get::List-Cleanup=0")
    done = dpkg.run("apt-get", *(f"--option={one}" for one in only), "update")
    # Of a repository that it knew before, apt only warns.
    if done.returncode or any(word in done.stderr for word in _UNREAD):
        raise errors.SwarmError(
            "apt cannot read the repository (swarm:engine:repository), and nothing was changed:"
            f" {'; '.join(done.stderr.split(chr(10))[:4]).strip('; ')}"
        )


def _objection(out: str, err: str) -> str:
    """Return the unmet dependencies and the errors from apt's output, in one line."""
    unmet = out.partition("unmet dependencies:\n")[2]
    lines = [line.strip() for line in (*unmet.splitlines(), *err.splitlines())]
    return "; ".join(line for line in lines if line and not line.startswith("W:")) or "no reason"
