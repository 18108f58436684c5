"""Which commands of the lab may run at the same time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from lab.config import Settings
from lab.run import say


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Lets one command at a time change labs on this machine."""
    settings.cache.mkdir(parents=True, exist_ok=True)
    with (settings.cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another lab command to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Borrowing:
    """
    A hold on the engine for as long as this process lives, without a lab on it.

    Whoever would stop the engine asks `held` before.
    """

    def __init__(self, settings: Settings) -> None:
        settings.cache.mkdir(parents=True, exist_ok=True)
        self._file = (settings.cache / "borrowed").open("w")
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def end(self) -> None:
        """Ends the hold."""
        self._file.close()


def held(settings: Settings) -> bool:
    """Tells whether a process has a hold on the engine."""
    with (settings.cache / "borrowed").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
