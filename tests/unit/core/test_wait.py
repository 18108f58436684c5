import pytest

from swarm_formula.core import errors as core_errors
from swarm_formula.core import wait


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 1000.0
        self.pauses = []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    """Have time pass by sleeping alone."""
    clock = Clock()
    monkeypatch.setattr(wait, "time", clock)
    return clock


def answers(*texts):
    """Return a probe that gives these one after the other."""
    left = list(texts)
    return lambda: left.pop(0)


def test_what_is_there_is_not_waited_for(clock):
    wait.until(answers(None), 10)
    assert clock.pauses == []


def test_waits_until_it_is_there(clock):
    wait.until(answers("no leader", "no leader", None), 10)
    assert len(clock.pauses) == 2


def test_gives_up_with_the_last_that_was_missing(clock):
    texts = ["m2, m3 missing", *["m3 missing"] * 1000]
    with pytest.raises(core_errors.WaitTimeoutError) as failure:
        wait.until(answers(*texts), 60)
    assert str(failure.value) == "gave up after 60 s (swarm:timeout): m3 missing"
    assert 60 <= sum(clock.pauses) < 62


def test_limit_that_is_not_of_pillar_blames_no_key_of_it(clock):
    with pytest.raises(core_errors.WaitTimeoutError) as failure:
        wait.until(answers(*["m3 missing"] * 100), 10, fixed=True)
    assert str(failure.value) == "gave up after 10 s: m3 missing"


def test_pauses_grow_up_to_a_second(clock):
    wait.until(answers(*["missing"] * 20, None), 60)
    assert clock.pauses == sorted(clock.pauses)
    assert clock.pauses[0] <= 0.1
    assert clock.pauses[-1] == 1.0


def test_few_callers_look_more_often_but_not_sooner(clock):
    wait.until(answers(*["missing"] * 20, None), 60, slow=0.3)
    assert clock.pauses == sorted(clock.pauses)
    assert (clock.pauses[0], clock.pauses[-1]) == (0.1, 0.3)


def test_no_time_at_all_looks_once(clock):
    with pytest.raises(core_errors.WaitTimeoutError, match=r"^no leader$"):
        wait.until(answers("no leader"), 0)
    assert clock.pauses == []


def test_what_fails_for_a_moment_is_asked_again(clock):
    errors = [core_errors.StoreError("No cluster leader"), core_errors.StoreError("")]

    def ask():
        if errors:
            raise errors.pop()
        return "it"

    assert wait.asked(ask, core_errors.StoreError, 10) == "it"
    assert len(clock.pauses) == 2


def test_what_goes_on_failing_fails_with_its_own_words(clock):
    def ask():
        raise core_errors.StoreError("Permission denied")

    with pytest.raises(core_errors.StoreError, match=r"^Permission denied$"):
        wait.asked(ask, core_errors.StoreError, 10)
    with pytest.raises(core_errors.StoreError):
        wait.asked(ask, core_errors.ApiError, 10)
    assert clock.now < 1020
