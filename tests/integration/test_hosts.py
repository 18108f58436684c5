"""
Hosts as they are, in classic mode: each condition with a first apply, a second, and a clean.
"""

import pytest

from tests.host_conditions import (
    CONDITIONS,
    try_bare,
    try_condition,
    try_installed,
    try_refused,
    try_unstarted,
)

pytestmark = [pytest.mark.once, pytest.mark.long]

HOST = "m5"


@pytest.fixture
def host(swarm):
    """A new machine that the pillar names, and that is gone afterwards."""
    swarm.lab.add(HOST, accept=False)
    yield HOST
    swarm.state("swarm.clean", target=HOST)
    swarm.lab.remove(HOST)
    # After a clean that has failed, its key in the store has to expire.
    swarm.wait(lambda: HOST not in swarm.statuses() and swarm.all_healthy(), 240)


@pytest.mark.parametrize("name", CONDITIONS)
def test_host_becomes_a_node_and_is_as_before_after_a_clean(swarm, host, name):
    try_condition(swarm, host, name, lambda: swarm.statuses()[host] == "Healthy")


@pytest.mark.parametrize("go", [try_bare, try_refused, try_unstarted])
def test_engine_of_a_bare_host_starts_with_its_settings(swarm, host, go):
    go(swarm, host, lambda: swarm.statuses()[host] == "Healthy")


def test_consul_is_started_while_an_engine_restarts(swarm, host):
    try_installed(swarm, host, lambda: swarm.statuses()[host] == "Healthy")
    shown = swarm.docker(host, "inspect", "-f", "{{.State.StartedAt}}", "swarm-consul")
    ready = ("systemctl", "show", "--property=ActiveEnterTimestamp", "--value", "docker")
    when = swarm.lab.exec(host, *ready).stdout.strip()
    started = [swarm.lab.exec(host, "date", "-d", one, "+%s").stdout for one in (shown, when)]
    assert int(started[0]) < int(started[1])
