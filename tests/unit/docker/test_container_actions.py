"""
A container that does not stay up is told with the exit code of its end.
"""

import copy
import time

import pytest

from swarm_formula.core import errors
from swarm_formula.docker import container_actions

# Knows nothing of Salt.
pytestmark = pytest.mark.once


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


def restarted(ago, running=9999):
    """Return a client whose container was started again so many seconds ago, and what it has."""
    client = Looping(running)
    began = time.gmtime(time.time() - ago)
    client.seen["State"]["StartedAt"] = time.strftime("%Y-%m-%dT%H:%M:%S.5Z", began)
    return client, copy.deepcopy(client.seen)


@pytest.mark.parametrize("running", [0, 2])
def test_container_that_is_seen_between_two_ends_does_not_stay_up(running):
    client, seen = restarted(0, running)
    with pytest.raises(errors.NotRunningError, match="does not stay up: exit code 3"):
        container_actions.stays(client, "web", seen)


@pytest.mark.parametrize(("ago", "looks"), [(0, True), (60, False)])
def test_container_that_was_started_again_and_runs_is_waited_for(ago, looks):
    client, seen = restarted(ago)
    container_actions.stays(client, "web", seen)
    assert (client.running < 9999) == looks


def test_container_that_was_never_started_again_is_not_asked_about():
    client, seen = restarted(0)
    container_actions.stays(client, "web", {**seen, "RestartCount": 0})
    assert client.running == 9999
