"""
Who asks this minion for something by way of the master, and how much of its time that is worth.
"""

import contextlib
import fnmatch
from collections.abc import Iterable, Iterator, Mapping

import swarm_errors
import swarm_files

# What Salt gives a function of the job that it is called by; a call from within has none of it.
_JOB, _CALLER = "__pub_", "__pub_id"
_LOCK = "swarm-formula-stranger.lock"


def name(kwargs: Mapping, me: str) -> str:
    """
    Return the minion that calls a function with these ``kwargs``; ``me`` for a call from within.

    Raises an error if the master does not say who it is: a syndic forwards no name, and a job of
    the ``salt`` command has none. It must not count as this minion itself.
    """
    if caller := kwargs.get(_CALLER):
        return str(caller)
    if any(key.startswith(_JOB) for key in kwargs):
        raise swarm_errors.SwarmError(
            f"the master does not say which minion asks {me}: it has to ask by 'publish', and not"
            " by way of a syndic"
        )
    return me


def is_among(caller: str, members: Iterable[str]) -> bool:
    """Say whether a minion is one of these IDs and globs."""
    return any(fnmatch.fnmatchcase(caller, one) for one in members)


@contextlib.contextmanager
def admitted(caller: str, members: Iterable[str]) -> Iterator[None]:
    """
    Let one stranger at a time cost this host more than a look.

    members
        Those by the pillar of the last refresh. Who is not among them may be by the pillar of now,
        which the master has to compile; many that are not must not keep the members waiting.
        Raises a ``BusyError`` if another one is being looked at.
    """
    if is_among(caller, members):
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(swarm_files.alone(_LOCK, limit=0))
        except swarm_errors.WaitTimeoutError as err:
            raise swarm_errors.BusyError(
                f"busy with another minion that is no member yet; {caller} is to ask again"
            ) from err
        yield
