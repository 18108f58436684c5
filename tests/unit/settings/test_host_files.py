"""
Files for containers: which node gets which, and what is told of them.
"""

import pytest
import salt.states.file

from _modules import swarm_file
from _states import swarm_file as states
from swarm_formula.core import errors
from swarm_formula.settings import host_files, parse
from tests.unit.execution import mocked
from tests.unit.pillars import VALID, node, resolved, settings_of

FILES = {
    "/etc/web/site.conf": {"source": "salt://site.conf", "nodes": ["m4", "web-*"]},
    "/etc/all": {"source": "/etc/hostname", "mode": "600", "user": "me", "template": "jinja"},
}


def wanted(minion, files=FILES):
    settings = settings_of({**VALID, "files": files}, node(minion))
    return host_files.of_node(settings["id"], settings["files"])


def test_node_gets_its_files_with_the_defaults():
    assert set(wanted("m1")) == {"/etc/all"}
    assert wanted("m4") == {
        "/etc/all": {
            "source": "/etc/hostname",
            "template": "jinja",
            "user": "me",
            "group": "root",
            "mode": "0600",
            "makedirs": True,
            "show_changes": False,
        },
        "/etc/web/site.conf": {
            "source": "salt://site.conf",
            "user": "root",
            "group": "root",
            "mode": "0644",
            "makedirs": True,
            "show_changes": False,
        },
    }


def test_options_are_those_of_salts_own_state():
    (options, *_) = wanted("m4").values()
    taken = salt.states.file.managed.__code__
    assert options.keys() <= set(taken.co_varnames[: taken.co_argcount])


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"/etc/a": {}}, "swarm:files:/etc/a:source: found None; right would be salt://PATH"),
        ({"/etc/a": {"sorce": "/b"}}, "Did you mean 'source'"),
        ({"a": {"source": "/b"}}, "swarm:files:a"),
        ({"/etc/a": {"source": "/b", "mode": 420}}, "write it in quotes"),
        ({"/etc/a": {"source": "http://b/c"}}, "swarm:files:/etc/a:source"),
    ],
)
def test_wrong_file_is_refused_by_its_place(files, text):
    assert text in "; ".join(parse.texts(resolved({**VALID, "files": files})[1]))


@pytest.fixture
def run(monkeypatch):
    def run(answers, test=False, error=None):
        salt_ = mocked(swarm_settings__get=settings_of({**VALID, "files": FILES}, node("m4")))
        monkeypatch.setattr(swarm_file, "__salt__", salt_, raising=False)
        what = error or swarm_file.wanted
        monkeypatch.setattr(states, "__salt__", mocked(swarm_file__wanted=what), raising=False)
        managed = {"file.managed": lambda path, **_: answers[path]}
        monkeypatch.setattr(states, "__states__", managed, raising=False)
        monkeypatch.setattr(states, "__opts__", {"test": test}, raising=False)
        return states.managed("files")

    return run


def answer(result, comment="", **changes):
    return {"name": "", "result": result, "comment": comment, "changes": changes}


def test_changes_are_told_by_file(run):
    good, new = answer(True), answer(True, diff="New file")
    ret = run({"/etc/all": good, "/etc/web/site.conf": new})
    assert (ret["result"], ret["changes"]) == (True, {"/etc/web/site.conf": {"diff": "New file"}})
    assert run({"/etc/all": good, "/etc/web/site.conf": good})["changes"] == {}


def test_dry_run_promises_even_what_salt_tells_by_the_result_alone(run):
    told = answer(None, "The file is set to be changed")
    ret = run({"/etc/all": answer(True), "/etc/web/site.conf": told}, test=True)
    assert (ret["result"], set(ret["changes"])) == (None, {"/etc/web/site.conf"})


def test_failure_tells_each_file_that_failed_and_what_changed(run):
    bad = answer(False, "Source file salt://site.conf not found")
    ret = run({"/etc/all": answer(True, mode="0600"), "/etc/web/site.conf": bad})
    assert (ret["result"], set(ret["changes"])) == (False, {"/etc/all"})
    assert ret["comment"] == "Source file salt://site.conf not found"
    error = errors.SettingsError("swarm:files: wrong")
    assert run({}, error=error)["comment"] == "swarm:files: wrong"
