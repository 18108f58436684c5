"""The engine's store for overlay networks, read without a library."""

import base64
import http.server
import json
import threading
from urllib.parse import parse_qs, urlsplit

import pytest

from swarm_formula.overlay import kv_store
from swarm_formula.overlay.kv_store import ENDPOINTS, Store, StoreError

# Knows nothing of Salt.
pytestmark = pytest.mark.once

PAIRS = {"e/": "", "e/n1/": "", "e/n1/a/": json.dumps({"name": "web"}), "e/n1/b/": "no JSON"}
KEYS = {key.replace("e/", "docker/network/v1.0/endpoint/", 1): one for key, one in PAIRS.items()}
WEB = {"docker/network/v1.0/endpoint/n1/a/": {"name": "web"}}


class Answers(http.server.BaseHTTPRequestHandler):
    """Consul and etcd, as far as they are asked; what is below ``broken`` has no leader."""

    def do_GET(self):
        """Answer as the store does whose path it is."""
        url = urlsplit(self.path)
        self.server.asked.append((url.path, parse_qs(url.query)))
        if "broken" in url.path:
            self.send_error(500, "No cluster leader")
            return
        text = self._etcd() if url.path.startswith("/v2/") else self._consul()
        if "none" in url.path:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("X-Consul-Index", "42")
        self.end_headers()
        self.wfile.write(json.dumps(text).encode())

    @staticmethod
    def _consul():
        coded = {key: base64.b64encode(one.encode()).decode() for key, one in KEYS.items()}
        return [{"Key": key, "Value": one or None} for key, one in coded.items()]

    @staticmethod
    def _etcd():
        leaves = [{"key": f"/{key}", "value": one} for key, one in KEYS.items() if one]
        empty = {"key": "/docker/network/v1.0/endpoint/n2", "dir": True}
        return {"node": {"dir": True, "nodes": [{"dir": True, "nodes": leaves}, empty]}}

    def log_message(self, *_):
        """Be silent."""


@pytest.fixture
def server():
    """A store that answers; gives its address and what it was asked."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}", server.asked
    server.shutdown()
    server.server_close()
    thread.join()


def store(url, **more):
    return Store({"cluster-store": url, "cluster-advertise": "10.0.0.11:2376", **more})


def test_consul_is_asked_and_waited_for(server):
    address, asked = server
    assert store(f"consul://{address}").read(ENDPOINTS) == (WEB, 42)
    assert store(f"consul://{address}").read(ENDPOINTS, 42, 10) == (WEB, 42)
    path = "/v1/kv/docker/network/v1.0/endpoint/"
    waited = {"index": ["42"], "wait": ["10s"]}
    assert [one for one, _ in asked] == [path, path]
    assert asked[0][1].keys() & waited.keys() == set()
    assert asked[1][1].items() >= waited.items()


def test_etcd_is_asked(server):
    address, asked = server
    found, index = store(f"etcd://{address}").read(ENDPOINTS, 42, 10)
    assert {key.strip("/"): one for key, one in found.items()} == {
        key.strip("/"): one for key, one in WEB.items()
    }
    assert index == 0
    assert asked[0][0] == "/v2/keys/docker/network/v1.0/endpoint/"


@pytest.mark.parametrize("kind", ["consul", "etcd"])
def test_prefix_of_the_store_is_that_of_its_keys(server, kind):
    address, asked = server
    store(f"{kind}://{address}/some/where").read(ENDPOINTS)
    assert "some/where/docker/network/v1.0/endpoint/" in asked[0][0]


@pytest.mark.parametrize("kind", ["consul", "etcd"])
def test_nothing_there_is_nothing(server, kind):
    assert store(f"{kind}://{server[0]}/none").read(ENDPOINTS)[0] == {}


def test_another_host_of_the_store_is_asked_if_one_is_silent(server):
    assert store(f"etcd://127.0.0.1:1,{server[0]}").read(ENDPOINTS)[0]


@pytest.mark.parametrize("kind", ["consul", "etcd"])
def test_store_without_a_leader_is_an_error(server, kind):
    with pytest.raises(StoreError, match="does not answer"):
        store(f"{kind}://{server[0]}/broken").read(ENDPOINTS)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"cluster-store": ""},
        {"cluster-store": "consul://127.0.0.1:8500"},
        {"cluster-advertise": "10.0.0.11:2376"},
    ],
)
def test_engine_without_a_store_has_none(config):
    assert not Store(config)


@pytest.mark.parametrize(
    ("advertise", "own"),
    [("10.0.0.11:2376", "10.0.0.11"), ("[fd00:0::1]:2376", "fd00::1"), ("eth0:2376", "eth0")],
)
def test_own_address_is_in_the_form_of_addresses(advertise, own):
    assert kv_store.Store({"cluster-advertise": advertise}).own == own
