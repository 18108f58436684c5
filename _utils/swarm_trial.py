"""
The trial of a container that replaces another: what proves that it works, and what is said if not.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping

import swarm_errors


@contextlib.contextmanager
def trial(
    salt: Mapping[str, Callable], name: str, prove: Callable[[], None], paths: str
) -> Iterator[None]:
    """
    Give what a container is started within: its error has the container's last words and the cause.

    prove
        Waits until the container does its work, and raises an error if it does not.

    paths
        Where in the pillar the container comes from.
    """
    try:
        yield
        prove()
    except swarm_errors.WaitTimeoutError as err:
        words = salt["swarm_container.logs"](name)
        raise type(err)(f"{err}; its last words: {words} (see {paths})") from err
    except swarm_errors.NotRunningError as err:
        raise type(err)(f"{err} (see {paths})") from err
