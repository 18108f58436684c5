"""
Each row of the table of error messages is provoked, and its cure done: to the letter, and safely.
"""

import pytest

from tests.integration.troubles import TROUBLES
from tests.troubles import go_through

pytestmark = pytest.mark.once

SAMPLE = 1


@pytest.fixture
def bystanders(swarm):
    """Containers of somebody else's on all hosts: no cure may harm them."""

    def pids():
        return {host: swarm.pids(host).get("bystander") for host in swarm.lab.hosts()}

    for host in swarm.lab.hosts():
        swarm.docker(host, "rm", "-f", "bystander", check=False)
        swarm.docker(host, "run", "-d", "--name", "bystander", "busybox:lab", "sleep", "9000")
    yield pids
    for host in swarm.lab.hosts():
        swarm.docker(host, "rm", "-f", "bystander", check=False)


@pytest.mark.parametrize("trouble", TROUBLES.chosen(SAMPLE), ids=lambda one: one.id)
def test_error_message_is_provoked_and_its_fix_applied(swarm, bystanders, trouble):
    before = bystanders()
    go_through(trouble, swarm)
    assert bystanders() == before
    swarm.wait(swarm.all_healthy, 120)
