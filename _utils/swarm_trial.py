"""
The trial of a container that replaces another: what proves that it works, and what is said if not.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping

import swarm_errors


@contextlib.contextmanager
def trial(salt: Mapping[str, Callable], name: str, prove: Callable[[], None]) -> Iterator[None]:
    """
    Give what a container is started within: its error has the container's last words.

    prove
        Waits until the container does its work, and raises an error if it does not.
    """
    yield
    try:
        prove()
    except swarm_errors.WaitTimeoutError as err:
        words = salt["swarm_container.logs"](name)
        raise type(err)(f"{err}; its last words: {words}") from err


def apply(
    salt: Mapping[str, Callable], name: str, spec: dict, within: Callable, paths: str
) -> dict:
    """
    Apply a container; an error says where in the pillar it comes from. Return what changed.

    within
        Gives what it is started within.
    """
    try:
        return salt["swarm_container.apply"](name, spec, trial=within)
    except swarm_errors.SwarmError as err:
        raise type(err)(f"{err} (see {paths})") from err


def replace(
    salt: Mapping[str, Callable], name: str, spec: dict, prove: Callable, paths: str
) -> dict:
    """Apply a container; the one of before comes back if ``prove`` raises an error."""
    return apply(salt, name, spec, functools.partial(trial, salt, name, prove), paths)
