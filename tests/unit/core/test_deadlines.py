"""
Whoever answers for ever, a byte at a time, is given up like one who does not answer.
"""

import contextlib
import socket
import threading

import pytest
import requests

from swarm_formula.consul import agent_api
from swarm_formula.core import deadlines, errors
from swarm_formula.docker import engine_api, images
from swarm_formula.standalone import manager_info
from swarm_formula.tls.cert_files import Files

# Knows nothing of Salt.
pytestmark = pytest.mark.once

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
FILES = Files(*[None] * 5)
BODY = HEAD + b"Content-Length: 100000\r\n\r\n"


@contextlib.contextmanager
def dribbling(start: bytes, drop: bytes):
    """Give the port of a server that never falls silent and never comes to an end."""
    over = threading.Event()

    def answer(client):
        with client, contextlib.suppress(OSError):
            client.recv(65536)
            client.sendall(start)
            while not over.wait(0.02):
                client.sendall(drop)

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    client, _ = server.accept()
                    threading.Thread(target=answer, args=(client,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        over.set()
        # Or the thread that accepts would wait on, and hold the port.
        server.shutdown(socket.SHUT_RDWR)


def _docker(port):
    with engine_api.connect(f"tcp://127.0.0.1:{port}", timeout=0.2, what="containers"):
        pytest.fail("it is no engine")


def _manager(port):
    manager_info.fetch(f"127.0.0.1:{port}", timeout=0.2)


def _consul(port):
    settings = {"tls": {"used": False}, "consul": {"http_port": port}}
    client = agent_api.connect(settings, FILES, timeout=0.2)
    agent_api.call("leader", client.status.leader)


@pytest.mark.parametrize(
    ("start", "drop"),
    [(b"HTTP/1.1 200 ", b"O"), (HEAD + b"X-Long: ", b"x"), (BODY, b" ")],
    ids=["status", "header", "body"],
)
@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (_docker, "containers: the Docker Engine at tcp://127.0.0.1:.* does not answer"),
        (_manager, "manager 127.0.0.1:.*: no answer in time"),
        (_consul, "Consul on this host does not answer"),
    ],
)
def test_answer_without_end_is_none(start, drop, ask, words):
    with dribbling(start, drop) as port, pytest.raises(errors.SwarmError, match=words):
        ask(port)


def test_report_without_end_on_an_image_is_given_up():
    class Client:
        """What is asked of the SDK's, with a server that reports for ever in one line."""

        base_url, api_version, timeout = None, "1.41", 60

        def post(self, url, **kwargs):
            return requests.post(url, **kwargs)  # noqa: S113  it is in kwargs

    with dribbling(HEAD + b"\r\n", b" ") as port:
        client = Client()
        client.base_url = f"http://127.0.0.1:{port}"
        with pytest.raises(errors.WaitTimeoutError, match=r"image x: not done after 0\.3 s"):
            images._run(client, "image x", 0.3, "/images/create")


def test_what_is_done_in_time_comes_back_and_an_error_is_raised_as_it_was():
    assert deadlines.within(60, lambda: 42) == 42
    with pytest.raises(KeyError, match="x"):
        deadlines.within(60, lambda: {}["x"])


def test_call_without_a_limit_has_none(monkeypatch):
    """For what is read as long as it comes, such as events."""
    given = []
    monkeypatch.setattr(requests.Session, "send", lambda _, request, **kwargs: given.append(kwargs))
    before = threading.active_count()
    deadlines.Session().send(None, timeout=None, stream=True)
    assert given == [{"timeout": None, "stream": True}]
    assert threading.active_count() == before


def test_who_is_given_up_does_not_hold_the_process_up():
    over, waiting = threading.Event(), []

    def forever():
        waiting.append(threading.current_thread())
        over.wait(3600)

    with pytest.raises(requests.ReadTimeout):
        deadlines.within(0.1, forever)
    (thread,) = waiting
    assert (thread.is_alive(), thread.daemon) == (True, True)
    over.set()
