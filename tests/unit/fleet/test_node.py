import contextlib
from unittest.mock import Mock

import pytest

from _modules import swarm_node
from _states import swarm_node as states
from swarm_formula.cluster import swarm_api
from swarm_formula.core import errors
from swarm_formula.salt import current_pillar, minion_reports
from tests.unit.execution import mocked
from tests.unit.pillars import BUILTIN, VALID, node, settings_of


@pytest.mark.parametrize(
    ("outcome", "joined"),
    [(None, True), (errors.WaitTimeoutError("it is not in the list"), False)],
)
def test_joined_is_what_the_managers_say_at_once(monkeypatch, outcome, joined):
    salt = mocked(
        swarm_settings__get=settings_of(VALID, node("m4")), swarm_classic__wait_healthy=outcome
    )
    monkeypatch.setattr(swarm_node, "__salt__", salt, raising=False)
    assert swarm_node.joined() is joined
    salt["swarm_classic.wait_healthy"].assert_called_once_with(0)


def test_report(monkeypatch):
    settings = settings_of({**VALID, "labels": {"zone": "a"}}, node("m4"))
    salt = mocked(swarm_settings__get=settings, swarm_engine__version="20.10.5")
    monkeypatch.setattr(swarm_node, "__salt__", salt, raising=False)
    monkeypatch.setattr(swarm_node, "__pillar__", {"swarm": VALID}, raising=False)
    report = swarm_node.report()
    assert report["pillar"] == current_pillar.digest(VALID)
    assert report["endpoint"] == "10.77.0.14:2275"
    assert (report["manager"], report["server"]) == (False, False)
    assert set(report["managers"]) == set(report["servers"]) == {"m1", "m2", "m3"}
    assert (report["labels"], report["engine"]) == ({"zone": "a"}, "20.10.5")
    assert report["registry"] is None


def test_report_has_the_engines_own_word_of_its_swarm_mode(monkeypatch):
    swarm = {"NodeID": "", "LocalNodeState": "error", "Error": "could not find local IP address"}
    labels = {"zone": "a", "ssd": True, "old": None}
    given = {**BUILTIN, "nodes": {"m*": {"labels": labels, "availability": "drain"}}}
    given["registry"] = {"node": "m2"}
    settings = settings_of(given, node("m4"))
    salt = mocked(swarm_settings__get=settings, swarm_engine__version="26.1.5")
    monkeypatch.setattr(swarm_node, "__salt__", salt, raising=False)
    monkeypatch.setattr(swarm_node, "__pillar__", {"swarm": given}, raising=False)
    client = Mock(info=lambda: {"Swarm": swarm})
    monkeypatch.setattr(swarm_api, "connect", lambda _: contextlib.nullcontext(client))
    report = swarm_node.report()
    assert (report["state"], report["error"]) == ("error", "could not find local IP address")
    assert (report["endpoint"], report["mode"]) == ("", "builtin")
    assert report["labels"] == {"zone": "a", "ssd": "true"}
    assert (report["availability"], report["registry"]) == ("drain", "m2")
    assert minion_reports.read(report) == report


@pytest.mark.parametrize(
    ("joined", "test", "result"), [(True, False, True), (False, False, False), (False, True, True)]
)
def test_state_tells_and_changes_nothing(monkeypatch, joined, test, result):
    monkeypatch.setattr(states, "__salt__", mocked(swarm_node__joined=joined), raising=False)
    monkeypatch.setattr(states, "__opts__", {"test": test}, raising=False)
    ret = states.joined("a member")
    assert (ret["result"], ret["changes"]) == (result, {})
