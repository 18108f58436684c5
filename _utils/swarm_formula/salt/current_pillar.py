"""
Let functions that operators call use the current pillar, and tell whether a minion has it.

A minion's ``__pillar__`` dates from its last refresh; only a state run has the current pillar.
"""

import contextlib
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from swarm_formula.core import normalize

_KEY = "swarm_current.pillar"


@contextlib.contextmanager
def pillar(context: MutableMapping[str, Any], fresh: bool = True) -> Iterator[None]:
    """
    Let ``swarm_settings.get`` return the settings of the current pillar; it is compiled once.

    context
        ``__context__``, which all modules of a minion's process share.

    fresh
        ``False`` in a state run, whose pillar may have values from the command line.
    """
    before = context.get(_KEY)
    context[_KEY] = [] if fresh and before is None else before
    try:
        yield
    finally:
        context[_KEY] = before


def find(
    context: MutableMapping[str, Any], compiled: Callable[[], dict[str, Any]]
) -> dict[str, Any] | None:
    """Return the current pillar inside of ``pillar``, ``None`` outside."""
    kept: list[dict[str, Any]] | None = context.get(_KEY)
    if kept is None:
        return None
    if not kept:
        kept.append(compiled())
    return kept[0]


def digest(given: object) -> str:
    """Return a hash of the pillar ``swarm``: master and minion can tell whether theirs differ."""
    return normalize.short_hash(normalize.plain(given))
