"""
Containers that single nodes run beside the swarm.
"""

import pytest

from _modules import swarm_container
from swarm_formula.settings import host_containers, parse
from swarm_formula.spec import option_table
from tests.unit.execution import mocked
from tests.unit.pillars import VALID, node, resolved, settings_of
from tests.unit.spec.test_container_options import SPEC

CONTAINERS = {
    "exporter": {"image": "exporter:1", "privileged": True, "nodes": ["m4", "web-*"]},
    "log": {"image": "log", "environment": {"A": 1}, "memory": "64m", "labels": None},
}


def wanted(minion):
    settings = settings_of({**VALID, "containers": CONTAINERS}, node(minion))
    return host_containers.of_node(settings["id"], settings["containers"])


def test_node_runs_its_containers_and_others_do_not():
    log = {"image": "log", "environment": {"A": "1"}, "memory": 64 << 20, "labels": None}
    assert wanted("m1") == {"log": log}
    assert wanted("m4") == {"exporter": {"image": "exporter:1", "privileged": True}, "log": log}


def test_every_setting_of_the_state_is_taken_in_its_canonical_form():
    given, faults = option_table.parse(SPEC, host_containers.OPTIONS, "containers")
    assert (given, faults) == (SPEC, [])


@pytest.mark.parametrize(
    ("containers", "text"),
    [
        ({"web": {}}, "swarm:containers:web:image: found None"),
        ({"web": {"image": "a", "priveleged": True}}, "Did you mean 'privileged'"),
        ({"web": {"image": "a", "devices": ["dev"]}}, "swarm:containers:web:devices"),
        ({"web": {"image": "a", "image_hash": "x"}}, "swarm:containers:web:image_hash"),
        ({"swarm-agent": {"image": "a"}}, "another name: the formula has one of it"),
    ],
)
def test_wrong_container_is_refused_by_its_place(containers, text):
    pillar = {**VALID, "containers": containers}
    assert text in "; ".join(parse.texts(resolved(pillar)[1]))


def test_value_that_may_be_secret_is_not_quoted():
    pillar = {**VALID, "containers": {"web": {"image": "a", "environment": "PASSWORD=hush"}}}
    (text,) = parse.texts(resolved(pillar)[1])
    assert "hush" not in text


def test_all_of_a_node_are_applied_and_none_if_one_is_refused(monkeypatch):
    settings = settings_of({**VALID, "containers": CONTAINERS}, node("m4"))
    salt = mocked(swarm_settings__get=settings)
    monkeypatch.setattr(swarm_container, "__salt__", salt, raising=False)
    calls = []

    def apply(name, spec, test=False, timeout=0):
        calls.append((name, test, timeout))
        if name == "log" and refuse:
            raise ValueError("no")
        return {"image": {"old": None, "new": spec["image"]}}

    monkeypatch.setattr(swarm_container, "apply", apply)
    refuse = False
    assert set(swarm_container.apply_all()) == {"exporter", "log"}
    assert calls[-1] == ("log", False, settings["timeout"])
    refuse = True
    calls.clear()
    with pytest.raises(ValueError, match="no"):
        swarm_container.apply_all()
    assert {test for _, test, _ in calls} == {True}
