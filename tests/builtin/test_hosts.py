"""
Hosts as they are: each condition of a new machine, with a first apply, a second, and a clean.
"""

import json
import time

import pytest

from tests.host_conditions import (
    CONDITIONS,
    make_ready,
    picture,
    try_bare,
    try_condition,
    try_refused,
    try_unstarted,
)
from tests.integration.cluster import failures

pytestmark = [pytest.mark.once, pytest.mark.long]

HOST = "m5"
ALONE = json.dumps({"swarm_clean": {"alone": True}})


@pytest.fixture
def host(mode):
    """A new machine that the pillar names, and that is gone afterwards."""
    mode.lab.add(HOST, accept=False)
    yield HOST
    mode.await_idle()
    mode.lab.exec("salt", "salt-run", "swarm.remove", HOST, check=False)
    mode.lab.remove(HOST)
    # A node with a host name of its own stays in the list, after a clean, until an operator acts.
    mode.wait(lambda: all(one["Status"]["State"] != "unknown" for one in mode.nodes()), 120)
    for one in mode.nodes():
        if one["Status"]["State"] == "down":
            mode.docker(mode.leader(), "node", "rm", "--force", one["ID"])


@pytest.mark.parametrize("name", CONDITIONS)
def test_host_becomes_a_node_and_is_as_before_after_a_clean(mode, host, name):
    try_condition(mode, host, name, lambda: mode.roles()[host] == "worker", pillar=ALONE)


@pytest.mark.parametrize("go", [try_bare, try_refused, try_unstarted])
def test_engine_of_a_bare_host_starts_with_its_settings(mode, host, go):
    go(mode, host, lambda: mode.roles()[host] == "worker")


def test_host_that_is_off_is_removed_within_a_minute(mode, host):
    """Its minion is asked once, and nothing is waited for that a dead host cannot do."""
    make_ready(mode, host)
    mode.apply(host)
    mode.lab.stop(host)
    begun = time.monotonic()
    done = mode.lab.salt_run("swarm.remove", host, timeout=300)
    took = time.monotonic() - begun
    assert done["cleaned"] == "the minion does not answer", done
    assert len(mode.nodes()) == len(mode.lab.hosts()) - 1
    assert took < 60, f"{took:.0f} s"
    # For the end of the test, which cleans it.
    mode.lab.start(host)
    mode.await_minion(host)


def test_slow_host_is_removed_whole(mode, host):
    """Its engine and its minion have a fifth of a processor."""
    make_ready(mode, host)
    before = picture(mode, host)
    mode.apply(host)
    with mode.slowed(host):
        done = mode.lab.salt_run("swarm.remove", host, timeout=600)
    assert done["cleaned"] is True, done
    assert picture(mode, host) == before
    assert len(mode.nodes()) == len(mode.lab.hosts()) - 1


def test_host_that_hangs_is_removed_within_a_minute_and_cleaned_later(mode, host):
    """Its connections are open, so that nobody is told that it is away."""
    make_ready(mode, host)
    before = picture(mode, host)
    mode.apply(host)
    with mode.hung(host):
        begun = time.monotonic()
        done = mode.lab.salt_run("swarm.remove", host, timeout=300)
        took = time.monotonic() - begun
    assert done["cleaned"] == "the minion does not answer", done
    assert len(mode.nodes()) == len(mode.lab.hosts()) - 1
    assert took < 60, f"{took:.0f} s"
    mode.await_minion(host)
    assert failures(mode.state("swarm.clean", target=host, pillar=ALONE)) == {}
    assert picture(mode, host) == before
    assert len(mode.nodes()) == len(mode.lab.hosts()) - 1


# As far as a run may have come when it failed or was killed.
STEPS = ("swarm.settings", "swarm.libraries", "swarm.engine", "swarm")


@pytest.mark.parametrize("how", ["clean", "remove"])
@pytest.mark.parametrize("step", STEPS)
def test_host_that_came_as_far_as_a_step_is_as_before_within_a_minute(mode, host, step, how):
    make_ready(mode, host)
    before = picture(mode, host)
    assert failures(mode.state(step, target=host)) == {}
    begun = time.monotonic()
    if how == "remove":
        assert mode.lab.salt_run("swarm.remove", host, timeout=300)["cleaned"] is True
    else:
        assert failures(mode.state("swarm.clean", target=host, pillar=ALONE)) == {}
    took = time.monotonic() - begun
    assert picture(mode, host) == before
    ready = [name for name, one in mode.by_host().items() if one["Status"]["State"] == "ready"]
    assert host not in ready
    assert took < 60, f"{took:.0f} s"
