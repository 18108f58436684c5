"""
Limit the duration of every HTTP call, even if the server never stops sending.

``requests`` limits each silence, not the whole call: a byte now and then keeps the call open.
"""

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import requests

T = TypeVar("T")

# Limit of a whole call, as a multiple of the limit of one silence in it.
_FACTOR = 2


class Session(requests.Session):
    """A ``requests`` session whose calls have a deadline as a whole; also a mixin for others."""

    def send(self, request: Any, timeout: Any = None, **kwargs: Any) -> requests.Response:
        """Send; raise ``requests.ReadTimeout`` if it takes too long. No ``timeout``, no limit."""
        send = functools.partial(super().send, request, timeout=timeout, **kwargs)
        silence = timeout[-1] if isinstance(timeout, tuple) else timeout
        return within(silence * _FACTOR, send) if silence else send()


def within(seconds: float, call: Callable[[], T]) -> T:
    """
    Return what ``call`` returns; raise ``requests.ReadTimeout`` after ``seconds``.

    A call that takes longer is abandoned in a thread that ends with the process: a socket cannot be
    closed while another thread reads from it.
    """
    answers: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(call())
        except BaseException as err:
            failures.append(err)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failures:
        raise failures[0]
    if answers:
        return answers[0]
    raise requests.exceptions.ReadTimeout(f"no whole answer within {seconds:g} s: timed out")
