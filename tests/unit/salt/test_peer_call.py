"""Functions of other minions: the requests to the master, and the answers."""

import itertools
import time

import pytest
import salt.modules.publish
from salt.exceptions import SaltReqTimeoutError

from swarm_formula.salt import peer_call
from tests.unit.salt import channel

OPTS = {"id": "m4", "master_uri": "tcp://127.0.0.1:4506", "no_parse": ["key"]}
JOB = {"jid": "20261130000000000000", "minions": ["m1", "m2"]}
CALLS = {
    "one minion": (["m1"], "swarm_leader.lists", ["5z9yk2k0c7gk0sdxqtmdo1hmb"]),
    "two minions": (["m1", "m2"], "swarm_leader.settle", []),
    "by a regular expression": ("(?:m.*)$", "swarm_leader.list_nodes", []),
    "data": (["m1"], "swarm_ca.sign", [{"csr": "---\n", "address": "10.0.0.4"}]),
}


class Master(channel.Channel):
    """A master with one job; ``rounds`` has the minions that have answered by each poll."""

    def __init__(self, job=JOB, rounds=(("m1", "m2"),)):
        super().__init__()
        self._job, self._rounds = job, list(rounds)

    def answer_to(self, load):
        if load["cmd"] == "minion_pub":
            return self._job
        some = self._rounds.pop(0) if len(self._rounds) > 1 else self._rounds[0]
        if isinstance(some, Exception):
            return some
        return {minion: {"ret": f"of {minion}", "out": "nested"} for minion in some}


@pytest.fixture(autouse=True)
def slept(monkeypatch):
    """Do not sleep; return the pauses."""
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


@pytest.fixture
def in_state_run(monkeypatch):
    """Return a function that has this master behind the connection of a state run."""
    return lambda master: channel.in_state_run(monkeypatch, master, OPTS)


@pytest.fixture
def of_salt(monkeypatch):
    """Return Salt's own ``publish.publish``, and the master that it asks."""
    master = channel.connect(monkeypatch, Master())
    monkeypatch.setattr(salt.modules.publish, "__opts__", OPTS, raising=False)
    return {"publish.publish": salt.modules.publish.publish}, master


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_requests_are_those_of_salt(of_salt, in_state_run, call):
    functions, theirs = of_salt
    target, *rest = call
    expected = peer_call.answers(functions, target, *rest, timeout=7)
    ours = in_state_run(Master())
    found = peer_call.answers({}, iter(target) if isinstance(target, list) else target, *rest, 7)
    assert found == expected == {"m1": "of m1", "m2": "of m2"}
    assert ours.sent == theirs.sent


def test_minions_are_waited_for_until_all_have_answered(in_state_run, slept):
    master = in_state_run(Master(rounds=[(), ("m2",), ("m1", "m2"), ("m1",)]))
    assert peer_call.answers({}, ["m1", "m2"], "f.g") == {"m1": "of m1", "m2": "of m2"}
    assert [one["cmd"] for one in master.sent] == ["minion_pub", *["pub_ret"] * 3]
    assert slept == sorted(slept)


def test_answers_that_are_there_when_the_time_is_over_are_returned(in_state_run, slept):
    in_state_run(Master(rounds=[("m2",)]))
    assert peer_call.answers({}, ["m1", "m2"], "f.g", timeout=5) == {"m2": "of m2"}
    assert 5 < sum(slept) <= 5 + max(slept)


@pytest.mark.parametrize("job", [{}, {"jid": "1", "minions": []}], ids=["refused", "nobody"])
def test_job_that_goes_to_nobody_has_no_answers(in_state_run, slept, job):
    in_state_run(Master(job))
    assert peer_call.answers({}, ["m1"], "f.g") == {}
    assert slept == []


def test_master_that_does_not_answer_is_no_answer(in_state_run):
    in_state_run(Master(rounds=[SaltReqTimeoutError("timed out")]))
    assert peer_call.answers({}, ["m1"], "f.g") == {}


@pytest.mark.parametrize("answer", [None, {}, "'f.g' publish timed out"], ids=str)
def test_outside_of_a_state_run_only_a_dictionary_has_answers(answer):
    assert peer_call.answers({"publish.publish": lambda *_, **__: answer}, ["m1"], "f.g") == {}


def test_pauses_are_short_at_first_and_never_longer_than_those_of_salt(in_state_run, slept):
    in_state_run(Master(rounds=[()]))
    peer_call.answers({}, ["m1"], "f.g")
    first = itertools.takewhile(lambda end: end < 1, itertools.accumulate(slept))
    assert len([*first]) > 1 / 0.3
    assert max(slept) == 0.3
