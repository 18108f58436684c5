"""
The interface of a key-value store as discovery and election need it, and its errors.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass


class StoreError(Exception):
    """The store does not answer or refuses."""


@dataclass(frozen=True)
class Endpoint:
    """Where a store answers: ``host:port`` and, for HTTPS, the TLS context."""

    address: str
    tls: ssl.SSLContext | None = None

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 30.0,
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request; return status, headers in lower case and body."""
        try:
            connection = self._connection(timeout)
            try:
                connection.request(method, path, body=body, headers=headers or {})
                answer = connection.getresponse()
                data = answer.read()
                found = {key.lower(): value for key, value in answer.getheaders()}
                return answer.status, found, data
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as err:
            scheme = "https" if self.tls else "http"
            place = f"{scheme}://{self.address}{path}"
            raise StoreError(f'{method.capitalize()} "{place}": {_words(err)}') from err

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self.tls:
            return http.client.HTTPSConnection(self.address, timeout=timeout, context=self.tls)
        return http.client.HTTPConnection(self.address, timeout=timeout)


def _words(err: Exception) -> str:
    if isinstance(err, ConnectionRefusedError):
        return "dial tcp: connect: connection refused"
    if isinstance(err, socket.gaierror):
        return "dial tcp: lookup: no such host"
    return str(err) or type(err).__name__


class Held:
    """A lock that is held; ``lost`` is set when it is not any more."""

    def __init__(self) -> None:
        self.lost = threading.Event()


def start(target: Callable[..., object], *args: object) -> threading.Thread:
    """Run ``target`` in a thread that does not keep the program alive."""
    thread = threading.Thread(target=target, args=args, daemon=True)
    thread.start()
    return thread
