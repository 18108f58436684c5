"""What is sent to Salt's mine, and who may read it."""

import fnmatch
import json
import re
import unittest.mock

import pytest
import salt.config
import salt.minion
import salt.modules.mine
import salt.modules.test
from hypothesis import given
from hypothesis import strategies as st
from salt.exceptions import SaltReqTimeoutError

from swarm_formula.core import errors, member_rules
from swarm_formula.salt import mine
from tests.unit.pillars import BUILTIN, settings_of
from tests.unit.salt.channel import Channel, connect, in_state_run

# What the pillar takes in a glob of minion IDs, with "]" of a class only.
PARTS = st.sampled_from(["a", "b", "-", ".", "_", "1", "*", "?", "[ab]", "[!a]", "[1-3]", "["])
GLOBS = st.lists(st.lists(PARTS, min_size=1).map("".join), min_size=1, max_size=4)
NAMES = st.text("ab-._123[", min_size=1, max_size=6)


@given(GLOBS, NAMES)
def test_target_has_the_minions_that_salt_finds_by_the_globs(globs, name):
    found = bool(re.match(mine.target(globs), name))
    assert found == any(fnmatch.fnmatchcase(name, glob) for glob in globs)


def test_targets_have_whole_ids_only():
    target = mine.target(["m1", "web-*"])
    had = [one for one in ("m1", "m10", "xm1", "m1.x", "web-1", "xweb-1") if re.match(target, one)]
    assert had == ["m1", "web-1"]


@pytest.mark.parametrize(
    "pillar",
    [
        BUILTIN,
        {"managers": ["m1"], "consul": {"servers": ["m1", "m2"]}, "nodes": {"web-*": {}}},
        {"managers": ["m1"], "nodes": {"*": {}}},
    ],
    ids=str,
)
def test_secrets_go_to_members_and_to_nobody_else(pillar):
    """The minions that read the gossip key and the join token are those that may join."""
    settings = settings_of(pillar)
    for minion in ("m1", "m2", "m4", "m9", "web-1", "xweb-1"):
        may_read = bool(re.match(mine.members(settings), minion))
        assert may_read is member_rules.is_member(minion, settings), minion


@pytest.fixture
def loaded(monkeypatch):
    """Return a ``__salt__`` with Salt's own ``mine.send``, and what that stores."""
    stored = {}
    functions = {
        "mine.send": salt.modules.mine.send,
        "test.outputter": salt.modules.test.outputter,
    }
    monkeypatch.setattr(salt.modules.mine, "__salt__", functions, raising=False)
    monkeypatch.setattr(salt.modules.mine, "_mine_store", stored.update)
    return functions, stored


@pytest.mark.parametrize("value", [{"token": "s3cret", "data": 1}, "s3cret", ["s3cret"], True])
def test_salt_stores_the_value_as_it_is_and_logs_none_of_it(loaded, caplog, value):
    functions, stored = loaded
    with caplog.at_level(1):
        mine.Mine(functions, {}).send("all", value)
        mine.Mine(functions, {}).send("some", value, "(?:m1)$")
    assert stored["all"] == value
    some = stored["some"]
    assert (some["allow_tgt"], some["allow_tgt_type"]) == ("(?:m1)$", "pcre")
    assert next(one for key, one in some.items() if not key.startswith("allow_tgt")) == value
    assert "s3cret" not in caplog.text


def test_minion_that_cannot_send_values_says_what_to_allow(loaded):
    """``mine.send`` would only log it, and the other nodes would wait for the value."""
    functions, stored = loaded
    del functions["test.outputter"]
    with pytest.raises(errors.SwarmError, match="add test to 'whitelist_modules'"):
        mine.Mine(functions, {}).send("all", "value")
    assert stored == {}


OPTS = {
    "id": "m1",
    "master": "salt",
    "master_uri": "tcp://127.0.0.1:4506",
    "file_client": "remote",
    "conf_file": "/nothing/here",
}
REQUESTS = {
    "get": lambda mine: mine.get("(?:m1)$", "all"),
    "get of a list": lambda mine: mine.get(["m1", "m2"], ["all", "some"]),
    "send": lambda mine: mine.send("all", {"token": "s3cret"}),
    "send to some": lambda mine: mine.send("some", "s3cret", "(?:m1)$"),
    "forget": lambda mine: mine.forget("all"),
}


@pytest.fixture
def channel(monkeypatch):
    """Connect to a master that takes everything."""
    return connect(monkeypatch, Channel())


@pytest.fixture
def of_salt(monkeypatch):
    """Return Salt's own functions of the mine, and the requests that they make."""
    sent = []
    module = salt.modules.mine
    functions = {
        "mine.get": module.get,
        "mine.send": module.send,
        "mine.delete": module.delete,
        "test.outputter": salt.modules.test.outputter,
    }
    monkeypatch.setattr(module, "__salt__", functions, raising=False)
    monkeypatch.setattr(module, "__opts__", OPTS, raising=False)
    for name in ("_mine_get", "_mine_send"):
        monkeypatch.setattr(module, name, lambda load, _: sent.append(load) or {})
    return functions, sent


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_requests_to_the_master_are_those_of_salt(of_salt, channel, request_):
    functions, sent = of_salt
    request_(mine.Mine(functions, {key: one for key, one in OPTS.items() if key != "master_uri"}))
    request_(mine.Mine({}, OPTS))
    (theirs,), (ours,) = sent, channel.sent
    assert ours == {key: one for key, one in theirs.items() if key != "clear" or one}


def test_state_run_asks_by_the_connection_for_its_files(monkeypatch, channel):
    of_files = in_state_run(monkeypatch, Channel({"m1": "told"}))
    assert mine.Mine({}, OPTS).get(["m1"], "all") == {"m1": "told"}
    assert (len(of_files.sent), channel.sent) == (1, [])


@pytest.fixture
def in_job(tmp_path, monkeypatch):
    """Return a function for the options in the jobs of a minion service, one for each master."""

    def options(config):
        file = tmp_path / "minion"
        file.write_text(json.dumps({"id": "m1", "root_dir": str(tmp_path), **config}))
        loop = unittest.mock.Mock()
        made = unittest.mock.Mock(opts=salt.config.minion_config(str(file)), io_loop=loop)
        salt.minion.MinionManager._spawn_minions(made)
        found = [one.args[0] for one in made._create_minion_object.call_args_list]
        return [{**one, "master_uri": f"tcp://{one['master']}:4506"} for one in found]

    return options


ONE = {
    "a name": {"master": "salt"},
    "a list of one": {"master": ["salt"]},
}
SEVERAL = {
    "two": {"master": ["a", "b"]},
    "one of two at a time": {"master": ["a", "b"], "master_type": "failover"},
    "of a function": {"master": "some.function", "master_type": "func"},
}


@pytest.mark.parametrize("config", ONE.values(), ids=ONE)
def test_job_of_a_minion_with_one_master_sends_values_itself(in_job, channel, config):
    for options in in_job(config):
        mine.Mine({}, options).send("all", 1)
    assert [one["cmd"] for one in channel.sent] == ["_mine"]


@pytest.mark.parametrize("config", SEVERAL.values(), ids=SEVERAL)
@pytest.mark.parametrize("name", ["send", "send to some", "forget"])
def test_value_goes_to_all_masters_by_the_process_of_the_minion(
    of_salt, in_job, channel, config, name
):
    functions, sent = of_salt
    options = in_job(config)
    for one in options:
        REQUESTS[name](mine.Mine(functions, one))
    assert (len(sent), channel.sent) == (len(options), [])


@pytest.mark.parametrize("config", [*ONE.values(), *SEVERAL.values()], ids=[*ONE, *SEVERAL])
def test_job_asks_the_master_that_it_is_of(in_job, channel, config):
    for options in in_job(config):
        mine.Mine({}, options).get(["m1"], "all")
        assert channel.sent.pop()["cmd"] == "_mine_get"


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_master_that_does_not_answer_is_named(channel, request_):
    channel.answer = SaltReqTimeoutError("timed out")
    with pytest.raises(errors.SwarmError, match="master salt does not answer"):
        request_(mine.Mine({}, OPTS))
