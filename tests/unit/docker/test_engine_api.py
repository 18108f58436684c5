"""The client and its errors, against engines that do not behave."""

import contextlib
import http.server
import json
import sys
import threading
import time
from unittest.mock import Mock

import pytest

from swarm_formula.cluster import swarm_api
from swarm_formula.core import errors
from swarm_formula.docker import engine_api, images
from tests.unit.execution import mocked

# Knows nothing of Salt.
pytestmark = pytest.mark.once


class Engine(http.server.BaseHTTPRequestHandler):
    """An engine that knows its version and what a test gives it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status, body = self.server.answers.get(
            self.path.split("?")[0], (404, {"message": "no such"})
        )
        data = json.dumps(body).encode()
        if status == "hang":
            time.sleep(3)
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_args):
        """Say nothing."""


@pytest.fixture
def engine():
    """Start an engine with the given answers; returns its address."""
    with contextlib.ExitStack() as stack:

        def start(**answers):
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Engine)
            server.daemon_threads = True
            server.answers = {"/version": (200, {"ApiVersion": "1.41"})}
            server.answers |= {f"/v1.41/{k.replace('_', '/')}": v for k, v in answers.items()}
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return f"tcp://127.0.0.1:{server.server_port}"

        yield start


def test_nobody_listens():
    with (
        pytest.raises(errors.EngineUnreachableError, match=r"unix:///nope.*No such file"),
        engine_api.connect("unix:///nope.sock", what="container x"),
    ):
        pass


def test_engine_of_this_host_is_at_the_socket_of_the_minion_option():
    salt = mocked(config__get="unix:///nope.sock")
    with (
        pytest.raises(errors.EngineUnreachableError, match=r"network x: .*unix:///nope"),
        engine_api.connect_local(salt, "network x"),
    ):
        pass
    salt["config.get"].assert_called_once_with("swarm_docker_url")


def test_the_engine_is_silent(engine):
    url = engine(info=("hang", {}))
    with (
        pytest.raises(errors.EngineUnreachableError, match=r"container x: .*does not answer"),
        engine_api.connect(url, timeout=0.3, what="container x") as client,
    ):
        client.info()


def test_the_words_of_docker(engine):
    url = engine(info=(500, {"message": "the disk is full"}))
    with (
        pytest.raises(errors.ApiError, match="container x: Docker says: the disk is full"),
        engine_api.connect(url, what="container x") as client,
    ):
        client.info()


def test_the_words_of_docker_to_a_post_of_ours(engine):
    url = engine(containers_x_update=(409, {"message": "busy"}))
    with (
        pytest.raises(errors.ApiError, match="container x: Docker says: busy"),
        engine_api.connect(url, what="container x") as client,
    ):
        engine_api.post(client, "/containers/x/update", json={})


def test_a_get_of_ours_and_the_words_of_docker_to_it(engine):
    url = engine(
        distribution_a_json=(200, {"Descriptor": {"digest": "sha256:1"}}),
        distribution_b_json=(500, {"message": "no such host"}),
    )
    with engine_api.connect(url, what="image b") as client:
        found = engine_api.get(client, "/distribution/a/json").json()
        assert found == {"Descriptor": {"digest": "sha256:1"}}
    with (
        pytest.raises(errors.ApiError, match="image b: Docker says: no such host"),
        engine_api.connect(url, what="image b") as client,
    ):
        engine_api.get(client, "/distribution/b/json")


def test_absence_is_none(engine):
    with engine_api.connect(engine()) as client:
        assert engine_api.found(client.inspect_container, "x") is None
        assert engine_api.container(client, "x") is None


def test_the_beginning_of_an_id_is_no_name(engine):
    with engine_api.connect(engine(containers_abc_json=(200, {"Name": "/web"}))) as client:
        assert engine_api.container(client, "abc") is None


def test_errors_of_our_own_stay_what_they_are(engine):
    with (
        pytest.raises(errors.SettingsError, match=r"^mine$"),
        engine_api.connect(engine()),
    ):
        raise errors.SettingsError("mine")


def test_the_environment_does_not_choose_the_engine(monkeypatch, engine):
    """On a client node DOCKER_HOST names the swarm: its manager must not be reconfigured."""
    monkeypatch.setenv("DOCKER_HOST", engine())
    monkeypatch.setattr(engine_api, "SOCKET", "unix:///nope.sock")
    with pytest.raises(errors.EngineUnreachableError), engine_api.connect():
        pass


def test_without_the_sdk_what_only_reads_is_given(monkeypatch):
    missing = Mock(side_effect=errors.SdkMissingError("no SDK"))
    monkeypatch.setattr(engine_api, "_sdk", missing)
    with (
        pytest.raises(errors.EngineUnreachableError, match="No such file"),
        engine_api.connect("unix:///nope.sock"),
    ):
        pass
    with (
        pytest.raises(errors.SdkMissingError, match=r"swarm\.libraries"),
        engine_api.connect("http://127.0.0.1:1"),
    ):
        pass


@pytest.mark.parametrize("before", ["nothing", "folder"])
def test_an_sdk_that_was_installed_by_this_very_process(monkeypatch, tmp_path, before):
    """Python remembers what a folder held, and a folder named docker, before pip adds the SDK."""
    for name in [name for name in sys.modules if name.split(".")[0] == "docker"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    if before == "folder":
        (tmp_path / "docker").mkdir()
    with pytest.raises(errors.SdkMissingError):
        engine_api._sdk()
    (tmp_path / "docker").mkdir(exist_ok=True)
    (tmp_path / "docker/__init__.py").write_text("class APIClient: pass\n")
    assert engine_api._sdk().__file__ == str(tmp_path / "docker/__init__.py")
    del sys.modules["docker"]


@pytest.mark.parametrize(
    ("status", "answer", "error", "words"),
    [
        (200, {"error": "manifest unknown"}, errors.ApiError, "manifest unknown"),
        (
            500,
            {"message": "no such host"},
            errors.ApiError,
            "give it an image_source.*no such host",
        ),
        ("hang", {}, errors.WaitTimeoutError, "not done after 0.3 s"),
    ],
)
def test_pull(engine, status, answer, error, words):
    url = engine(images_create=(status, answer))
    with (
        pytest.raises(error, match=f"image swarm:1.2.9.*{words}"),
        engine_api.connect(url) as client,
    ):
        images.pull(client, "swarm:1.2.9", timeout=0.3)


# ---- answers that are none


BROKEN = {
    "half": b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"Swarm": {',
    "half a chunk": b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"Sw',
    "no JSON": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html",
    "no HTTP": b"\x15\x03\x01\x00\x02\x02\x16",
    "nothing": b"",
    "a number": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n42",
    "a list": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    "a text": b'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"x"',
    "null": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("first", [True, False], ids=["at once", "later"])
def test_answer_that_is_none_is_an_error_with_a_name(monkeypatch, broken, first):
    """From the first question on, or in the middle of a conversation."""

    class Garbage(Engine):
        def do_GET(self):
            if first or "/version" not in self.path:
                self.wfile.write(broken)
                self.close_connection = True
            else:
                super().do_GET()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Garbage) as server:
        server.answers = {"/version": (200, {"ApiVersion": "1.41"})}
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"tcp://127.0.0.1:{server.server_port}"
        try:
            with (
                pytest.raises(errors.SwarmError, match=r"^swarm mode: "),
                engine_api.connect(url, timeout=2, what="swarm mode") as client,
            ):
                swarm_api.swarm(client)
        finally:
            server.shutdown()
