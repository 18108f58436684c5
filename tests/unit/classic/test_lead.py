"""
Services of classic mode: the host of the primary manager acts, and the others leave it to that one.
"""

import contextlib

import pytest

from _modules import swarm_service
from swarm_formula.cluster import swarm_api
from swarm_formula.core import errors
from swarm_formula.docker import engine_api
from swarm_formula.spec import service_modes
from tests.unit.classic_api import Swarm
from tests.unit.execution import mocked
from tests.unit.pillars import VALID, node, settings_of

WEB = {"web": {"image": "a", "replicas": 2, "networks": ["back"]}}
PILLAR = {**VALID, "services": WEB, "networks": {"back": {"driver": "overlay"}}}
PRIMARY, REPLICA = {"role": "primary"}, {"role": "replica"}
SILENT = {name: {"error": "no connection"} for name in ("m1", "m2", "m3")}


class Host:
    """The module on one host."""

    def __init__(self, monkeypatch, minion):
        self.api = Swarm().patch(monkeypatch)
        self.api.networks_.add("back")
        self.settings = settings_of(PILLAR, minion)
        self.roles = {"m1": PRIMARY, "m2": REPLICA, "m3": {"error": "no connection"}}
        self.connected = []
        self.salt = mocked(
            swarm_settings__get=lambda **_: self.settings,
            swarm_classic__managers=lambda: self.roles,
            swarm_classic__wait_primary="10.77.0.11:3375",
            swarm_engine__exists=True,
        )
        monkeypatch.setattr(swarm_service, "__salt__", self.salt, raising=False)
        monkeypatch.setattr(swarm_service, "__opts__", {}, raising=False)
        monkeypatch.setattr(engine_api, "connect", self._connect)

    def _connect(self, url, timeout, what, tls):
        self.connected.append((url, tls))
        return self.api.connect()


@pytest.fixture
def host(monkeypatch):
    return lambda name="m1": Host(monkeypatch, node(name))


def test_variables_of_files_are_read_by_the_host_of_the_primary(host, tmp_path):
    path = tmp_path / "web.env"
    wanted = {"image": "a", "env_files": [str(path)]}
    assert host("m2") and swarm_service.apply("web", wanted) is None  # noqa: PT018
    one = host()
    path.write_text("A=1\n")
    assert set(swarm_service.apply("web", wanted)) >= {"env"}
    assert "A=1" in one.api.box("web.1").body["Env"]
    assert swarm_service.apply("web", wanted) == {}
    path.write_text("A={{.Task.Slot}}\n")
    with pytest.raises(errors.SettingsError, match="web:env: found 'what is not shown'"):
        swarm_service.apply("web", wanted)


def test_host_of_the_primary_acts_through_its_own_manager(host):
    one = host()
    assert swarm_service.leads() is True
    promised = swarm_service.apply_all(test=True)
    assert one.api.there() == {}
    assert swarm_service.apply_all() == promised
    assert set(one.api.there()) == {"web.1", "web.2"}
    assert swarm_service.apply_all() == {}
    assert set(one.connected) == {("tcp://10.77.0.11:3375", None)}
    assert swarm_service.scale("web", "3") == {"replicas": {"old": 2, "new": 3}}
    assert [row["wanted"] for row in swarm_service.status()] == [3]
    assert swarm_service.remove("web", test=True)["state"]["new"] == "absent"
    assert swarm_service.remove("web")["state"]["new"] == "absent"
    assert one.api.there() == {}


@pytest.mark.parametrize("name", ["m2", "m3", "m4"])
def test_other_hosts_do_nothing(host, name):
    one = host(name)
    assert swarm_service.leads() is swarm_service.leads(test=True) is False
    assert swarm_service.apply_all() is swarm_service.apply_all(test=True) is None
    assert swarm_service.apply("web", {"image": "a"}) is swarm_service.remove("web") is None
    assert swarm_service.scale("web", 2) is None
    assert one.api.written == []


def test_only_managers_wait_for_a_primary_and_a_dry_run_does_not(host):
    one = host("m4")
    swarm_service.apply_all()
    one.salt["swarm_classic.wait_primary"].assert_not_called()
    assert swarm_service.status() is None
    one = host("m1")
    one.salt["swarm_classic.wait_primary"].side_effect = errors.WaitTimeoutError("none")
    swarm_service.apply_all(test=True)
    with pytest.raises(errors.WaitTimeoutError):
        swarm_service.apply_all()


def test_first_manager_promises_on_bare_hosts_what_will_be_made(host):
    one = host("m1")
    one.roles = SILENT
    promised = swarm_service.apply_all(test=True)
    assert one.connected == []
    one.roles = {"m1": PRIMARY}
    assert swarm_service.apply_all() == promised
    one = host("m2")
    one.roles = SILENT
    assert swarm_service.apply_all(test=True) is None


def test_managers_are_asked_once_who_is_primary(host):
    one = host()
    swarm_service.apply_all()
    one.salt["swarm_classic.managers"].assert_called_once_with()
    one.salt["swarm_classic.wait_primary"].assert_called_once_with()


def test_dry_run_counts_with_the_networks_of_the_pillar(host):
    one = host()
    one.api.networks_.remove("back")
    assert set(swarm_service.apply_all(test=True)) == {"web"}
    with pytest.raises(errors.SettingsError, match="one that the swarm has"):
        swarm_service.apply_all()
    assert one.api.written == []


def test_single_service_is_checked_as_one_of_the_pillar(host):
    one = host()
    with pytest.raises(errors.SettingsError, match=r"service web:secrets: .*mode: classic"):
        swarm_service.apply("web", {"image": "a", "secrets": ["key"]})
    with pytest.raises(errors.SettingsError, match="Did you mean 'replicas'"):
        swarm_service.apply("web", {"image": "a", "replicsa": 2})
    assert swarm_service.apply("web", {"image": "a"})["state"]["new"] == "running"
    assert set(one.api.there()) == {"web.1"}


def test_containers_and_logs_of_a_service_are_read_through_the_manager(host):
    one = host()
    swarm_service.apply("web", {"image": "a", "replicas": 11})
    found = swarm_service.tasks("web")
    assert [row["task"].split()[0] for row in found[-3:]] == ["web.9", "web.10", "web.11"]
    first = one.api.box("web.1")
    assert found[0] == {
        "task": f"web.1 on {first.engine}",
        "state": "running",
        "exit code": 0,
        "error": "",
        "wanted": "running",
        "since": found[0]["since"],
        "image": "a",
    }
    assert found[0]["since"]
    assert swarm_service.logs("web")[0]["log"] == ["the last words of a"]
    one.api.down.add(first.engine)
    row = swarm_service.logs("web")[0]
    assert (row["state"], row["log"]) == ("unknown", [])
    assert row["error"] == "its engine does not answer the managers"
    with pytest.raises(errors.SwarmError, match=r"no service wep\. Did you mean 'web'"):
        swarm_service.tasks("wep")
    host("m4")
    assert swarm_service.tasks("web") is swarm_service.logs("web") is None


class Engine:
    """The engine of one host, by its own API."""

    def __init__(self, swarm, name):
        self.swarm, self.name = swarm, name

    def containers(self, all):  # noqa: A002
        found = [one for one in self.swarm.boxes if one.engine == self.name]
        return [{"Names": ["/other/alias", f"/{one.name}"], "Labels": one.labels} for one in found]

    def __getattr__(self, key):
        return getattr(self.swarm, key)


def test_host_that_leaves_has_no_container_of_a_service_and_all_others(host, monkeypatch):
    one = host()
    swarm_service.apply("web", {"image": "a", "replicas": 6})
    here = {box.name for box in one.api.boxes if box.engine == "m1"}
    one.api.run("own", "b")
    label = {"Labels": {"swarm-formula.service": "web"}}
    one.api.post(one.api, "/containers/create?name=copy", {"Image": "b", "HostConfig": {}, **label})
    before = set(one.api.there())
    engine = contextlib.nullcontext(Engine(one.api, "m1"))
    monkeypatch.setattr(swarm_api, "connect", lambda _: engine)
    promised = swarm_service.remove_local(test=True)
    assert set(one.api.there()) == before
    assert swarm_service.remove_local() == promised
    assert here == set(promised)
    assert set(one.api.there()) == before - here
    assert swarm_service.remove_local() == swarm_service.remove_local(test=True) == {}
    one.salt["swarm_engine.exists"].return_value = False
    assert swarm_service.remove_local() == {}


@pytest.mark.parametrize("call", [swarm_service.restart, swarm_service.rollback])
def test_what_classic_mode_has_not_is_refused_by_its_name(host, call):
    host()
    with pytest.raises(errors.SettingsError, match="with mode: classic"):
        call("web")


def test_manager_that_does_not_answer_is_named(host, monkeypatch):
    host()
    error = errors.EngineUnreachableError("connection refused")

    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(engine_api, "connect", refuse)
    with pytest.raises(errors.ApiError, match=r"the manager 10\.77\.0\.11:3375 does not"):
        swarm_service.apply_all()


def test_options_of_classic_mode_are_refused_in_builtin_mode_by_their_names():
    given = service_modes.parsed({"image": "a", "affinities": ["image==b"]}, "web")
    (fault,) = service_modes.misfits("replicated", given, "web")
    assert str(fault).startswith("web:affinities: found ['image==b']; right would be no such key")
