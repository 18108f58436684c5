"""
No function that an operator calls decides by a pillar that has been edited since.
"""

import datetime
import re
from types import SimpleNamespace

import pytest
import salt.pillar

from _modules import (
    swarm_backup,
    swarm_builtin,
    swarm_ca,
    swarm_engine,
    swarm_leader,
    swarm_settings,
    swarm_turn,
)
from _states import swarm_builtin as node_state
from _states import swarm_ca as ca_state
from swarm_formula.cluster import swarm_api
from swarm_formula.core import host_files
from swarm_formula.docker import engine_api
from swarm_formula.salt import caller, current_pillar
from swarm_formula.tls import ca_state as tls_ca_state
from tests.unit.cluster_api import ClusterApi, node
from tests.unit.pillars import BUILTIN, M1
from tests.unit.test_docs import PAPERS

OLD, NEW = ({**BUILTIN, "managers": managers} for managers in (["m1"], ["m1", "m2"]))
MODULES = (swarm_backup, swarm_builtin, swarm_ca, swarm_engine, swarm_leader, swarm_turn)


class Asked(BaseException):
    """Settings were asked for: whatever follows, it is by these."""


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Return what every question for settings was answered with; the first one ends the call."""
    compiled, found, context = [], [], {}

    def get_pillar(*_, **__):
        compiled.append("now")
        return SimpleNamespace(compile_pillar=lambda: {"swarm": NEW})

    def get(fresh=False):
        found.append(list(swarm_settings.get(fresh)["managers"]))
        raise Asked

    monkeypatch.setattr(salt.pillar, "get_pillar", get_pillar)
    monkeypatch.setattr(swarm_settings, "_minion", lambda: M1)
    monkeypatch.setattr(swarm_settings, "__pillar__", {"swarm": OLD}, raising=False)
    monkeypatch.setattr(swarm_settings, "__grains__", {}, raising=False)
    monkeypatch.setattr(tls_ca_state, "FILE", tmp_path / "ca.json")
    monkeypatch.setattr(tls_ca_state, "load", lambda: {"ca": {}})
    monkeypatch.setattr(host_files, "_LOCKS", tmp_path)
    dunders = {"__salt__": {"swarm_settings.get": get}, "__opts__": {"id": "m1"}}
    for module in (*MODULES, swarm_settings):
        for name, value in {**dunders, "__context__": context}.items():
            monkeypatch.setattr(module, name, value, raising=False)
    return found


# Functions that an operator calls and that decide something by the pillar.
BY_HAND = {
    "swarm_backup.save": [],
    "swarm_backup.restore": ["/nowhere"],
    "swarm_backup.force_new_cluster": [],
    "swarm_builtin.forget": [],
    "swarm_builtin.leave": [],
    "swarm_ca.advance": ["m2"],
    "swarm_ca.remove": [],
    "swarm_engine.heal": [],
}


@pytest.mark.parametrize("name", BY_HAND)
def test_it_goes_by_the_pillar_of_now(asked, name):
    module, _, function = name.partition(".")
    of = {one.__name__.rpartition(".")[2]: one for one in MODULES}
    with pytest.raises(Asked):
        getattr(of[module], function)(*BY_HAND[name])
    assert asked == [["m1", "m2"]]
    # What follows in the same process, such as a state with values of its own, is as before.
    with pytest.raises(Asked):
        swarm_backup._settings()
    assert asked[1] == ["m1"]


@pytest.mark.parametrize("name", ["left", "absent"])
def test_a_state_goes_by_the_pillar_of_its_run(asked, monkeypatch, name):
    """Which may have values from the command line."""
    of = {"left": (node_state, swarm_builtin.leave), "absent": (ca_state, swarm_ca.remove)}
    module, function = of[name]
    known = {"swarm_builtin.leave": function, "swarm_ca.remove": function}
    known["swarm_builtin.release"] = lambda test: ""
    monkeypatch.setattr(module, "__salt__", known, raising=False)
    monkeypatch.setattr(module, "__opts__", {"test": False}, raising=False)
    with pytest.raises(Asked):
        getattr(module, name)("it")
    assert asked == [["m1"]]


def test_check_tells_of_what_was_edited(asked):
    swarm_settings.__pillar__["swarm"] = {**OLD, "overlay": "yes"}
    assert swarm_settings.check()["faults"] == []


def test_all_that_a_function_calls_goes_by_the_same_compiled_pillar(asked, monkeypatch):
    compiled = []
    monkeypatch.setattr(swarm_settings, "_compiled", lambda: compiled.append(1) or {"swarm": NEW})
    got = []

    def heal():
        got.extend(list(swarm_settings.get()["managers"]) for _ in range(3))
        return []

    monkeypatch.setattr(swarm_engine, "_heal", heal)
    swarm_engine.heal()
    assert (got, compiled) == ([["m1", "m2"]] * 3, [1])


# Functions in the papers that decide nothing by the pillar, or have a test of their own.
OTHERS = {
    "swarm_builtin.info",
    "swarm_ca.certificate",
    "swarm_ca.forget",
    "swarm_ca.issued",
    "swarm_classic.managers",
    "swarm_consul.expel",
    "swarm_consul.nodes",
    "swarm_consul.peers",
    "swarm_consul.status",
    "swarm_container.logs",
    "swarm_engine.complaints",
    "swarm_engine.known_faults",
    "swarm_engine.preflight",
    "swarm_firewall.status",
    "swarm_image.load",
    "swarm_leader.rotate",
    "swarm_leader.settle",
    "swarm_overlay.complaints",
    "swarm_overlay.heal",
    "swarm_settings.check",
    "swarm_settings.get",
    "swarm_tls.distrust",
    "swarm_tls.status",
    "swarm_turn.end",
    "swarm_turn.status",
}


def test_each_command_of_the_papers_is_known_here():
    words = r"salt (?:'[^']*'|[\w*.-]+) (swarm_\w+\.\w+)"
    told = {name for paper in PAPERS for name in re.findall(words, paper.read_text())}
    assert told - BY_HAND.keys() - OTHERS == set()


def test_worker_that_has_just_become_a_member_gets_its_turn(asked, monkeypatch):
    """By the pillar of the manager's last refresh, it is nobody."""
    api = ClusterApi("m1", [node("m1", "manager", leader=True), node("m4")])
    monkeypatch.setattr(swarm_api, "connect", lambda _: api.connect())
    monkeypatch.setattr(engine_api, "connect", api.connect)
    known = {"swarm_settings.get": swarm_settings.get, "swarm_builtin.claims": dict}
    monkeypatch.setattr(swarm_turn, "__salt__", known)
    monkeypatch.setitem(OLD, "nodes", {})
    said = swarm_turn.request("take", __pub_id="m4")["missing"]
    assert "no node of the cluster of m1 says that it is m4" in said
    assert "does not name m9" in swarm_turn.request("take", __pub_id="m9")["missing"]
    with caller.admitted("m8", []):
        assert swarm_turn.request("take", __pub_id="m9")["stuck"] is True


def test_digest_is_the_same_on_master_and_minion_and_short():
    """On the way to the minion, a pillar loses its tuples, its dates and its keys' types."""
    there = {"ports": (1, 2), "since": datetime.date(2026, 1, 2), "labels": {1: "b", "a": None}}
    here = {"labels": {"a": None, "1": "b"}, "since": "2026-01-02", "ports": [1, 2]}
    found = current_pillar.digest(there)
    assert found == current_pillar.digest(here) != current_pillar.digest({**here, "ports": [2, 1]})
    assert re.fullmatch("sha256:[0-9a-f]{8}", found)
    assert current_pillar.digest(None) != current_pillar.digest({})
