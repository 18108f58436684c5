import json
from types import SimpleNamespace

import pytest

from lab import containers, master
from lab.run import LabError

REMARK = "minion m2 was already deleted from tracker, probably a duplicate key\n"


@pytest.mark.parametrize("before", ["", REMARK, REMARK + REMARK.replace("m2", "m1.example.com")])
@pytest.mark.parametrize("found", [{"m1": True}, "text", ["a"], None, {"m1": REMARK}])
def test_json_is_read_whatever_salt_remarks_before_it(monkeypatch, before, found):
    done = SimpleNamespace(stdout=before + json.dumps(found, indent=4) + "\n", stderr="")
    monkeypatch.setattr(containers, "execute", lambda *_, **__: done)
    assert master.execute(None, "salt") == found


def test_what_is_no_json_is_told(monkeypatch):
    done = SimpleNamespace(stdout="No minions matched", stderr="", returncode=1)
    monkeypatch.setattr(containers, "execute", lambda *_, **__: done)
    with pytest.raises(LabError, match="no JSON came back"):
        master.execute(None, "salt")
