"""
Identify the minion that calls this one through the master, and limit the work for non-members.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from swarm_formula.core import errors, host_files, member_rules
from swarm_formula.core.settings_types import Settings

# Salt describes the job in keyword arguments with a prefix; a local call has none of them.
_CALLER = "__pub_id"
_LOCK = "swarm-formula-stranger.lock"


def name(kwargs: Mapping[str, Any], me: str) -> str:
    """
    Return the minion that calls a function with these ``kwargs``.

    Raises an error if the master does not name the caller: a syndic does not forward the name, and
    a job of the ``salt`` command has none. Such a caller must not be taken for this minion itself,
    which therefore names itself, see ``local``.
    """
    if caller := kwargs.get(_CALLER):
        return str(caller)
    raise errors.SwarmError(
        f"the master does not say which minion asks {me}: it has to ask by 'publish', and not"
        " by way of a syndic"
    )


def local(me: str) -> dict[str, str]:
    """Return the keyword arguments of a call by this minion itself."""
    return {_CALLER: me}


@contextlib.contextmanager
def asked(kwargs: Mapping[str, Any], me: str, settings: Callable[[], Settings]) -> Iterator[bool]:
    """
    Admit the caller of a function that other minions may call; yield whether it is another minion.

    Called by the ``salt`` command or by this minion, it is admitted at once.

    settings
        Returns the settings by the pillar of the last refresh, which cost nothing.
    """
    caller = kwargs.get(_CALLER)
    if not caller or caller == me:
        yield False
        return
    with admitted(str(caller), member_rules.members(settings())):
        yield True


@contextlib.contextmanager
def admitted(caller: str, members: Iterable[str]) -> Iterator[None]:
    """
    Admit members at once, and other minions one at a time.

    members
        The members by the pillar of the last refresh. Another minion may be a member by the current
        pillar, which the master has to compile first; many non-members must not keep the members
        waiting. Raises a ``BusyError`` if another such minion is being checked.
    """
    if member_rules.is_among(caller, members):
        yield
        return
    words = f"busy with another minion that is no member yet; {caller} is to ask again"
    with unqueued(host_files.alone(_LOCK, limit=0), lambda _: words):
        yield


@contextlib.contextmanager
def unqueued(
    lock: contextlib.AbstractContextManager[object], words: Callable[[Exception], str] = str
) -> Iterator[None]:
    """
    Hold a lock; raise a ``BusyError`` if it is not free within its limit.

    words
        Returns the text of that error, from the timeout of the lock.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock)
        except errors.WaitTimeoutError as err:
            raise errors.BusyError(words(err)) from err
        yield
