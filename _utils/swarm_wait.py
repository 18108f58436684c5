"""
Wait for something, with a limit, and say what was waited for.
"""

import random
import time
from collections.abc import Callable

import swarm_errors

# Grows from the first to the last: most things are there at once, and a slow one is not harried.
# A quarter each time: nobody waits much more than a quarter longer than he has to.
_FIRST, _LAST, _GROWTH = 0.1, 1.0, 1.25


def until(
    probe: Callable[[], str | None], timeout: float, moving: bool = False, slow: float = 1
) -> None:
    """
    Call ``probe`` until it returns ``None``; what else it returns is what is still missing.

    Raises ``WaitTimeoutError`` with the last of it after ``timeout`` seconds.

    moving
        The limit begins again whenever what is missing is something that it was not before, as in
        a queue that moves on.

    slow
        So many times longer are the pauses, by chance a bit more or less: for many who ask one.
    """
    end = time.monotonic() + timeout
    pause, seen = _FIRST, set()
    while missing := probe():
        now = time.monotonic()
        if moving and missing not in seen:
            seen.add(missing)
            end = now + timeout
        if now >= end:
            limit = f"gave up after {timeout:g} s (swarm:timeout): " if timeout else ""
            raise swarm_errors.WaitTimeoutError(f"{limit}{missing}")
        time.sleep(pause * slow * (random.uniform(0.5, 1.5) if slow > 1 else 1))  # noqa: S311
        pause = min(pause * _GROWTH, _LAST)


def asked(function: Callable[[], object], error: type[Exception], timeout: float) -> object:
    """Return what ``function`` returns; it is called again for ``timeout`` seconds if it fails."""
    found, failed = [], []

    def probe() -> str | None:
        try:
            found.append(function())
        except error as err:
            failed[:] = [err]
            return str(err) or repr(err)
        return None

    try:
        until(probe, timeout)
    except swarm_errors.WaitTimeoutError:
        raise failed[0] from None
    return found[0]
