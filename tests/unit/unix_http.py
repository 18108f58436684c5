"""
An HTTP server on a Unix socket, as an engine has one; the tests say what it answers.
"""

import http.server
import socketserver


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A server to which tests add their answers, and that keeps what it was asked."""

    daemon_threads = True


class Handler(http.server.BaseHTTPRequestHandler):
    """A handler whose ``answer`` sends the answer; a client of a Unix socket has no address."""

    def do_GET(self):
        self.answer()

    do_POST = do_GET  # noqa: N815

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass
