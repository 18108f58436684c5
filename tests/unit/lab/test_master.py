import json
from types import SimpleNamespace

import pytest

from lab import containers, master
from lab.run import LabError

SILENT = "Minion did not return. [No response]\nThe minions may not have all finished"


@pytest.fixture
def printed(monkeypatch):
    """Let the command print a text."""

    def prepare(text):
        done = SimpleNamespace(stdout=text, stderr="", returncode=1)
        monkeypatch.setattr(containers, "execute", lambda *_, **__: done)

    return prepare


def lines(*answers):
    return "".join(f"{json.dumps(one)}\n" for one in answers)


@pytest.mark.parametrize("answer", [True, "text", ["a"], None, {"a": "b\n{}"}, {}])
def test_each_minion_has_a_line(printed, answer):
    printed(lines({"m1": answer}, {"m2.example.com": 1}))
    assert master.salt(None, "*", "test.ping") == {"m1": answer, "m2.example.com": 1}


def test_a_minion_that_is_silent_has_no_answer(printed):
    printed(lines({"m1": True}, {"m2": SILENT}))
    assert master.salt(None, "*", "test.ping") == {"m1": True}


def test_remarks_are_no_answers(printed):
    printed("No minions matched the target.\n{}\n")
    assert master.salt(None, "nobody", "test.ping") == {}


@pytest.mark.parametrize("text", ["", "Salt request timed out\n", '{"m1": tru'])
def test_what_is_no_json_is_told(printed, text):
    printed(text)
    with pytest.raises(LabError, match="salt --out=json"):
        master.salt(None, "*", "test.ping")
    with pytest.raises(LabError, match="no JSON came back"):
        master.execute(None, "salt-run")


def test_a_runner_prints_one_value(printed):
    printed(json.dumps({"a": [1]}, indent=4))
    assert master.execute(None, "salt-run") == {"a": [1]}
