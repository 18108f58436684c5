"""
The modules of services, secrets and configs: who acts, on what of the pillar, and what is told.
"""

import copy
import importlib

import pytest

from swarm_formula.cluster import membership, swarm_api
from swarm_formula.core import errors
from tests.unit.execution import mocked
from tests.unit.pillars import BUILTIN, settings_of
from tests.unit.service_api import Manager, text

CONTENT = "the-content-itself"
PILLAR = {
    **BUILTIN,
    "networks": {"front": {"driver": "overlay"}},
    "secrets": {"password": {"content": CONTENT}},
    "configs": {"site": {"content": "x", "keep": 3}},
    "services": {"web": {"image": "a", "secrets": ["password"], "configs": ["site"]}},
}
OWN = {"image": "a", "networks": ["own"], "secrets": ["key"], "configs": ["page"]}
SHOP = {
    "content": {
        "services": {"web": {"image": "a", "networks": ["out"], "secrets": ["key"]}},
        "networks": {"out": {"external": True, "name": "own"}},
        "secrets": {"key": {"external": True}},
    }
}
MODULES = ("swarm_service", "swarm_secret", "swarm_config", "swarm_network", "swarm_stack")


class Host:
    """The modules on a manager, in one run of states."""

    def __init__(self, monkeypatch):
        self.api, self.leads, self.pillar = Manager().patch(monkeypatch), True, PILLAR
        self.manager, self.founds = True, False
        self.settings = settings_of(copy.deepcopy(PILLAR))
        self.modules = {name: importlib.import_module(f"_modules.{name}") for name in MODULES}
        salt = mocked(
            swarm_settings__get=lambda **_: self.settings,
            swarm_leader__leads=lambda: self.leads,
            swarm_leader__founds=lambda: self.founds,
            swarm_builtin__claims={"m2": "id-m2"},
        )
        self.context = {}
        for name, module in self.modules.items():
            salt |= {f"{name}.planned": lambda name=name: self.modules[name].planned()}
            monkeypatch.setattr(module, "__salt__", salt, raising=False)
            monkeypatch.setattr(module, "__context__", self.context, raising=False)
            monkeypatch.setattr(module, "__opts__", {}, raising=False)
            monkeypatch.setattr(module, "__pillar__", {"swarm": self.pillar}, raising=False)
            if hasattr(module, "_client"):
                monkeypatch.setattr(module, "_client", self.api.connect)
        monkeypatch.setattr(swarm_api, "connect", self.api.connect)
        monkeypatch.setattr(swarm_api, "swarm", lambda _: {"NodeID": "id-m1"})
        monkeypatch.setattr(membership, "manager", lambda _: self.manager)
        monkeypatch.setattr(self.modules["swarm_network"], "_judge", lambda _: None)
        self.service, self.secret, self.config, self.network, self.stack = (
            self.modules[name] for name in MODULES
        )

    def apply_all(self, test=False):
        """Do what the states of ``swarm.services`` do, and return what each has changed."""
        return [module.apply_all(test) for module in (self.secret, self.config, self.service)]


@pytest.fixture
def host(monkeypatch):
    return Host(monkeypatch)


def test_variables_of_files_are_read_by_the_leader_alone_and_followed(host, tmp_path):
    path = tmp_path / "web.env"
    path.write_text("TOKEN=geheim\n")
    wanted = {"image": "a", "env_files": [str(path)], "env": {"B": "2"}}
    changes = host.service.apply("web", wanted)
    assert "geheim" not in str(changes)
    spec = next(iter(host.api.services_.values()))["Spec"]
    assert spec["TaskTemplate"]["ContainerSpec"]["Env"] == ["B=2", "TOKEN=geheim"]
    assert host.service.apply("web", wanted) == {}
    path.write_text("TOKEN=another\n")
    assert set(host.service.apply("web", wanted, test=True)) == {"env"}
    path.unlink()
    with pytest.raises(errors.SwarmError, match=r"service web: /.*web.env cannot be read"):
        host.service.apply("web", wanted)
    host.leads = False
    assert host.service.apply("web", wanted) is None


def test_dry_run_promises_what_a_run_does_and_then_nothing_changes(host):
    promised = host.apply_all(test=True)
    assert host.api.written == []
    done = host.apply_all()
    assert done == promised
    assert [set(one) for one in done] == [{"password"}, {"site"}, {"web"}]
    assert host.apply_all() == host.apply_all(test=True) == [{}, {}, {}]


def test_rotation_is_one_apply(host):
    host.apply_all()
    host.pillar["secrets"]["password"]["content"] = "another"
    try:
        promised = host.apply_all(test=True)
        done = host.apply_all()
    finally:
        host.pillar["secrets"]["password"]["content"] = CONTENT
    assert done == promised
    assert [set(one) for one in done] == [{"password"}, set(), {"web"}]
    assert set(done[2]["web"]) == {"secrets"}


def test_contents_are_in_nothing_that_is_returned(host):
    told = [*host.apply_all(test=True), *host.apply_all(), host.secret.versions()]
    told += [host.secret.planned(), host.service.status(), host.settings]
    assert CONTENT not in text(told)
    (version,) = host.secret.versions()["password"]
    assert host.secret.planned() == {"password": version}


def test_leader_acts_and_in_a_dry_run_the_node_that_will_be(host):
    assert host.service.leads() is host.service.leads(test=True) is True
    host.leads, host.founds = False, True
    assert (host.service.leads(), host.service.leads(test=True)) == (False, True)


def test_only_the_leader_acts_and_calls_of_others_are_none(host):
    host.leads = False
    assert host.apply_all() == host.apply_all(test=True) == [None, None, None]
    assert host.service.apply("web", {"image": "a"}) is None
    assert host.secret.apply("password", content="x") is None
    assert host.stack.apply("shop", SHOP) is host.service.restart("web") is None
    for module in (host.service, host.secret, host.config, host.stack):
        assert module.remove("web") is module.remove("web", test=True) is None
    assert host.api.written == []


def test_first_manager_promises_on_a_bare_host_what_it_will_make(host):
    host.leads, host.founds = False, True
    promised = host.apply_all(test=True)
    assert host.apply_all() == [None, None, None]
    host.leads, host.founds = True, False
    assert host.apply_all() == promised


def own_states(host, test=False):
    """Do what states of one's own do, one after the other, and return what each has changed."""
    host.context.clear()
    return [
        host.network.apply("own", {"driver": "overlay"}, test),
        host.secret.apply("key", content="x", test=test),
        host.config.apply("page", content="x", test=test),
        host.service.apply("app", OWN, test),
        host.stack.apply("shop", SHOP, test),
    ]


def test_states_of_ones_own_count_with_earlier_ones_in_a_dry_run(host):
    promised = own_states(host, test=True)
    assert host.api.written == []
    assert own_states(host) == promised
    assert "absent" not in text(promised[3]["secrets"])
    assert own_states(host) == own_states(host, test=True) == [{}] * 5
    # What was noted in one run is nothing in the next.
    host.context.clear()
    with pytest.raises(errors.SettingsError, match="one that the cluster has"):
        host.service.apply("app", {**OWN, "secrets": ["kez"]}, test=True)


def test_states_of_ones_own_promise_on_a_bare_host_what_they_will_make(host):
    host.leads, host.founds = False, True
    promised = own_states(host, test=True)
    assert host.service.remove("app", test=True) == host.secret.remove("key", test=True) == {}
    assert host.api.written == []
    host.leads, host.founds = True, False
    assert own_states(host) == promised


def removals(host, test=False):
    host.context.clear()
    return [
        host.stack.remove("shop", test),
        host.service.remove("app", test),
        host.network.remove("own", test),
        host.secret.remove("key", test),
        host.config.remove("page", test),
    ]


def test_dry_run_removes_what_services_had_that_earlier_states_remove(host):
    own_states(host)
    host.context.clear()
    with pytest.raises(errors.SwarmError, match="services use key-"):
        host.secret.remove("key", test=True)
    with pytest.raises(errors.SwarmError, match="services have it: app, shop_web"):
        host.network.remove("own", test=True)
    before = list(host.api.written)
    promised = removals(host, test=True)
    assert host.api.written == before
    assert removals(host) == promised
    assert all(promised)
    assert removals(host) == removals(host, test=True) == [{}] * 5


def test_single_objects_are_applied_and_removed(host):
    assert set(host.secret.apply("key", content="x")) == {"version"}
    assert set(host.config.apply("site", content="y", keep=4)) == {"version"}
    spec = {"image": "a", "secrets": ["key"], "configs": ["site"], "timeout": 20}
    assert host.service.apply("web", spec)["state"]["new"] == "running"
    assert host.service.apply("web", spec) == {}
    with pytest.raises(errors.SwarmError, match="services use key-"):
        host.secret.remove("key")
    host.service.remove("web")
    assert host.secret.remove("key") == host.config.remove("site")
    assert host.secret.versions() == host.config.versions() == {}


def test_wrong_option_of_a_single_service_is_refused(host):
    with pytest.raises(errors.SettingsError, match="Did you mean 'replicas'"):
        host.service.apply("web", {"image": "a", "replicsa": 2})


def test_warnings_of_a_job_are_told_once(host):
    host.service.apply("web", {"image": "a"}, test=True)
    (told,) = host.service.complaints()
    assert "no digest of a. " in told
    assert "The reason: image a: Docker says: no such host" in told
    assert host.service.complaints() == []


def test_status_has_a_row_for_each_service(host):
    host.apply_all()
    (row,) = host.service.status()
    assert (row["service"], row["wanted"], row["running"], row["why not"]) == ("web", 1, 1, "")


def test_node_that_cannot_tell_says_so(host):
    host.manager = False
    assert host.service.status() is None
    assert host.secret.versions() == {}
    host.settings = {**host.settings, "mode": "classic", "managers": {}}
    assert host.service.status() is host.service.tasks("web") is host.service.logs("web") is None


def test_tasks_logs_and_export_of_what_runs(host):
    host.apply_all()
    host.api.logs[host.api.tasks_[0]["ID"]] = b"\1\0\0\0\0\0\0\4one\n"
    (row,) = host.service.tasks("web")
    assert (row["task"], row["state"], row["image"]) == ("web.1 on m1", "running", "a")
    assert [(one["task"], one["log"]) for one in host.service.logs("web")] == [
        ("web.1 on m1", ["one"])
    ]
    exported = host.service.export()
    assert exported["services"] == {
        "web": {
            "image": "a",
            "replicas": 1,
            "secrets": [{"name": "password", "target": "password"}],
            "configs": [{"name": "site", "target": "/site"}],
        }
    }
    assert exported["configs"] == {"site": {"content": "x"}}
    assert (exported["managers"], exported["nodes"]) == (["m1"], {"m2": {}})
    assert CONTENT not in text(exported)
    # As its pillar, it changes nothing.
    assert host.service.apply("web", exported["services"]["web"]) == {}


def test_scale_and_rollback_wait_and_are_the_leaders(host):
    host.service.apply("web", {"image": "a", "replicas": 2})
    assert host.service.scale("web", 3) == {"replicas": {"old": 2, "new": 3}}
    assert host.service.scale("web", "3") == {}
    host.service.apply("web", {"image": "b"})

    def roll_back(api, name):
        api.run(name)
        api.status(name, "rollback_completed", "rollback completed")

    host.api.behave["web"] = roll_back
    told = host.service.rollback("web")
    assert told == {"image": {"old": "b", "new": "a"}}
    assert host.api.services_["web"]["Spec"]["Mode"] == {"Replicated": {"Replicas": 3}}
    host.leads = False
    assert host.service.scale("web", 9) is host.service.rollback("web") is None
    host.manager = False
    assert host.service.tasks("web") is host.service.export() is None


def test_what_cannot_be_scaled_or_rolled_back_is_told(host):
    host.service.apply("all", {"image": "a", "mode": "global"})
    with pytest.raises(errors.SettingsError, match="a global service has none"):
        host.service.scale("all", 2)
    with pytest.raises(errors.SwarmError, match="has no previous spec"):
        host.service.rollback("all")
    with pytest.raises(errors.SwarmError, match=r"no service alk\. Did you mean 'all'"):
        host.service.rollback("alk")
