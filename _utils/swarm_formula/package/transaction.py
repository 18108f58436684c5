"""
Name what the package managers have in common: what they are asked for, and what they change.
"""

from collections.abc import Sequence
from typing import NamedTuple

# As for ``pkg.install``: names, or names with a version.
Requests = Sequence[str | dict[str, str]]


class Plan(NamedTuple):
    """What an installation changes, with versions: ``{name: (old, new)}`` and ``{name: old}``."""

    installed: dict[str, tuple[str | None, str]]
    removed: dict[str, str]


class Words(NamedTuple):
    """A package manager in messages: its name, and what an administrator runs."""

    name: str
    log: str  # where it says more
    refresh: str  # reads the repositories, and says what is wrong
    versions: str  # lists the versions of a package
    mend: str  # shows the error of an interrupted run


def pairs(requests: Requests) -> list[tuple[str, str | None]]:
    """Return the name and the version of each request."""
    return [(one, None) if isinstance(one, str) else next(iter(one.items())) for one in requests]
