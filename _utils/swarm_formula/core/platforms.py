"""
Name the operating systems that the formula works on, one row for each family: nothing else asks for
the operating system. Pure.

A family without a row is refused before anything is changed. A new row needs a manager of packages
(``package.manager``) and the files of its repositories (``package.sources``).
"""

from collections.abc import Mapping
from typing import NamedTuple


class Platform(NamedTuple):
    """What the formula has to know of a family of operating systems."""

    packages: str  # the package manager, with which the engine is installed, pinned and held
    hosts: str  # what of the family has that, for people
    key: str  # the fingerprint of the key with which Docker signs the family's packages
    modules: str  # how a host gets kernel modules that are missing
    lacks: str = ""  # why no engine can be installed on such a host yet


# By Salt's grain ``os_family``. The keys: https://docs.docker.com/engine/install/, by system.
TABLE = {
    "Debian": Platform(
        packages="apt",
        hosts="Debian and Ubuntu",
        key="9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
        modules="the package with its further modules (linux-modules-extra, kernel-modules-extra),"
        " or boot a full kernel",
    ),
    "RedHat": Platform(
        packages="dnf",
        hosts="RHEL and its relatives",
        key="060A61C51B558A7F742B77AAC52FEB6B621E9F35",
        modules="its further modules with 'dnf install kernel-modules-extra', and reboot if that"
        " brings a newer kernel",
    ),
    "Suse": Platform(
        packages="zypper",
        hosts="SUSE",
        key="",
        modules="kernel-default in place of kernel-default-base",
        lacks="zypper is not supported yet",
    ),
}


def of(grains: Mapping[str, object]) -> Platform:
    """Return the row of this host; Debian's if its family is not known, see ``refusal``."""
    return TABLE.get(str(grains.get("os_family") or ""), TABLE["Debian"])


def refusal(minion: str, grains: Mapping[str, object]) -> str | None:
    """Return why this host cannot be a node, ``None`` if it can or if it is not known."""
    family = str(grains.get("os_family") or "")
    row = TABLE.get(family)
    if not family or (row and not row.lacks):
        return None
    name = " ".join(str(grains[one]) for one in ("os", "osrelease") if grains.get(one)) or family
    rows = [one for one in TABLE.values() if not one.lacks]
    known = "; ".join(f"{one.hosts}, with {one.packages}" for one in rows)
    why = f"{row.lacks}, and " if row else ""
    return (
        f"{minion} runs {name} (os_family {family}): {why}this formula installs engines on"
        f" {known} only: nothing was changed; take {minion} out of swarm:managers and swarm:nodes,"
        " and out of what its pillar is assigned to"
    )
