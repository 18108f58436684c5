"""
Read the stacks of a run, and keep what the states tell of them: warnings, and keys without effect.
"""

from collections.abc import Mapping
from typing import Any

from swarm_formula.compose.target import Target
from swarm_formula.salt import dry_run
from swarm_formula.salt.execution import Minion
from swarm_formula.spec import option_table
from swarm_formula.stack import file, objects
from swarm_formula.stack.file import Wanted

# Keys in ``__context__``, for the states.
WARNINGS, IGNORED = "swarm_stack.warnings", "swarm_stack.ignored"


def given(minion: Minion, stacks: Mapping[str, dict[str, Any]], target: Target) -> list[Wanted]:
    """Return stacks with their contents; raise an error if one is wrong, or clashes with others."""
    wanted = [file.given(minion.salt, name, one, target) for name, one in stacks.items()]
    option_table.refuse(objects.collisions([one.stack for one in wanted], minion.settings()))
    for one in wanted:
        if one.stack.ignored:
            text = f"stack {one.stack.name} ignores {', '.join(one.stack.ignored)}"
            minion.context.setdefault(IGNORED, []).append(text)
    return wanted


def noted(
    minion: Minion, changes: dict[str, dict[str, Any]], test: bool
) -> dict[str, dict[str, Any]]:
    """Return changes; note what a dry run would make and remove, for its later states."""
    for kinds in changes.values() if test else ():
        for kind, found in kinds.items():
            dry_run.note(minion.context, kind, found)
    return changes
