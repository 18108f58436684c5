"""
Power is cut: of the primary's host, and of all.
"""

import pytest

pytestmark = pytest.mark.once


def test_primary_dies_and_comes_back_as_a_replica(swarm):
    lost = swarm.primary()
    rest = [host for host in swarm.lab.hosts() if host != lost]
    swarm.lab.stop(lost)
    swarm.wait(lambda: swarm.primary() in rest, 180)
    name = "after-failover"
    swarm.wait(
        lambda: swarm.swarm("run", "-d", "--name", name, "busybox:lab", "sleep", "60", check=False)
        .returncode == 0, 120, pause=3)  # fmt: skip
    swarm.swarm("rm", "-f", name)
    swarm.lab.start(lost)
    swarm.wait(lambda: swarm.roles().get(lost) == "replica", 180)
    assert sorted(swarm.roles().values()) == ["primary", "replica", "replica"]
    swarm.wait(swarm.all_healthy, 180)


def test_everything_off_and_on_again_heals_by_itself(swarm):
    hosts = swarm.lab.hosts()
    for host in hosts:
        swarm.lab.stop(host)
    for host in hosts:
        swarm.lab.start(host)
    took = swarm.wait(swarm.all_healthy, 300)
    print(f"all hosts off and on: {took:.0f} s until {len(hosts)} Healthy")
    assert swarm.apply() == {}
