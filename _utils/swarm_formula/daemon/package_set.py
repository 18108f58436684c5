"""
What an engine is made of: the packages that are installed, pinned and held together. Pure.
"""

from collections.abc import Mapping
from typing import NamedTuple

# When a package that is absent is installed: with the engine and with each change of its version,
# with a new engine only, never.
ALWAYS, NEW, NEVER = "always", "new", "never"


class Member(NamedTuple):
    """A package that belongs to an engine."""

    # Is built from the engine's source, and has its version in most releases of it.
    shares: bool = False
    # Has the engine's version in all releases, so that another one is a fault.
    strict: bool = False
    brought: str = NEVER
    held: bool = True


class Engine(NamedTuple):
    """An engine, which one package stands for."""

    members: Mapping[str, Member]
    # Whether the package leaves a running engine alone; ``swarm_engine.configure`` restarts it.
    # Ubuntu's asks whether to restart it: see ``package.dpkg.restarts``.
    quiet: bool = False


# No container starts on a kernel with AppArmor if its tools are missing; both only recommend them.
_APPARMOR = Member(brought=ALWAYS, held=False)

# The dependencies: https://salsa.debian.org/docker-team/docker and docker/docker-ce-packaging.
# containerd has its own versions; it is held, because its upgrade stops containers (lp#1870514).
ENGINES = {
    "docker.io": Engine(
        {
            # A package of its own since Debian 13, and only recommended.
            "docker-cli": Member(shares=True, brought=ALWAYS),
            "apparmor": _APPARMOR,
            "containerd": Member(),
            "runc": Member(),
        },
        quiet=True,
    ),
    "docker-ce": Engine(
        {
            # A dependency without a version: apt would leave another one as it is.
            "docker-ce-cli": Member(shares=True, strict=True, brought=ALWAYS),
            "docker-ce-rootless-extras": Member(shares=True, strict=True),
            "containerd.io": Member(brought=ALWAYS),
            "docker-buildx-plugin": Member(brought=NEW),
            "docker-compose-plugin": Member(brought=NEW),
            "apparmor": _APPARMOR,
        }
    ),
}


def engine(package: str) -> Engine:
    """Return what this engine is made of; of an unknown one, the package alone is known."""
    return ENGINES.get(package, Engine({}))


def held(package: str) -> list[str]:
    """Return the packages that a hold of the engine holds, as far as they are installed."""
    return [package, *(name for name, one in engine(package).members.items() if one.held)]


def shared(package: str, strict: bool = False) -> list[str]:
    """Return the packages with the engine's version; with ``strict``, where another is a fault."""
    members = engine(package).members.items()
    return [name for name, one in members if one.shares and (one.strict or not strict)]


def wanted(package: str, new: bool) -> list[str]:
    """
    Return the packages that are installed with the engine if they are absent.

    new
        Whether the engine itself is absent as well.
    """
    times = {ALWAYS, NEW} if new else {ALWAYS}
    return [name for name, one in engine(package).members.items() if one.brought in times]


def optional(package: str) -> set[str]:
    """Return the packages that an engine works without."""
    return {name for name, one in engine(package).members.items() if one.brought == NEW}


def own(package: str) -> list[str]:
    """Return the packages that go when another engine takes the place of this one."""
    # apparmor is not the engine's alone. containerd goes only if it conflicts with the other's.
    kept = {"apparmor", "containerd", "runc", "containerd.io"}
    return [package, *(name for name in engine(package).members if name not in kept)]


def names(package: str) -> set[str]:
    """Return all packages of an engine."""
    return {package, *engine(package).members}
