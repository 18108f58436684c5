"""
Pass a request on to an engine, or to the primary, byte by byte.
"""

import contextlib
import select
import socket
import ssl

from . import API_VERSION
from .httpd import Request
from .wire import dial

BLOCK = 65536
# Only about the hop between client and manager; sent anew on the next hop.
HOP_HEADERS = ("connection", "keep-alive", "proxy-connection")


def forward(request: Request, address: str, tls: ssl.SSLContext | None, target: str = "") -> None:
    """Send the request to ``address`` and its answer back, then end the connection."""
    engine = dial(address, tls)
    try:
        headers = [pair for pair in request.headers if pair[0].lower() not in HOP_HEADERS]
        _send_head(engine, request, [*headers, ("Connection", "close")], target)
        _copy_answer_head(engine, request.connection)
        pump(request.connection, engine, half_close=False)
    finally:
        engine.close()


def hijack(request: Request, address: str, tls: ssl.SSLContext | None, target: str = "") -> None:
    """Connect the client straight to ``address``; input may end before output does."""
    engine = dial(address, tls)
    try:
        _send_head(engine, request, request.headers, target)
        pump(request.connection, engine, half_close=True)
    finally:
        engine.close()


def _send_head(
    engine: socket.socket, request: Request, headers: list[tuple[str, str]], target: str
) -> None:
    request.consumed = True
    lines = [f"{request.method} {target or request.target} HTTP/1.1"]
    lines += [f"{key}: {value}" for key, value in headers]
    engine.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + request.buffer)


def _copy_answer_head(engine: socket.socket, client: socket.socket) -> None:
    # A body still on its way to the engine must flow while its answer is awaited.
    buffer = b""
    while b"\r\n" not in buffer:
        for ready in _ready(client, engine):
            data = ready.recv(BLOCK)
            if not data:
                raise ConnectionError("the connection ended before there was an answer")
            if ready is engine:
                buffer += data
            else:
                engine.sendall(data)
    line, _, rest = buffer.partition(b"\r\n")
    client.sendall(line + f"\r\nApi-Version: {API_VERSION}\r\n".encode() + rest)


def pump(client: socket.socket, engine: socket.socket, half_close: bool) -> None:
    """Copy both ways until the engine is done; the client's end ends its input only."""
    open_sides = [client, engine]
    while engine in open_sides:
        for ready in _ready(*open_sides):
            other = client if ready is engine else engine
            data = ready.recv(BLOCK)
            if data:
                other.sendall(data)
                continue
            open_sides.remove(ready)
            if ready is client and not half_close:
                return
            if ready is client:
                _end_input(engine)


def _ready(*sides: socket.socket) -> list[socket.socket]:
    # TLS may hold decrypted bytes that poll knows nothing of.
    held = [side for side in sides if isinstance(side, ssl.SSLSocket) and side.pending()]
    return held or select.select(sides, [], [])[0]


def _end_input(engine: socket.socket) -> None:
    # The plain socket's method: that of a TLS socket would end decryption as well.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(engine, socket.SHUT_WR)
