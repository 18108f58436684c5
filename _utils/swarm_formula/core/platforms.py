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


# By Salt's grain ``os_family``.
TABLE = {"Debian": Platform("apt", "Debian and Ubuntu")}


def of(grains: Mapping[str, object]) -> Platform:
    """Return the row of this host; Debian's if its family is not known, see ``refusal``."""
    return TABLE.get(str(grains.get("os_family") or ""), TABLE["Debian"])


def refusal(minion: str, grains: Mapping[str, object]) -> str | None:
    """Return why this host cannot be a node, ``None`` if it can or if it is not known."""
    family = str(grains.get("os_family") or "")
    if not family or family in TABLE:
        return None
    name = " ".join(str(grains[one]) for one in ("os", "osrelease") if grains.get(one)) or family
    known = "; ".join(f"{one.hosts}, with {one.packages}" for one in TABLE.values())
    return (
        f"{minion} runs {name} (os_family {family}), and this formula installs engines on {known}"
        f" only: nothing was changed; take {minion} out of swarm:managers and swarm:nodes, and out"
        " of what its pillar is assigned to"
    )
