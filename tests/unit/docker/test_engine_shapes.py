"""
What engines of two generations answer, as recorded from 28.5.2 and 29.7.2.

Docker 29 leaves out fields (moby#50832, #51189), and has another image store and firewall.
"""

import contextlib
import json
import threading
from unittest.mock import Mock

import pytest

from _modules import swarm_image
from swarm_formula.core import errors
from swarm_formula.daemon import dockerd, holdings
from swarm_formula.docker import engine_api, images, reader, reconcile
from swarm_formula.engine import mode_guard
from swarm_formula.overlay import routes
from swarm_formula.spec import container_options
from tests.unit import unix_http
from tests.unit.conftest import DATA
from tests.unit.execution import mocked
from tests.unit.pillars import BUILTIN, VALID, settings_of

WEB = {
    "image": "web:1",
    "environment": {"A": "1"},
    "labels": {"a": "b"},
    "mounts": ["data:/data"],
    "network_mode": "host",
    "restart_policy": "always",
}
PULL = "/images/create"


class Handler(unix_http.Handler):
    def version_string(self):
        return f"Docker/{self.server.answers['/version']['Version']} (linux)"

    def answer(self):
        path = self.path.partition("?")[0].replace("%3A", ":")
        self.server.asked.append(path)
        # Without a version, only that itself is asked for.
        plain = path if path == "/version" else path.removeprefix(f"/v{self.server.api}")
        body = "OK" if plain == "/_ping" else self.server.answers.get(plain)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", "application/json")
        if plain == "/_ping" and self.server.tells:
            self.send_header("Api-Version", self.server.api)
        self.end_headers()
        text = json.dumps({"message": "no such thing"} if body is None else body)
        self.wfile.write(text.encode() + b"\n")


@pytest.fixture(params=["28", "29"])
def engine(request, tmp_path, monkeypatch):
    """Serve the answers at the socket of this host's engine."""
    with unix_http.Server(str(tmp_path / "docker.sock"), Handler) as server:
        server.answers = json.loads((DATA / f"engine_{request.param}.json").read_text())
        server.major, server.asked, server.tells = int(request.param), [], True
        server.api = server.answers["/version"]["ApiVersion"]
        monkeypatch.setattr(engine_api, "SOCKET", f"unix://{tmp_path}/docker.sock")
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(params=["with SDK", "without"])
def client(request, engine, monkeypatch):
    if request.param == "without":
        missing = Mock(side_effect=errors.SdkMissingError("no SDK"))
        monkeypatch.setattr(engine_api, "_sdk", missing)
    with engine_api.connect() as client:
        yield client


def test_version_of_the_api_is_that_of_the_engine(engine, client):
    """Not that of the SDK, which may be older than what the engine still takes."""
    first = "/version" if isinstance(client, reader.Reader) else "/_ping"
    client.info()
    assert engine.asked == [first, f"/v{engine.api}/info"]
    assert dockerd.version() == engine.answers["/version"]["Version"]


def test_versions_cost_the_engine_nothing(engine):
    """To answer /version, it would start programs such as runc."""
    with engine_api.connect() as client:
        client.info()
    assert dockerd.version() == engine.answers["/version"]["Version"]
    assert engine.asked == ["/_ping", f"/v{engine.api}/info", "/_ping"]


def test_server_that_does_not_tell_its_api_version_is_asked_for_its_version(engine):
    """A manager of Swarm 1.2.9 is such a server."""
    engine.tells = False
    with engine_api.connect() as client:
        client.info()
    assert engine.asked == ["/_ping", "/version", f"/v{engine.api}/info"]


def test_image_store_is_known_by_what_the_engine_says(engine, client):
    found = holdings.of_engine(client)
    assert found.snapshotter is (engine.major >= 29)
    assert found.of(holdings.CONTAINERS, holdings.IMAGES, holdings.VOLUMES) == [
        "1 containers",
        "2 images",
        "1 volumes",
    ]
    refused = holdings.downgrade_refusal((28,), {}, found)
    assert bool(refused) is (engine.major >= 29)


@pytest.mark.usefixtures("engine")
def test_container_of_another_generation_is_not_replaced(client):
    """A field that is left out means the same as an empty one."""
    assert reconcile.plan(client, "web", container_options.wanted("web", WEB)).changes == {}
    more = {**WEB, "labels": {"a": "c"}, "user": "nobody"}
    changes = reconcile.plan(client, "web", container_options.wanted("web", more)).changes
    assert set(changes) == {"labels", "user"}


@pytest.mark.usefixtures("engine")
def test_networks_of_a_container_are_those_of_its_endpoints(client):
    container = client.inspect_container("web")
    (network,) = container["NetworkSettings"]["Networks"].values()
    assert routes.networks_of(container) == {"host", network["NetworkID"]}


@pytest.mark.usefixtures("engine")
def test_image_is_found(monkeypatch):
    monkeypatch.setattr(
        swarm_image, "__salt__", mocked(config__get=engine_api.SOCKET), raising=False
    )
    assert swarm_image.get("web:1")["names"] == ["web:1"]


@pytest.mark.parametrize("reloads", [True, False])
def test_reload_is_seen_in_the_events(engine, reloads):
    if not reloads:
        engine.answers.pop("/events")
    told = contextlib.nullcontext() if reloads else pytest.raises(errors.SwarmError)
    with told:
        dockerd.reload({"service.reload": lambda _: True}, "docker")


@pytest.mark.parametrize(
    "report",
    [
        {"errorDetail": {"message": "no such host"}, "error": "no such host"},
        # "error" is deprecated since API 1.48.
        {"errorDetail": {"message": "no such host"}},
        {"error": "no such host"},
    ],
)
def test_pull_that_fails_is_told_with_the_words_of_the_engine(engine, report):
    engine.answers[PULL] = report
    words = r"image new:1 could not be pulled .*: Docker says: no such host"
    with engine_api.connect() as client, pytest.raises(errors.ApiError, match=words):
        images.pull(client, "new:1", timeout=5)


@pytest.mark.parametrize(
    ("pillar", "config", "may"),
    [
        ({}, {}, False),
        ({}, {"firewall-backend": "nftables"}, False),
        # What pillar has is in force after the restart that it brings.
        ({"engine": {"options": {"firewall-backend": "iptables"}}}, {}, True),
        ({}, {"iptables": False}, True),
    ],
)
def test_engine_with_nftables_is_not_asked_for_swarm_mode(engine, pillar, config, may):
    engine.answers["/containers/json"] = []
    told = contextlib.nullcontext()
    if engine.major >= 29 and not may:
        told = pytest.raises(errors.SwarmError, match=r"firewall-backend to iptables, or remove")
    with told:
        mode_guard.check(settings_of({**BUILTIN, **pillar}), config)
    engine.answers["/volumes/swarm-consul"] = {"Name": "swarm-consul", "Mountpoint": "/nowhere"}
    mode_guard.check(settings_of(VALID), config, leaving=True)
