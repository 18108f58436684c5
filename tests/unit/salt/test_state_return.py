import pytest

from swarm_formula.core import errors
from swarm_formula.salt import state_return


@pytest.mark.parametrize(
    ("changes", "test", "result", "comment"),
    [
        ({}, False, True, "n1 is in the desired state"),
        ({}, True, True, "n1 is in the desired state"),
        ({"a": 1}, True, None, "n1 would be changed"),
        ({"a": 1}, False, True, "n1 was changed"),
    ],
)
def test_done(changes, test, result, comment):
    assert state_return.done("n1", changes, test) == {
        "name": "n1",
        "result": result,
        "changes": changes,
        "comment": comment,
    }


def test_done_with_a_comment_of_its_own():
    assert (
        state_return.done("n1", {}, comment="Why.")["comment"] == "n1 is in the desired state. Why."
    )


def fail(*_, **__):
    raise errors.SwarmError("no leader")


@pytest.mark.parametrize("test", [False, True])
def test_applied_fails_with_the_errors_own_words(test):
    assert state_return.applied("n1", test, fail) == {
        "name": "n1",
        "result": False,
        "changes": {},
        "comment": "no leader",
    }


@pytest.mark.parametrize("test", [False, True])
def test_applied_passes_test_mode_on(test):
    ret = state_return.applied("n1", test, lambda what, test: {what: test}, "x")
    assert ret["changes"] == {"x": test}
    assert ret["result"] is (None if test else True)


def wait(test):
    raise errors.WaitTimeoutError("m1 has not told")


@pytest.mark.parametrize(
    ("test", "result", "comment"),
    [(False, False, "m1 has not told"), (True, None, "would wait for it: m1 has not told")],
)
def test_what_a_change_waits_for_is_told_in_test_mode(test, result, comment):
    ret = state_return.applied("n1", test, wait)
    assert (ret["result"], ret["comment"], ret["changes"]) == (result, comment, {})


def test_applied_hides_no_other_error():
    with pytest.raises(ZeroDivisionError):
        state_return.applied("n1", False, lambda test: 1 / 0)


@pytest.mark.parametrize(("test", "timeout"), [(False, 30), (True, 0)])
def test_test_mode_only_looks(test, timeout):
    asked = []
    assert state_return.waited("n1", test, asked.append, 30)["result"] is True
    assert asked == [timeout]


@pytest.mark.parametrize(
    ("test", "result", "comment"),
    [(False, False, "no leader"), (True, None, "would wait for it: no leader")],
)
def test_waited_in_vain(test, result, comment):
    ret = state_return.waited("n1", test, fail, 30)
    assert (ret["result"], ret["comment"], ret["changes"]) == (result, comment, {})
