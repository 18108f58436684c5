"""
Speak HTTP to a Docker Engine: one request per connection, JSON in and out.
"""

import errno
import http.client
import json
import socket
import ssl
from http import HTTPStatus

from .golang import split_host_port

# The original's client speaks at most this version, and dials for at most this long.
CLIENT_VERSION = (1, 31)
DIAL_TIMEOUT = 30.0
KEEPALIVE = 30


class EngineError(Exception):
    """The engine answered with an error; ``status`` is the HTTP status, 0 if none came."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status

    @property
    def missing(self) -> bool:
        """Whether the engine says that the object does not exist."""
        return self.status == HTTPStatus.NOT_FOUND


class UnreachableError(EngineError):
    """No connection to the engine: what makes an engine unhealthy when it repeats."""


def dial(address: str, tls: ssl.SSLContext | None, timeout: float = DIAL_TIMEOUT) -> socket.socket:
    """Connect to ``host:port``; the socket has no read time-out but TCP keep-alive."""
    host, port = split_host_port(address)
    sock = socket.create_connection((host, int(port)), timeout=timeout)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE)
    if tls:
        sock = tls.wrap_socket(sock, server_hostname=host)
    sock.settimeout(None)
    return sock


def open_request(  # noqa: PLR0913, PLR0917
    address: str,
    tls: ssl.SSLContext | None,
    method: str,
    path: str,
    body: object = None,
    timeout: float | None = None,
    headers: dict[str, str] | None = None,
) -> http.client.HTTPResponse:
    """Send a request and return the answer with its body unread; bytes or JSON as body."""
    try:
        connection = http.client.HTTPConnection(address)
        connection.sock = dial(address, tls)
        connection.sock.settimeout(timeout)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = dict(headers or {})
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        connection.request(method, path, body=data, headers={"Connection": "close"} | sent)
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException, ValueError) as err:
        raise as_engine_error(err, address, path) from err
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise EngineError(_words(answer), answer.status)
    return answer


def as_engine_error(err: Exception, address: str, path: str = "") -> EngineError:
    """Translate a socket error into what the original would say."""
    host = f"tcp://{address}"
    if isinstance(err, ConnectionRefusedError | TimeoutError):
        return UnreachableError(
            f"Cannot connect to the Docker daemon at {host}. Is the docker daemon running?"
        )
    place = f'error during connect: Get "http://{address}{path}": dial tcp {address}'
    if isinstance(err, OSError) and err.errno == errno.EHOSTUNREACH:
        return UnreachableError(f"{place}: connect: no route to host")
    return EngineError(f"{place}: {err}")


def _words(answer: http.client.HTTPResponse) -> str:
    data = answer.read()
    try:
        message = json.loads(data)["message"]
    except (ValueError, KeyError, TypeError):
        message = data.decode(errors="replace").strip()
    return f"Error response from daemon: {message}"
