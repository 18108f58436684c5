"""
Serve HTTP/1.1 on TCP or Unix sockets, with the raw connection at hand for hijacking.
"""

import contextlib
import http.client
import os
import socket
import ssl
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import log
from .store import start

MAX_HEAD = 65536
BLOCK = 65536


@dataclass
class Response:
    """A complete answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Request:
    """A request whose body is still on the wire, in ``connection`` after ``buffer``."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    connection: socket.socket
    buffer: bytes
    consumed: bool = False

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, the first value of each."""
        parsed = urllib.parse.parse_qs(self.target.partition("?")[2], keep_blank_values=True)
        return {key: values[0] for key, values in parsed.items()}

    def header(self, name: str) -> str:
        """The value of a header, ``""`` if it was not sent."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def flag(self, name: str) -> bool:
        """The value of a yes-or-no parameter."""
        return self.query.get(name, "").strip().lower() not in ("", "0", "no", "false", "none")

    def blocks(self) -> Iterator[bytes]:
        """Yield the body piece by piece."""
        self.consumed = True
        if self.header("expect").lower() == "100-continue":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.header("transfer-encoding").lower() == "chunked":
            while size := int(self._line().partition(b";")[0], 16):
                yield from self._take(size)
                self._line()
            self._line()
        else:
            yield from self._take(int(self.header("content-length") or 0))

    def body(self) -> bytes:
        """Read the whole body."""
        return b"".join(self.blocks())

    def _fill(self) -> None:
        data = self.connection.recv(BLOCK)
        if not data:
            raise ConnectionError("the client went away")
        self.buffer += data

    def _line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            self._fill()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def _take(self, size: int) -> Iterator[bytes]:
        while size:
            if not self.buffer:
                self._fill()
            block, self.buffer = self.buffer[:size], self.buffer[size:]
            size -= len(block)
            yield block


Handler = Callable[[Request], Response | None]


def listen(host: str, tls: ssl.SSLContext | None) -> socket.socket:
    """Open the listening socket of ``tcp://host:port``, ``unix://path`` or ``host:port``."""
    protocol, separator, address = host.partition("://")
    if not separator:
        protocol, address = "tcp", host
    log.info("Listening for HTTP", proto=protocol, addr=address)
    if protocol == "unix":
        Path(address).unlink(missing_ok=True)
        server = socket.socket(socket.AF_UNIX)
        server.bind(address)
        os.chmod(address, 0o660)
    elif protocol == "tcp":
        server = _listen_tcp(address)
    else:
        raise OSError(f'unsupported protocol: "{protocol}"')
    server.listen(128)
    return (
        tls.wrap_socket(server, server_side=True, do_handshake_on_connect=False) if tls else server
    )


def _listen_tcp(address: str) -> socket.socket:
    name, _, port = address.rpartition(":")
    try:
        if name:
            family = socket.AF_INET6 if ":" in name else socket.AF_INET
            return socket.create_server((name.strip("[]"), int(port)), family=family)
        dual = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if dual else socket.AF_INET
        return socket.create_server(("", int(port)), family=family, dualstack_ipv6=dual)
    except (OSError, ValueError) as err:
        hint = ": is Docker already running on this machine? Try using a different port"
        tail = hint if "in use" in str(err) and port == "2375" else ""
        raise OSError(f"listen tcp {address}: {err}{tail}") from err


def serve(server: socket.socket, handle: Handler) -> None:
    """Accept connections for ever, each served in a thread of its own."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError as err:
            log.error(f"accept: {err}")
            continue
        start(_serve_connection, connection, handle)


def _serve_connection(connection: socket.socket, handle: Handler) -> None:
    buffer: bytes | None = b""
    try:
        if isinstance(connection, ssl.SSLSocket):
            connection.do_handshake()
        while buffer is not None:
            request = _read_head(connection, buffer)
            if not request:
                return
            response = handle(request)
            if not response:
                return
            buffer = _finish(request, response)
    except (OSError, ValueError) as err:
        log.debug(f"connection ended: {err}")
    finally:
        _close(connection)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        connection.settimeout(1.0)
        if isinstance(connection, ssl.SSLSocket):
            # Without a TLS "close notify" the client takes the end for a broken connection.
            connection.unwrap()
        # Closing with unread input resets the connection, and the client may lose the answer.
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(BLOCK):
            pass
    connection.close()


def _finish(request: Request, response: Response) -> bytes | None:
    # An unread body may be long: the connection is then given up rather than drained.
    unread = not request.consumed and (
        request.header("transfer-encoding") or request.header("content-length") not in ("", "0")
    )
    keep = not unread and request.header("connection").lower() != "close"
    if not keep:
        response.headers["Connection"] = "close"
    response.headers["Content-Length"] = str(len(response.body))
    body = b"" if request.method == "HEAD" else response.body
    request.connection.sendall(head(response.status, response.headers) + body)
    return request.buffer if keep else None


def head(status: int, headers: dict[str, str]) -> bytes:
    """Return the bytes of a status line and headers."""
    reason = http.client.responses.get(status, "")
    lines = [f"HTTP/1.1 {status} {reason}", *[f"{key}: {value}" for key, value in headers.items()]]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _read_head(connection: socket.socket, buffer: bytes) -> Request | None:
    while b"\r\n\r\n" not in buffer:
        data = connection.recv(BLOCK)
        if not data:
            return None
        buffer += data
        if len(buffer) > MAX_HEAD:
            raise ValueError("request head is too long")
    raw, _, rest = buffer.partition(b"\r\n\r\n")
    first, *lines = raw.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = [line.partition(":") for line in lines]
    headers = [(key.strip(), value.strip()) for key, _, value in pairs]
    return Request(method, target, headers, connection, rest)


class Stream:
    """An answer that is written piece by piece, in chunks."""

    def __init__(self, request: Request, headers: dict[str, str]) -> None:
        self.connection = request.connection
        sent = {"Transfer-Encoding": "chunked", "Connection": "close"} | headers
        self.connection.sendall(head(200, sent))

    def write(self, data: bytes) -> None:
        """Send one chunk; raises ``OSError`` when the client is gone."""
        if data:
            self.connection.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def close(self) -> None:
        """Send the last chunk."""
        self.connection.sendall(b"0\r\n\r\n")
