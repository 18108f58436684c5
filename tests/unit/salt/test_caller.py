import threading

import pytest

from swarm_formula.core import errors, host_files
from swarm_formula.salt import caller as salt_caller


@pytest.mark.parametrize(
    ("kwargs", "caller"),
    [
        ({}, None),
        ({"test": True}, None),
        (salt_caller.local("m1"), "m1"),
        ({"__pub_id": "m4", "__pub_jid": "1"}, "m4"),
        ({"__pub_jid": "1", "__pub_fun": "swarm_ca.sign"}, None),
        ({"__pub_id": "", "__pub_jid": "1"}, None),
        ({"__pub_id": None, "__pub_jid": "1"}, None),
    ],
    ids=str,
)
def test_a_caller_that_is_not_named_is_not_this_minion(kwargs, caller):
    if caller:
        assert salt_caller.name(kwargs, "m1") == caller
        return
    with pytest.raises(errors.SwarmError, match="does not say which minion asks m1"):
        salt_caller.name(kwargs, "m1")


def test_one_stranger_at_a_time_and_members_whenever_they_come(monkeypatch, tmp_path):
    monkeypatch.setattr(host_files, "_LOCKS", tmp_path)
    members, seen = ["m1", "web-*"], []
    with salt_caller.admitted("m9", members):

        def others():
            for caller in ("m8", "m1", "web-3"):
                try:
                    with salt_caller.admitted(caller, members):
                        seen.append(caller)
                except errors.BusyError as err:
                    seen.append(str(err))

        thread = threading.Thread(target=others)
        thread.start()
        thread.join()
    busy, *rest = seen
    assert "busy with another minion" in busy
    assert "m8 is to ask again" in busy
    assert rest == ["m1", "web-3"]
    with salt_caller.admitted("m8", members):
        pass
