"""
Wait for something, with a limit, and say what was waited for.
"""

import time
from collections.abc import Callable

import swarm_errors

# Grows from the first to the last: most things are there at once, and a slow one is not harried.
# A quarter each time: nobody waits much more than a quarter longer than he has to.
_FIRST, _LAST, _GROWTH = 0.1, 1.0, 1.25


def until(probe: Callable[[], str | None], timeout: float) -> None:
    """
    Call ``probe`` until it returns ``None``; what else it returns is what is still missing.

    Raises ``WaitTimeoutError`` with the last of it after ``timeout`` seconds.
    """
    end = time.monotonic() + timeout
    pause = _FIRST
    while missing := probe():
        if time.monotonic() >= end:
            limit = f"gave up after {timeout:g} s (swarm:timeout): " if timeout else ""
            raise swarm_errors.WaitTimeoutError(f"{limit}{missing}")
        time.sleep(pause)
        pause = min(pause * _GROWTH, _LAST)
