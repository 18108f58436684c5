import json
import threading
import urllib.parse
from unittest.mock import Mock

import docker
import pytest

from swarm_formula.core import errors
from swarm_formula.docker import engine_api, reader
from tests.unit import unix_http

# Knows nothing of Salt.
pytestmark = pytest.mark.once

VERSION = {"Version": "26.1.5", "ApiVersion": "1.45"}


class Handler(unix_http.Handler):
    def answer(self):
        self.server.asked.append(self.path)
        status, body = self.server.answers.get(self.path.partition("?")[0], (404, {}))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.fixture
def engine(tmp_path):
    server = unix_http.Server(str(tmp_path / "docker.sock"), Handler)
    server.asked, server.answers = [], {"/version": (200, VERSION), "/_ping": (200, b"OK")}
    server.url = f"unix://{tmp_path}/docker.sock"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(engine, monkeypatch):
    missing = Mock(side_effect=errors.SdkMissingError("no SDK"))
    monkeypatch.setattr(engine_api, "_sdk", missing)
    with engine_api.connect(engine.url, timeout=5) as client:
        yield client


def test_it_reads_as_the_sdk_does(engine, client):
    engine.answers["/v1.45/containers/a%2Fb/json"] = (200, {"Id": "1"})
    engine.answers["/v1.45/containers/json"] = (200, [])
    assert client.ping() is True
    assert client.version(api_version=False) == VERSION
    assert client.inspect_container("a/b") == {"Id": "1"}
    assert client.containers(all=True, filters={"label": "a=b", "dangling": True}) == []
    query = urllib.parse.parse_qs(engine.asked[-1].partition("?")[2])
    assert query["all"] == ["1"]
    assert json.loads(query["filters"][0]) == {"label": ["a=b"], "dangling": ["true"]}


def test_what_the_engine_does_not_know_is_not_found(client):
    assert engine_api.found(client.inspect_network, "nope") is None


@pytest.mark.parametrize(
    "body", [{"message": "This node is not a swarm manager."}, b"This node is not a swarm manager."]
)
def test_an_error_has_the_words_of_the_engine(engine, client, body):
    engine.answers["/v1.45/nodes"] = (503, body)
    with (
        pytest.raises(
            errors.ApiError, match="nodes: Docker says: This node is not a swarm manager"
        ),
        engine_api.translated("nodes"),
    ):
        client.nodes()


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.create_network("a"),
        lambda client: client.leave_swarm(force=True),
        lambda client: client.nodes(since=3),
        lambda client: engine_api.post(client, "/swarm/init", json={}),
    ],
)
def test_it_changes_nothing(engine, client, call):
    asked = list(engine.asked)
    with pytest.raises(
        errors.SdkMissingError, match=r"run 'salt-call state\.apply swarm\.libraries'"
    ):
        call(client)
    assert engine.asked == asked


def test_an_engine_that_says_nothing_is_told(engine, client, tmp_path, monkeypatch):
    engine.answers["/v1.45/info"] = (200, b"{")
    with pytest.raises(ValueError, match="Expecting"):
        client.info()
    (tmp_path / "docker.sock").unlink()
    with (
        pytest.raises(errors.EngineUnreachableError, match="does not answer"),
        engine_api.translated("info"),
    ):
        client.info()


def test_errors_have_the_names_of_the_sdks():
    for name in ("DockerException", "APIError", "NotFound"):
        assert issubclass(getattr(docker.errors, name), docker.errors.DockerException)
        assert issubclass(getattr(reader, name), reader.DockerException)
    for name in reader.READS:
        assert callable(getattr(docker.APIClient, name))
