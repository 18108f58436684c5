"""
An end to every call over HTTP, also where the other side never falls silent.

``requests`` limits each silence, not the whole: of who answers a byte now and then it never tires.
"""

import functools
import queue
import threading
from collections.abc import Callable
from typing import Any

import requests

# A whole answer may take so many times as long as one silence in it.
_FACTOR = 2


class Bound:
    """For a class that is a ``requests.Session``: each of its calls has a whole deadline."""

    def send(self, request: Any, timeout: Any = None, **kwargs: Any) -> Any:
        """Send; a ``requests.ReadTimeout`` if it takes too long. Without ``timeout``, no end."""
        send = functools.partial(super().send, request, timeout=timeout, **kwargs)
        silence = timeout[-1] if isinstance(timeout, tuple) else timeout
        return within(silence * _FACTOR, send) if silence else send()


class Session(Bound, requests.Session):
    """A session of ``requests`` whose calls have a whole deadline."""


def within(seconds: float, call: Callable) -> Any:
    """
    Return what ``call`` returns; a ``requests.ReadTimeout`` if it takes longer than ``seconds``.

    What takes longer is left alone, in a thread that ends with the process: a socket from which
    somebody reads cannot be closed by whoever waits for him.
    """
    answers = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((call(), None))
        except BaseException as err:
            answers.put((None, err))

    threading.Thread(target=run, daemon=True).start()
    try:
        answer, err = answers.get(timeout=seconds)
    except queue.Empty:
        raise requests.exceptions.ReadTimeout(
            f"no whole answer within {seconds:g} s: timed out"
        ) from None
    if err is not None:
        raise err
    return answer
