"""
Speak HTTP to a Docker Engine: one request per connection, JSON in and out.
"""

import collections
import contextlib
import errno
import http.client
import json
import socket
import ssl
from dataclasses import dataclass, field
from http import HTTPStatus

from .golang import split_host_port

# The original's client speaks at most this version, and dials for at most this long.
CLIENT_VERSION = (1, 31)
DIAL_TIMEOUT = 30.0
KEEPALIVE = 30
MAX_IDLE = 2
# What a connection says that the other side has closed meanwhile.
STALE = (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected)


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


@dataclass(frozen=True)
class Call:
    """A request to an engine; the body is bytes or becomes JSON."""

    method: str
    path: str
    body: object = None
    timeout: float | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        """Send the request on a connection and return the answer with its body unread."""
        data = self.body
        if data is not None and not isinstance(data, bytes):
            data = json.dumps(data).encode()
        kind = {} if data is None else {"Content-Type": "application/json"}
        connection.sock.settimeout(self.timeout)
        connection.request(self.method, self.path, body=data, headers=kind | self.headers)
        return connection.getresponse()


class Pool:
    """Connections to one engine, kept open for the next request as Go's client does.

    An engine that shuts down refuses new connections at once but serves the open ones as
    long as its containers take to stop: without them it would look dead too early.
    """

    def __init__(self, address: str, tls: ssl.SSLContext | None) -> None:
        self.address, self.tls = address, tls
        self._idle: collections.deque = collections.deque(maxlen=MAX_IDLE)

    def fetch(self, call: Call) -> bytes:
        """Return the answer's body; raises ``EngineError``."""
        try:
            while self._idle:
                kept = self._idle.pop()
                with contextlib.suppress(*STALE):
                    return self._exchange(kept, call)
            return self._exchange(self._connect(), call)
        except (OSError, http.client.HTTPException, ValueError) as err:
            raise as_engine_error(err, self.address, call.path) from err

    def stream(self, call: Call) -> http.client.HTTPResponse:
        """Return the answer with its body unread, on a connection of its own."""
        try:
            answer = call.send(self._connect())
        except (OSError, http.client.HTTPException, ValueError) as err:
            raise as_engine_error(err, self.address, call.path) from err
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise EngineError(_words(answer.read()), answer.status)
        return answer

    def close(self) -> None:
        """Close what is kept open."""
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self.address)
        connection.sock = dial(self.address, self.tls)
        return connection

    def _exchange(self, connection: http.client.HTTPConnection, call: Call) -> bytes:
        try:
            answer = call.send(connection)
            data = answer.read()
        except TimeoutError:
            # The original does not hold silence on an open connection against an engine.
            connection.close()
            raise EngineError("context deadline exceeded") from None
        if answer.will_close:
            connection.close()
        elif len(self._idle) < MAX_IDLE:
            self._idle.append(connection)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise EngineError(_words(data), answer.status)
        return data


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


def _words(data: bytes) -> str:
    try:
        message = json.loads(data)["message"]
    except (ValueError, KeyError, TypeError):
        message = data.decode(errors="replace").strip()
    return f"Error response from daemon: {message}"
