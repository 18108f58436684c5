"""
Limit the duration of every HTTP call, even if the server never stops sending.

``requests`` limits each silence, not the whole call: a byte now and then keeps the call open.
"""

import functools
import queue
import threading
from collections.abc import Callable
from typing import Any

import requests

# Limit of a whole call, as a multiple of the limit of one silence in it.
_FACTOR = 2


class Bound:
    """Mixin for a ``requests.Session``: each call has a deadline as a whole."""

    def send(self, request: Any, timeout: Any = None, **kwargs: Any) -> Any:
        """Send; raise ``requests.ReadTimeout`` if it takes too long. No ``timeout``, no limit."""
        send = functools.partial(super().send, request, timeout=timeout, **kwargs)
        silence = timeout[-1] if isinstance(timeout, tuple) else timeout
        return within(silence * _FACTOR, send) if silence else send()


class Session(Bound, requests.Session):
    """A ``requests`` session whose calls have a deadline as a whole."""


def within(seconds: float, call: Callable) -> Any:
    """
    Return what ``call`` returns; raise ``requests.ReadTimeout`` after ``seconds``.

    A call that takes longer is abandoned in a thread that ends with the process: a socket cannot be
    closed while another thread reads from it.
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
