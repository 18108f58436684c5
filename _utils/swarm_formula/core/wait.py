"""
Wait for a condition with a time limit, and report what is missing.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from swarm_formula.core import errors

T = TypeVar("T")

# The pause grows from the first to the last value: most conditions are met at once, and a slow
# service is not polled too often. It grows by a quarter each time, so that a wait takes at most
# about a quarter longer than necessary.
_FIRST, _LAST, _GROWTH = 0.1, 1.0, 1.25


def until(
    probe: Callable[[], str | None],
    timeout: float,
    moving: bool = False,
    slow: float = 1,
    fixed: bool = False,
) -> None:
    """
    Call ``probe`` until it returns ``None``; any other result tells what is still missing.

    Raise ``WaitTimeoutError`` with the last result after ``timeout`` seconds.

    moving
        Restart the time limit whenever ``probe`` returns a text that it has not returned before, as
        in a queue that advances.

    slow
        Factor for the pauses; if above 1, they vary at random: for many callers of one service. If
        below 1, only the longest pause is shorter: for few callers, and what is about to happen.

    fixed
        The limit does not come from ``swarm:timeout``: do not name that key in the error.
    """
    end = time.monotonic() + timeout
    pause = _FIRST
    seen: set[str] = set()
    while missing := probe():
        now = time.monotonic()
        if moving and missing not in seen:
            seen.add(missing)
            end = now + timeout
        if now >= end:
            key = "" if fixed else " (swarm:timeout)"
            limit = f"gave up after {timeout:g} s{key}: " if timeout else ""
            raise errors.WaitTimeoutError(f"{limit}{missing}")
        time.sleep(pause * (slow * random.uniform(0.5, 1.5) if slow > 1 else 1))  # noqa: S311
        pause = min(pause * _GROWTH, _LAST * min(slow, 1))


def asked(function: Callable[[], T], error: type[Exception], timeout: float) -> T:
    """Return the result of ``function``; retry for up to ``timeout`` seconds on ``error``."""
    found: list[T] = []
    failed: list[Exception] = []

    def probe() -> str | None:
        try:
            found.append(function())
        except error as err:
            failed[:] = [err]
            return str(err) or repr(err)
        return None

    try:
        until(probe, timeout)
    except errors.WaitTimeoutError:
        raise failed[0] from None
    return found[0]
