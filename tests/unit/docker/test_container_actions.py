"""
A container that does not stay up is told with the exit code of its end.
"""

import copy

import pytest

from swarm_formula.core import errors
from swarm_formula.docker import container_actions


class Looping:
    """A client that sees a container in a restart loop: it runs a few times, and then has ended."""

    def __init__(self, running):
        self.running = running
        self.seen = {
            "Id": "abc",
            "RestartCount": 2,
            "State": {"Status": "running", "ExitCode": 0, "Error": ""},
        }

    def inspect_container(self, _name):
        self.running -= 1
        if self.running < 0:
            self.seen["State"] |= {"Status": "restarting", "ExitCode": 3}
        return copy.deepcopy(self.seen)

    def logs(self, _container, tail):
        assert tail
        return b"the reason"


@pytest.mark.parametrize(
    ("running", "how"), [(0, "exit code 3"), (2, "exit code 3"), (9999, "started again 2 time(s)")]
)
def test_exit_code_is_that_of_the_end_and_never_that_of_a_running_one(running, how):
    with (
        pytest.raises(errors.NotRunningError) as err,
        container_actions.settled(Looping(running), "web"),
    ):
        pass
    assert str(err.value) == f"container web does not stay up: {how}; its last words: the reason"
