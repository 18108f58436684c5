import json
import re

import pytest

from _modules import swarm_settings as execution
from _states import swarm_settings as state
from swarm_formula.core import errors
from swarm_formula.daemon import holdings
from swarm_formula.settings import topology
from swarm_formula.tls import cert_files
from tests.unit.execution import mocked
from tests.unit.pillars import HOSTS

CFSSL = "https://ca.example.com/api/v1/cfssl/sign"
INTERFACES = {
    "lo": {"up": True, "inet": [{"address": "127.0.0.1"}], "inet6": [{"address": "::1"}]},
    "eth0": {
        "up": True,
        "inet": [{"address": "10.77.0.11", "label": "eth0"}],
        "inet6": [{"address": "fe80::1"}],
        "secondary": [{"type": "inet", "address": "10.77.0.111"}],
    },
    "wg0": {"up": False},
}


@pytest.fixture
def configure_loader_modules(monkeypatch):
    monkeypatch.setattr(topology.Minion, "__new__", _minion)
    return {
        execution: {
            "__salt__": mocked(network__interfaces=INTERFACES),
            "__opts__": {"id": "m1"},
            "__pillar__": {"swarm": {"managers": ["m1", "m2", "m3"]}},
            "__context__": {},
        },
        state: {"__opts__": {"test": False}, "__salt__": {}},
    }


def _minion(cls, **given):
    """Make a ``Minion`` whose names and ways are those of the test's network."""
    known = {"resolve": HOSTS.get, "towards": lambda _: "10.77.0.11", **given}
    return tuple.__new__(cls, [known[field] for field in cls._fields])


def set_pillar(monkeypatch, swarm):
    monkeypatch.setattr(execution, "__pillar__", {"swarm": swarm})


def test_settings_of_this_minion():
    settings = execution.get()
    assert (settings["id"], settings["address"]) == ("m1", "10.77.0.11")
    assert settings["is_manager"] is True


@pytest.mark.parametrize("address", ["10.77.0.111", {"cidr": "10.77.0.64/26"}], ids=str)
def test_secondary_address_of_an_interface_is_one_of_this_host(monkeypatch, address):
    """Salt keeps further addresses of the same subnet apart from the first."""
    set_pillar(monkeypatch, {"managers": ["m2"], "address": address})
    assert execution.get()["address"] == "10.77.0.111"


def test_settings_are_plain_data():
    """They go through Salt's serialiser, and ``str()`` of Salt 3008's masked pillar is ``***``."""
    settings = execution.get()
    assert json.loads(json.dumps(settings)) == settings


def test_every_fault_is_in_the_error(monkeypatch):
    set_pillar(monkeypatch, {"managers": ["m1", "nowhere"], "overlay": "yes", "prot": 1})
    with pytest.raises(errors.SettingsError) as failure:
        execution.get()
    first, *rest = str(failure.value).splitlines()
    assert first == "3 fault(s) in the pillar of m1, nothing was touched:"
    assert [line.partition(": found")[0] for line in sorted(rest)] == [
        "- swarm:managers:nowhere",
        "- swarm:overlay",
        "- swarm:prot",
    ]


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("swarm:labels:False", {"labels": {False: 1}}),
        ("swarm:nodes:m*:labels:True", {"nodes": {"m*": {"labels": {True: "a"}}}}),
        ("swarm:engine:options:None", {"engine": {"options": {None: 1}}}),
        (
            "swarm:networks:backend:options:False",
            {"networks": {"backend": {"driver": "overlay", "options": {False: "1"}}}},
        ),
        (
            "swarm:builtin:cluster:external-ca:options:True",
            {"builtin": {"cluster": {"external-ca": [{"url": CFSSL, "options": {True: "x"}}]}}},
        ),
    ],
    ids=str,
)
def test_key_that_yaml_reads_as_another_thing_is_told(monkeypatch, path, given):
    """``off: 1`` in the file. As JSON, it would be a label ``false=1``."""
    set_pillar(monkeypatch, {"managers": ["m1"], **given})
    words = rf"{re.escape(path)}: found .*; right would be a key in quotes"
    with pytest.raises(errors.SettingsError, match=words):
        execution.get()
    assert any(re.search(words, text) for text in execution.check(fresh=False)["faults"])


def test_key_that_is_a_number_or_quoted_is_a_key(monkeypatch):
    set_pillar(monkeypatch, {"managers": ["m1"], "labels": {7: "a", "off": 1, "null": "x"}})
    assert execution.get()["labels"] == {"7": "a", "off": 1, "null": "x"}


def test_check_tells_faults_and_warnings(monkeypatch):
    set_pillar(monkeypatch, {"managers": ["m1", "m2"], "overlay": 1})
    found = execution.check(fresh=False)
    assert [text.partition(":")[0] for text in found["warnings"]] == ["swarm"]
    assert len(found["faults"]) == 1


def test_masterless_minion_needs_no_pillar(monkeypatch):
    monkeypatch.setattr(execution, "__opts__", {"id": "alone", "file_client": "local"})
    monkeypatch.setattr(execution, "__pillar__", {})
    assert execution.get()["managers"] == {"alone": "10.77.0.11"}


def test_settings_are_worked_out_once_per_pillar(monkeypatch):
    """Resolving names costs time, and every state asks for the settings."""
    interfaces = execution.__salt__["network.interfaces"]
    first = execution.get()
    assert execution.get() is first
    assert interfaces.call_count == 1
    set_pillar(monkeypatch, {"managers": ["m1"]})
    assert list(execution.get()["managers"]) == ["m1"]


def test_faults_are_not_remembered(monkeypatch):
    set_pillar(monkeypatch, {"managers": 5})
    for _ in range(2):
        with pytest.raises(errors.SettingsError):
            execution.get()


# ---- the state


def salt_of_state(monkeypatch, **returns):
    checks = {
        "swarm_settings__check_member": [],
        "swarm_consul__check_fixed": None,
        "swarm_engine__check_mode": None,
        "swarm_engine__preflight": [],
    }
    monkeypatch.setattr(state, "__salt__", mocked(**{**checks, **returns}))


def test_valid_pillar(monkeypatch):
    salt_of_state(
        monkeypatch, swarm_settings__get={}, swarm_settings__check={"faults": [], "warnings": []}
    )
    assert state.valid("pillar") == {
        "name": "pillar",
        "result": True,
        "changes": {},
        "comment": "pillar is in the desired state",
    }


def test_warnings_are_shown_and_stop_nothing(monkeypatch):
    warning = "swarm:managers: 2 is an even number"
    salt_of_state(
        monkeypatch,
        swarm_settings__get={},
        swarm_settings__check={"faults": [], "warnings": [warning]},
    )
    ret = state.valid("pillar")
    assert (ret["result"], ret["warnings"]) == (True, [warning])


def test_invalid_pillar_fails_with_all_of_it(monkeypatch):
    error = errors.SettingsError("2 fault(s):\n- a\n- b")
    salt_of_state(monkeypatch, swarm_settings__get=error, swarm_settings__check=error)
    ret = state.valid("pillar")
    assert ret["result"] is False
    assert ret["comment"] == "2 fault(s):\n- a\n- b"


def test_what_a_running_consul_cannot_become_fails(monkeypatch):
    error = errors.SwarmError("swarm:consul:datacenter is berlin")
    salt_of_state(monkeypatch, swarm_settings__get={}, swarm_consul__check_fixed=error)
    ret = state.valid("pillar")
    assert (ret["result"], ret["comment"]) == (False, "swarm:consul:datacenter is berlin")


@pytest.mark.parametrize("test", [False, True], ids=["run", "test"])
def test_swarm_of_the_other_mode_fails_before_anything_is_touched(monkeypatch, test):
    monkeypatch.setattr(state, "__opts__", {"test": test})
    error = errors.SettingsError("m1 is in a cluster of swarm mode")
    salt_of_state(monkeypatch, swarm_settings__get={}, swarm_engine__check_mode=error)
    ret = state.valid("pillar")
    assert (ret["result"], ret["comment"]) == (False, "m1 is in a cluster of swarm mode")


# ---- who is a member


@pytest.fixture
def bare(monkeypatch):
    """Make the minion one that has no certificate and whose engine is in no cluster."""
    monkeypatch.setattr(cert_files.NODE, "read", lambda: None, raising=False)
    monkeypatch.setattr(holdings, "in_cluster", lambda _: False)


UNNAMED = {"managers": ["m2"], "nodes": {"web-*": {}}}


@pytest.mark.parametrize("more", [{}, {"mode": "builtin"}], ids=["classic", "builtin"])
@pytest.mark.usefixtures("bare")
def test_minion_that_pillar_does_not_name_is_refused_with_the_cure(monkeypatch, more):
    set_pillar(monkeypatch, {**UNNAMED, **more})
    with pytest.raises(errors.SettingsError, match=r"nodes: \{m1: \{\}\}"):
        execution.check_member()
    salt_of_state(
        monkeypatch, swarm_settings__get={}, swarm_settings__check_member=execution.check_member
    )
    ret = state.valid("pillar")
    assert ret["result"] is False
    assert ret["comment"].startswith("nothing was changed: the pillar of m1 has swarm:managers and")


@pytest.mark.parametrize(
    "more", [{"nodes": {"m?": {}}}, {"managers": ["m1"]}, {"tls": {"ca": "m1"}}], ids=str
)
@pytest.mark.usefixtures("bare")
def test_minion_that_pillar_names_and_the_ca_are_let_in(monkeypatch, more):
    set_pillar(monkeypatch, {**UNNAMED, **more})
    assert execution.check_member() == []


@pytest.mark.parametrize("has", ["a certificate", "a cluster"])
@pytest.mark.usefixtures("bare")
def test_minion_that_is_in_the_swarm_is_warned_only(monkeypatch, has):
    """The managers' pillar may name it: an upgrade of the formula must not stop its applies."""
    if has == "a certificate":
        monkeypatch.setattr(cert_files.NODE, "read", lambda: "a set", raising=False)
    else:
        monkeypatch.setattr(holdings, "in_cluster", lambda _: True)
    set_pillar(monkeypatch, UNNAMED)
    (told,) = execution.check_member()
    assert "does not name m1" in told


def test_swarm_clean_asks_for_no_name(monkeypatch):
    """A node that was taken out of pillar is cleaned."""
    warnings = {"faults": [], "warnings": []}
    refused = errors.SettingsError("not named")
    salt_of_state(
        monkeypatch,
        swarm_settings__get={},
        swarm_settings__check=warnings,
        swarm_settings__check_member=refused,
    )
    assert state.valid("pillar", leaving=True)["result"] is True
    assert state.valid("pillar")["result"] is False
