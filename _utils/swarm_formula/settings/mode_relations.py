"""
Choose the checks of a mode for settings against each other: each mode has a module with them.
"""

from collections.abc import Iterator
from typing import Protocol

from swarm_formula.core.faults import Fault
from swarm_formula.core.settings_types import Draft, Mode
from swarm_formula.settings import builtin_relations, classic_relations


class Relations(Protocol):
    """The checks of a mode, in a module with these functions."""

    def faults(self, settings: Draft, /) -> Iterator[Fault]:
        """Yield the faults of settings that this mode does not have or take."""

    def warnings(self, settings: Draft, /) -> list[str]:
        """Return warnings about settings that are allowed but unwise."""


_OF_MODE: dict[Mode, Relations] = {"classic": classic_relations, "builtin": builtin_relations}


def of(settings: Draft) -> Relations:
    """Return the checks of the mode in the settings."""
    return _OF_MODE[settings["mode"]]
