"""
Test a container that replaces another one, and report its log if it does not work.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from swarm_formula.core import errors
from swarm_formula.core.salt_types import Salt
from swarm_formula.docker.container_actions import Trial


@contextlib.contextmanager
def trial(salt: Salt, name: str, prove: Callable[[], None]) -> Iterator[None]:
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
    salt: Salt,
    name: str,
    spec: dict[str, Any],
    within: Trial,
    paths: str,
) -> dict[str, Any]:
    """
    Apply a container and return what changed; errors name its keys in the pillar (``paths``).

    within
        Function that returns the context manager in which the container is started.
    """
    with named(paths):
        changes: dict[str, Any] = salt["swarm_container.apply"](name, spec, trial=within)
    return changes


@contextlib.contextmanager
def named(paths: str) -> Iterator[None]:
    """Have errors name the keys of a container in the pillar."""
    try:
        yield
    except errors.SwarmError as err:
        raise type(err)(f"{err} (see {paths})") from err


def replace(
    salt: Salt,
    name: str,
    spec: dict[str, Any],
    prove: Callable[[], None],
    paths: str,
) -> dict[str, Any]:
    """Apply a container; the previous one is restored if ``prove`` raises an error."""
    return apply(salt, name, spec, functools.partial(trial, salt, name, prove), paths)
