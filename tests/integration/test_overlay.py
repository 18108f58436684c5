"""
A healthy swarm is one whose workloads reach each other: overlay networks after what befalls hosts.
"""

import pytest

from tests.integration import peers as reach

# Power cuts and restarts take their time, and no release of Salt matters to them.
pytestmark = pytest.mark.once

NETWORKS = {reach.NETWORK: {"driver": "overlay", "subnet": "10.20.0.0/24"}}


@pytest.fixture
def peers(swarm):
    swarm.pillar(networks=NETWORKS)
    swarm.apply()
    with reach.running(swarm) as found:
        yield found
    swarm.heal_engines()


def _sound(swarm):
    """Insist that no host complains, and an apply changes nothing."""
    swarm.await_minions()
    told = swarm.lab.salt("*", "swarm_overlay.complaints")
    assert told == {host: [] for host in swarm.lab.hosts()}
    assert swarm.apply() == {}


def test_host_that_had_no_power_is_reached_and_reaches_all(swarm, peers):
    """Its containers start before serf does: their namespace never learns where the others are."""
    *_, last = swarm.lab.hosts()
    before = reach.started(swarm, peers)
    swarm.lab.stop(last)
    swarm.lab.start(last)
    reach.await_all(swarm, peers)
    after = reach.started(swarm, peers)
    assert [name for name in peers if after[name] != before[name]] == [f"peer-{last}"]
    _sound(swarm)


def _stop(swarm, host):
    swarm.lab.exec(host, "systemctl", "stop", "docker.socket", "docker.service")


def _kill(swarm, host):
    swarm.lab.exec(host, "pkill", "-9", "-x", "dockerd")
    # systemd would start it again at once, and the join is to fall between.
    _stop(swarm, host)


@pytest.mark.parametrize("away", [_stop, pytest.param(_kill, marks=pytest.mark.long)])
def test_container_that_joins_while_an_engine_is_away_is_reached(swarm, peers, away):
    first, second, *_ = swarm.lab.hosts()
    before = reach.started(swarm, peers)
    away(swarm, first)
    try:
        reach.start(swarm, second, "late")
        swarm.lab.exec(first, "systemctl", "start", "docker.service")
        reach.await_all(swarm, {**peers, "late": second})
        assert reach.started(swarm, peers) == before, "no container is restarted for it"
    finally:
        swarm.docker(second, "rm", "-f", "late", check=False)
        swarm.lab.exec(first, "systemctl", "start", "docker.service")
    _sound(swarm)


@pytest.mark.long
def test_all_hosts_without_power_and_the_store_late(swarm, peers):
    """An engine waits a minute for the store, once, and then leaves its containers stopped."""
    first, *others = swarm.lab.hosts()
    for host in swarm.lab.hosts():
        swarm.lab.stop(host)
    swarm.lab.start(first)
    given_up = ["inspect", "-f", "{{.State.Error}}", f"peer-{first}"]
    swarm.wait(lambda: swarm.docker(first, *given_up, check=False), 240, pause=3)
    for host in others:
        swarm.lab.start(host)
    reach.await_all(swarm, peers)
    swarm.wait(swarm.all_healthy, 180)
    _sound(swarm)
