import os
import sys
from types import SimpleNamespace

import consul
import pytest
import requests

from swarm_formula.consul import agent_api
from swarm_formula.core import errors
from tests.unit.pillars import FILES

SETTINGS = {"consul": {"http_port": 8600}, "tls": {"used": False}}
SERVERS = {"m1": "10.77.0.11", "m2": "10.77.0.12", "m3": "10.77.0.13"}


@pytest.mark.parametrize(
    ("alive", "leader", "text"),
    [
        (set(), "10.77.0.11:8300", None),
        (
            {"m1"},
            "",
            "Consul has no leader: 1 of 3 servers answers; m2, m3 missing",
        ),
        (set(), "", "Consul has no leader: 0 of 3 servers answer; m1, m2, m3 missing"),
        (
            set(SERVERS),
            "",
            "Consul has no leader: 3 of 3 servers answer; they are still electing",
        ),
        # a server that pillar does not name is no help
        ({"m1", "m2", "m9"}, "", "Consul has no leader: 2 of 3 servers answer; m3 missing"),
    ],
    ids=str,
)
def test_what_consul_lacks(alive, leader, text):
    assert agent_api.missing(SERVERS, alive, leader) == text


@pytest.mark.parametrize(
    ("member", "alive"),
    [
        ({"Name": "m1", "Status": 1, "Tags": {"role": "consul"}}, {"m1"}),
        ({"Name": "m1", "Status": 1, "Tags": {"role": "node"}}, set()),
        ({"Name": "m1", "Status": 3, "Tags": {"role": "consul"}}, set()),
        ({"Name": "m1", "Status": 4, "Tags": {"role": "consul"}}, set()),
        ({"Name": "m1"}, set()),
    ],
    ids=str,
)
def test_servers_that_are_alive(member, alive):
    assert agent_api.alive_servers([member]) == alive


def failing(error):
    def function(*_, **__):
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.ConnectionError("refused"), r"does not answer \(leader: no connection\)"),
        (requests.ReadTimeout(), r"does not answer \(leader: no answer in time\)"),
        # requests raises it if the file of the CA is missing: a first apply was killed early
        (OSError("invalid path: /x/ca.pem"), r"does not answer \(leader: invalid path: /x/ca.pem"),
        (
            requests.exceptions.SSLError("certificate is not yet valid"),
            r"TLS fails: certificate is not yet valid\)\nCause: the clock",
        ),
        (consul.ConsulException("500 No cluster leader"), r"refuses \(leader\): 500 No cluster le"),
        (consul.ACLPermissionDenied("Permission denied"), r"refuses \(leader\): Permission denied"),
    ],
    ids=str,
)
def test_errors_are_told_once_and_with_what(error, words):
    with pytest.raises(errors.StoreError, match=words):
        agent_api.call("leader", failing(error))


def test_errors_of_our_own_come_through():
    with pytest.raises(ZeroDivisionError):
        agent_api.call("leader", failing(ZeroDivisionError()))


def test_call_hands_arguments_on():
    assert agent_api.call("sum", sum, [1, 2], start=3) == 6


def test_library_that_is_not_there_is_told_with_the_state_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "consul", None)
    with pytest.raises(
        errors.SdkMissingError, match=r"run 'salt-call state\.apply swarm\.libraries'"
    ):
        agent_api.connect(SETTINGS, FILES)


def test_client_has_a_deadline_and_no_proxy(monkeypatch):
    asked = {}

    def request(_, method, url, **kwargs):
        asked.update(kwargs, url=url)
        raise requests.ConnectionError("refused")

    monkeypatch.setattr(requests.Session, "request", request)
    client = agent_api.connect(SETTINGS, FILES, timeout=2)
    with pytest.raises(errors.StoreError):
        agent_api.call("leader", client.status.leader)
    assert asked["timeout"] == 2
    assert asked["url"].startswith("http://127.0.0.1:8600/")
    assert client.http.session.trust_env is False


def test_client_shows_its_certificate_whatever_it_asks(monkeypatch):
    """A snapshot too, which the library knows nothing of."""
    asked = []

    def send(session, request, **given):
        asked.append((request.url, given["verify"], given["cert"]))
        raise requests.ConnectionError

    monkeypatch.setattr(requests.Session, "send", send)
    client = agent_api.connect({**SETTINGS, "tls": {"used": True}}, FILES)
    for ask in (client.status.leader, lambda: agent_api.snapshot(client)):
        with pytest.raises((errors.StoreError, requests.ConnectionError)):
            ask()
    assert [url.partition("/v1")[0] for url, _, _ in asked] == ["https://127.0.0.1:8600"] * 2
    assert {(verify, cert) for _, verify, cert in asked} == {(FILES.ca, (FILES.cert, FILES.key))}


VARIABLES = [
    ("CONSUL_HTTP_ADDR", "10.9.9.9:8500"),
    ("CONSUL_HTTP_ADDR", "http://10.9.9.9:8500"),
    ("CONSUL_HTTP_SSL", "false"),
    ("CONSUL_HTTP_SSL_VERIFY", "false"),
    ("CONSUL_HTTP_TOKEN", "stolen"),
]


def test_library_reads_no_other_variable(monkeypatch):
    """If a release reads one more, it has to be hidden as well, and to stand in the table."""
    asked = {}
    for name, value in VARIABLES:
        monkeypatch.setenv(name, value)

    def getenv(name, default=None):
        asked[name] = os.environ.get(name)
        return os.environ.get(name, default)

    monkeypatch.setattr(consul.base, "os", SimpleNamespace(getenv=getenv))
    agent_api.connect(SETTINGS, FILES)
    assert asked == dict.fromkeys(dict(VARIABLES))


@pytest.mark.parametrize(("name", "value"), VARIABLES)
def test_the_environment_has_no_say(monkeypatch, name, value):
    """python-consul prefers these variables to its arguments, and would send the token there."""
    secure = {**SETTINGS, "tls": {"used": True}}
    monkeypatch.setenv(name, value)
    client = agent_api.connect(secure, FILES, token="management")  # noqa: S106
    assert client.http.uri("/v1/status/leader") == "https://127.0.0.1:8600/v1/status/leader"
    assert (client.http.verify, client.http.cert) == (FILES.ca, (FILES.cert, FILES.key))
    assert client.token is None
    assert client.http.session.headers["X-Consul-Token"] == "management"
    assert os.environ[name] == value
