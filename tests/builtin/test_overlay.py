"""
Overlay networks of the cluster carry traffic between all hosts after what befalls them.
"""

import pytest

from tests.integration import peers as reach

pytestmark = [pytest.mark.once, pytest.mark.long]

# No services: their virtual addresses need IPVS, which is the kernel's.
NETWORKS = {reach.NETWORK: {"driver": "overlay", "subnet": "10.20.0.0/24", "attachable": True}}


@pytest.fixture
def peers(mode):
    mode.pillar(networks=NETWORKS)
    mode.apply()
    mode.lab.salt("*", "swarm_image.load", "busybox:lab", "salt://images/busybox.tar")
    with reach.running(mode) as found:
        yield found


def test_containers_reach_each_other_after_power_cuts_and_a_join_meanwhile(mode, peers):
    first, second, last = mode.lab.hosts()
    mode.lab.stop(last)
    mode.lab.start(last)
    reach.await_all(mode, peers)
    mode.lab.exec(first, "systemctl", "stop", "docker.socket", "docker.service")
    reach.start(mode, second, "late")
    mode.lab.exec(first, "systemctl", "start", "docker.service")
    try:
        reach.await_all(mode, {**peers, "late": second})
        for host in mode.lab.hosts():
            mode.lab.stop(host)
        for host in mode.lab.hosts():
            mode.lab.start(host)
        reach.await_all(mode, {**peers, "late": second})
    finally:
        mode.switch_on()
        mode.docker(second, "rm", "-f", "late", check=False)
    mode.await_minions()
    assert mode.apply() == {}
