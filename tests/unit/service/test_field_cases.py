"""
Cases from the field that are no more than a few calls of the API; see docs/workloads.md.
"""

import os
import subprocess

import pytest

from swarm_formula.docker import engine_api
from swarm_formula.service import apply as service_apply
from swarm_formula.service import content_options, secrets_configs
from tests.unit.service_api import Manager, options

pytestmark = pytest.mark.once


@pytest.fixture
def manager(monkeypatch):
    return Manager().patch(monkeypatch)


def apply(manager, **services):
    return service_apply.apply(manager, services, service_apply.Run(60))


def by_hand(manager, change):
    """Change the spec of the service `web` as another tool does."""
    service = manager.services_["web"]
    change(service["Spec"])
    engine_api.post(
        manager,
        f"/services/{service['ID']}/update?version={service['Version']['Index']}",
        json=service["Spec"],
    )


def content(manager, text):
    secrets_configs.apply(manager, content_options.Wanted("configs", "site", text.encode()))


def test_label_and_limit_that_others_have_set_survive_an_apply(manager):
    wanted = options(env={"A": "1"})
    apply(manager, web=wanted)

    def change(spec):
        spec["Labels"] = {"by": "hand"}
        spec["TaskTemplate"]["Resources"] = {"Limits": {"MemoryBytes": 64 << 20}}

    by_hand(manager, change)
    assert apply(manager, web=wanted) == {}
    assert set(apply(manager, web=options(env={"A": "2"}))["web"]) == {"env"}
    spec = manager.services_["web"]["Spec"]
    assert spec["Labels"] == {"by": "hand"}
    assert spec["TaskTemplate"]["Resources"]["Limits"] == {"MemoryBytes": 64 << 20}


def test_scale_that_somebody_has_set_survives_an_update(manager):
    apply(manager, web=options())
    by_hand(manager, lambda spec: spec["Mode"]["Replicated"].update(Replicas=7))
    assert apply(manager, web=options()) == {}
    assert set(apply(manager, web=options(user="me"))["web"]) == {"user"}
    assert manager.services_["web"]["Spec"]["Mode"]["Replicated"]["Replicas"] == 7


def test_of_twenty_services_one_that_changes_is_one_write(manager):
    services = {f"s{number}": options() for number in range(20)}
    apply(manager, **services)
    manager.written.clear()
    apply(manager, **{**services, "s7": options(user="me")})
    assert manager.written == ["/services/id-s7/update"]


def test_both_services_of_a_config_follow_it_and_no_other(manager):
    content(manager, "one")
    services = {"a": options(configs=["site"]), "b": options(configs=["site"]), "c": options()}
    apply(manager, **services)
    content(manager, "two")
    manager.written.clear()
    assert {name: set(one) for name, one in apply(manager, **services).items()} == {
        "a": {"configs"},
        "b": {"configs"},
    }
    assert manager.written == ["/services/id-a/update", "/services/id-b/update"]
    latest = secrets_configs.version("configs", "site", b"two")
    for name in "ab":
        (used,) = manager.services_[name]["Spec"]["TaskTemplate"]["ContainerSpec"]["Configs"]
        assert used["ConfigName"] == latest


def test_no_command_line_is_run(manager, monkeypatch):
    def refuse(*words, **_):
        raise AssertionError(words)

    for module, name in ((subprocess, "Popen"), (os, "system"), (os, "posix_spawn")):
        monkeypatch.setattr(module, name, refuse)
    content(manager, "one")
    apply(manager, web=options(configs=["site"], image="registry.example.com/a"))
    service_apply.restart(manager, "web", 30)
    service_apply.scale(manager, "web", 2, 30)
    service_apply.rollback(manager, "web", 30)


def test_ulimits_are_in_the_spec_and_taken_away_again(manager):
    apply(manager, web=options(ulimits={"nofile": 65536}))
    container = manager.services_["web"]["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert container["Ulimits"] == [{"Name": "nofile", "Soft": 65536, "Hard": 65536}]
    assert apply(manager, web=options(ulimits={"nofile": "65536:65536"})) == {}
    assert set(apply(manager, web=options(ulimits=None))["web"]) == {"ulimits"}
    container = manager.services_["web"]["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert not container.get("Ulimits")


def test_port_that_the_engine_has_chosen_stays(manager):
    """Docker keeps its choice beside the spec, for as long as the spec has no number."""
    wanted = {"ports": ["80", {"target": 81, "mode": "host"}]}
    apply(manager, web=options(**wanted))
    service = manager.services_["web"]
    ports = service["Spec"]["EndpointSpec"]["Ports"]
    chosen = [{**one, "PublishedPort": 30000 + one["TargetPort"]} for one in ports]
    service["Endpoint"] = {"Spec": service["Spec"]["EndpointSpec"], "Ports": chosen}
    manager.written.clear()
    assert apply(manager, web=options(**wanted)) == {}
    assert manager.written == []
    assert set(apply(manager, web=options(**wanted, user="me"))["web"]) == {"user"}
    kept = manager.services_["web"]["Spec"]["EndpointSpec"]["Ports"]
    assert [one.get("PublishedPort", 0) for one in kept] == [0, 0]
    assert set(apply(manager, web=options(ports=["8080:80"]))["web"]) == {"ports"}
