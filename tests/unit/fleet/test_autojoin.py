"""
The engine's queue: who is asked, who is joined, and when. Time is a number here.
"""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _engines import swarm_autojoin
from _engines.swarm_autojoin import ASK, JOIN, Leaving, Outcome, Queue

HEALTHY = {"return": True, "success": True}
ABSENT = {"return": "'swarm_node.joined' is not available.", "success": False}
MEMBER = {"return": {"swarm_node_|-a_|-a_|-joined": {"result": True, "comment": "ok"}}}
NO_MEMBER = {"return": {"test_|-this minion is not a member_|-x_|-nop": {"result": True}}}
FAILED = {
    "return": {
        "swarm_engine_|-a": {"result": False, "comment": "One or more requisite failed: x"},
        "swarm_consul_|-b": {"result": False, "comment": "Consul has no leader"},
    }
}


def start_of(minion):
    return f"salt/minion/{minion}/start", {"id": minion}


def return_of(minion, job, data):
    return f"salt/job/{job}/ret/{minion}", {**data, "id": minion}


class Master:
    """Publishes what is due, as the engine does, and has every minion answer the same."""

    def __init__(self, queue, accepted=None):
        self.queue, self.accepted, self.now = queue, accepted, 1000.0
        self.jobs = []  # (what, minions)

    def start(self, *minions):
        for minion in minions:
            self.queue.hint(*start_of(minion), self.now)
        return self

    def publish(self, what):
        minions = self.queue.due(what, self.now)
        if minions:
            known = [one for one in minions if self.accepted is None or one in self.accepted]
            self.jobs.append((what, minions))
            self.queue.sent(what, minions, str(len(self.jobs)), known, self.now)
        return minions

    def answer(self, data, *minions):
        _, asked = self.jobs[-1]
        job = str(len(self.jobs))
        return [
            self.queue.returned(*return_of(one, job, data), self.now) for one in minions or asked
        ]

    def wait(self, seconds):
        self.now += seconds
        return self.queue.overdue(self.now)


@pytest.fixture
def master():
    return Master(Queue("m*", window=5, cooldown=60, backoff=30, tries=3))


def test_lone_minion_is_asked_at_once(master):
    assert master.start("m4").publish(ASK) == ["m4"]


def test_those_who_follow_are_gathered(master):
    master.start("m1").publish(ASK)
    master.start("m2", "m3")
    assert master.publish(ASK) == []
    master.wait(5)
    assert master.publish(ASK) == ["m2", "m3"]


def test_crowd_is_asked_by_few_publishes_and_nobody_is_lost(master):
    ids = [f"m{number}" for number in range(1000)]
    master.start(*ids)
    while master.publish(ASK):
        pass
    assert [len(minions) for _, minions in master.jobs] == [200] * 5
    assert sorted(one for _, minions in master.jobs for one in minions) == sorted(ids)


def test_member_that_only_restarted_gets_no_state(master):
    master.start("m1").publish(ASK)
    assert master.answer(HEALTHY) == [None]
    master.wait(10)
    assert master.publish(JOIN) == []


@pytest.mark.parametrize("answer", [ABSENT, {"return": False}, {}, {"return": {"x": True}}])
def test_minion_that_is_not_joined_gets_the_state(master, answer):
    master.start("m1").publish(ASK)
    master.answer(answer)
    assert master.publish(JOIN) == ["m1"]
    assert master.answer(MEMBER) == [Outcome("m1", joined=True)]


def test_minion_that_is_no_member_is_no_news(master):
    master.start("m1").publish(ASK)
    master.answer(ABSENT)
    master.publish(JOIN)
    assert master.answer(NO_MEMBER) == [None]


def test_failure_is_told_and_tried_again_after_twice_as_long(master):
    for pause in (30, 60):
        master.start("m1").wait(60)
        assert master.publish(ASK) == ["m1"]
        master.answer(ABSENT)
        master.publish(JOIN)
        assert master.answer(FAILED) == [Outcome("m1", False, "Consul has no leader")]
        master.wait(pause - 1)
        assert master.publish(ASK) == []
        master.wait(1)
    assert master.publish(ASK) == ["m1"]


def test_who_was_told_to_fail_and_is_well_at_the_next_look_is_told_to_have_joined(master):
    """Its run gave up waiting a moment too early."""
    master.start("m1").wait(60)
    master.publish(ASK)
    master.answer(ABSENT)
    master.publish(JOIN)
    master.answer(FAILED)
    master.wait(60)
    assert master.publish(ASK) == ["m1"]
    assert master.answer(HEALTHY) == [Outcome("m1", joined=True)]
    master.wait(9999)
    assert master.start("m1").publish(ASK) == ["m1"]
    assert [*filter(None, master.answer(HEALTHY))] == [], "a member that only restarts is no news"


def test_who_fails_again_and_again_is_left_to_reconcile(master):
    master.start("m1")
    for _ in range(3):
        master.wait(2000)
        master.publish(ASK)
        master.answer(ABSENT)
        master.publish(JOIN)
        (outcome,) = master.answer(FAILED)
    assert outcome.reason.endswith("given up after 3 tries: salt-run swarm.reconcile")
    master.wait(9999)
    assert master.publish(ASK) == []
    assert master.start("m1").publish(ASK) == ["m1"], "a new start is a new hint"


@pytest.mark.parametrize("what", [ASK, JOIN])
def test_minion_that_does_not_answer_is_told_and_tried_again(master, what):
    master.start("m1").publish(ASK)
    if what == JOIN:
        master.answer(ABSENT)
        master.publish(JOIN)
    else:
        # It may have told that it is there before it could hear: once, that is no failure.
        assert master.wait(15) == []
        assert master.publish(ASK) == ["m1"]
    assert master.wait(1200) == [Outcome("m1", False, "it does not answer")]
    master.wait(30)
    assert master.publish(ASK) == ["m1"]


def test_two_starts_are_one_join_and_the_second_is_put_off(master):
    """Put off, not dropped: a forged start before the real one must not hide it."""
    master.start("m1").publish(ASK)
    master.answer(HEALTHY)
    master.wait(10)
    assert master.start("m1", "m1").publish(ASK) == []
    master.wait(50)
    assert master.publish(ASK) == ["m1"]
    assert master.publish(ASK) == []


def test_start_during_a_join_is_no_second_join(master):
    master.start("m1").publish(ASK)
    master.answer(ABSENT)
    master.publish(JOIN)
    master.wait(100)
    assert master.start("m1").publish(ASK) == []


def test_no_more_than_so_many_states_at_the_same_time():
    master = Master(Queue("*", batch=10, batches=2, window=1))
    master.start(*(f"m{number}" for number in range(35))).publish(ASK)
    master.answer(ABSENT)
    assert len(master.publish(JOIN)) == 10
    assert len(master.publish(JOIN)) == 10
    assert master.publish(JOIN) == []
    master.answer(MEMBER)
    assert len(master.publish(JOIN)) == 10


def test_lone_ones_under_way_do_not_keep_the_next_from_joining():
    """The first may wait for just these: servers of Consul do."""
    master = Master(Queue("*", batch=10, batches=2, window=5))
    for minion in ("m1", "m2", "m3", "m4"):
        master.start(minion).publish(ASK)
        master.answer(ABSENT)
        assert master.publish(JOIN) == [minion]
        master.wait(5)


def test_places_that_come_free_one_by_one_are_gathered():
    master = Master(Queue("*", batch=10, batches=1, window=5))
    master.start(*(f"m{number}" for number in range(20))).publish(ASK)
    master.answer(ABSENT)
    assert len(master.publish(JOIN)) == 10
    master.answer(MEMBER, "m0", "m1")
    assert master.publish(JOIN) == []
    master.wait(5)
    assert len(master.publish(JOIN)) == 2


def test_failed_publish_loses_nobody(master):
    master.start("m1")
    assert master.queue.due(ASK, master.now) == ["m1"]
    master.queue.unsent(ASK, master.now)
    master.wait(5)
    assert master.publish(ASK) == ["m1"]


def test_id_without_an_accepted_key_drops_out(master):
    master.accepted = {"m1"}
    master.start("m1", "m99").publish(ASK)
    assert master.queue.flights["1"].minions == {"m1"}
    master.wait(15)
    assert master.publish(ASK) == ["m1"]


def test_return_of_somebody_who_was_not_asked_is_nothing(master):
    master.start("m1").publish(ASK)
    for tag, data in (
        return_of("m2", "1", HEALTHY),
        return_of("m1", "2", HEALTHY),
        ("salt/job/1/ret/m1", "no data"),
        ("salt/job/1/ret/m1\n", HEALTHY),
    ):
        assert master.queue.returned(tag, data, master.now) is None
    assert master.queue.flights["1"].minions == {"m1"}


HOSTILE = (
    "x'; rm -rf /",
    "{{ salt['cmd.run']('id') }}",
    "*",
    "m1,m2",
    "m1\n",
    "m1\nsecond:\n  local.cmd.run:\n    - tgt: '*'",
    "../m1",
    "",
    "m" * 300,
    "m1/start/m2",
)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_id_is_no_hint(hostile):
    queue = Queue("*")
    assert queue.hint(*start_of(hostile), 0) == "that is no ID of a minion"
    assert queue.due(ASK, 100) == []


@pytest.mark.parametrize(
    ("tag", "data"),
    [
        ("salt/minion/m1/start", {"id": "m2"}),
        ("salt/minion/m1/start", {"id": ["m1"]}),
        ("salt/minion/m1/start", {}),
        ("salt/minion/m1/start", None),
        ("salt/minion/m1/start", "m1"),
        ("salt/minion/m1/start/x", {"id": "m1"}),
        ("minion_start", {"id": "m1"}),
    ],
)
def test_what_is_no_start_is_no_hint(master, tag, data):
    assert master.queue.hint(tag, data, master.now)
    assert master.publish(ASK) == []


def test_start_of_somebody_else_is_no_business_of_ours(master):
    assert master.queue.hint(*start_of("other"), master.now) is None
    assert master.publish(ASK) == []


@given(
    tag=st.text(),
    data=st.recursive(st.none() | st.text(), st.lists) | st.dictionaries(st.text(), st.text()),
)
def test_nothing_on_the_bus_breaks_the_queue(tag, data):
    queue = Queue("*")
    for prefix in ("", "salt/minion/", "salt/job/1/ret/"):
        queue.hint(prefix + tag, data, 0)
        queue.returned(prefix + tag, data, 0)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(),
        lambda one: st.lists(one) | st.dictionaries(st.text(), one),
    )
)
def test_whatever_a_minion_returns_is_judged(states):
    data = {"return": states}
    assert isinstance(swarm_autojoin.failure(data), str)
    assert swarm_autojoin.joined(data) in {True, False}


# ---- deleted keys


class Keys:
    """The accepted keys, and an engine that looks at them."""

    def __init__(self, *there, after=300):
        self.there = set(there)
        self.leaving = Leaving(after, Queue("m*").wanted, lambda: list(self.there))

    def delete(self, *minions, now=0):
        self.there -= set(minions)
        self.leaving.hint()
        return self.leaving.due(now)


def test_member_whose_key_was_deleted_is_removed_after_the_grace_time():
    keys = Keys("m1", "m2")
    assert keys.leaving.due(0) is None
    assert keys.delete("m1", now=10) is None
    assert keys.leaving.due(309) is None
    assert keys.leaving.due(310) == "m1"
    assert keys.leaving.due(999) is None


def test_key_that_was_deleted_without_an_event_is_missed_within_a_minute():
    keys = Keys("m1", after=0)
    keys.leaving.due(0)
    keys.there.clear()
    assert keys.leaving.due(59) is None
    assert keys.leaving.due(60) == "m1"


def test_member_whose_key_is_back_stays():
    keys = Keys("m1")
    keys.leaving.due(0)
    keys.delete("m1", now=10)
    keys.there.add("m1")
    assert keys.leaving.due(310) is None
    assert keys.leaving.due(9999) is None


def test_forged_event_of_a_key_removes_nobody():
    """Any accepted minion can have Salt's bus say that m2.x was deleted, or m2."""
    keys = Keys("m1", "m2", after=0)
    for now in range(0, 600, 5):
        assert keys.delete("m2.x", "m9", "other", now=now) is None


def test_flood_of_events_looks_once_a_second():
    looks = []

    def accepted():
        looks.append(1)
        return ["m1"]

    leaving = Leaving(0, Queue("m*").wanted, accepted)
    for step in range(1000):
        leaving.hint()
        leaving.due(step / 100)
    assert len(looks) <= 12


def test_members_are_removed_one_after_the_other_and_others_not_at_all():
    keys = Keys("m1", "m2", "m3", "other", after=5)
    keys.leaving.due(0)
    keys.delete("m1", "m2", "other", now=1)
    gone = {one: now for now in range(2, 300) if (one := keys.leaving.due(now))}
    assert gone == {"m1": 6, "m2": 66}


def test_nobody_is_removed_unless_configured():
    keys = Keys("m1", after=None)
    assert keys.delete("m1") is None
    assert keys.leaving.due(9999) is None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.just("a\n\x1b[2Jb"),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=4), one, max_size=3),
    max_leaves=6,
)
TAGS = st.sampled_from(
    ["salt/key", "salt/minion/m4/start", "salt/minion/../start", "salt/job/1/ret/m4",
     "salt/job/1/ret/m5", "salt/job/2/ret/m4", "salt/x"],
)  # fmt: skip
EVENTS = st.lists(
    st.tuples(
        TAGS,
        ANYTHING
        | st.fixed_dictionaries({"id": st.sampled_from(["m4", "m5"]), "return": ANYTHING})
        | st.fixed_dictionaries({"id": st.just("m4"), "act": ANYTHING, "result": ANYTHING}),
    ),
    max_size=8,
)


@given(EVENTS)
def test_whatever_events_arrive_the_engine_goes_on_and_removes_nobody(events):
    """Any accepted minion can fire any of them, with any data."""
    fired = []
    bus = SimpleNamespace(fire_event=lambda data, tag: fired.append((data, tag)))
    master = Master(Queue("*"), accepted={"m4"})
    leaving = Leaving(0, master.queue.wanted, lambda: ["m4", "m5"])
    for tag, data in events:
        outcome = swarm_autojoin._took(master.queue, leaving, {"tag": tag, "data": data}, 0)
        if outcome:
            swarm_autojoin._tell(bus, outcome)
        master.wait(100)
        for what in (ASK, JOIN):
            assert set(master.publish(what)) <= {"m4"}
        assert leaving.due(master.now) is None
    assert all(data["id"] == "m4" and data.get("reason", "").isprintable() for data, _ in fired)
