"""
Test a container that replaces another one, and report its log if it does not work.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping

from swarm_formula.core import errors


@contextlib.contextmanager
def trial(salt: Mapping[str, Callable], name: str, prove: Callable[[], None]) -> Iterator[None]:
    """
    Run ``prove`` after a container was started; add the container's log to a timeout error.

    prove
        Function that waits until the container works, and raises an error if it does not.
    """
    yield
    try:
        prove()
    except errors.WaitTimeoutError as err:
        words = salt["swarm_container.logs"](name)
        raise type(err)(f"{err}; its last words: {words}") from err


def apply(
    salt: Mapping[str, Callable], name: str, spec: dict, within: Callable, paths: str
) -> dict:
    """
    Apply a container and return what changed; errors name its keys in the pillar (``paths``).

    within
        Function that returns the context manager in which the container is started.
    """
    try:
        return salt["swarm_container.apply"](name, spec, trial=within)
    except errors.SwarmError as err:
        raise type(err)(f"{err} (see {paths})") from err


def replace(
    salt: Mapping[str, Callable], name: str, spec: dict, prove: Callable, paths: str
) -> dict:
    """Apply a container; the previous one is restored if ``prove`` raises an error."""
    return apply(salt, name, spec, functools.partial(trial, salt, name, prove), paths)
