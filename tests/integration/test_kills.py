"""
A run that is killed by -9, wherever it is: the next one goes on, and nothing is lost.

SWARM_TEST_KILLS=20 for as many moments, by chance; SWARM_TEST_SEED repeats those of another time.
"""

import json
import os
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

# test_faults.py has an interrupted run each time.
pytestmark = [pytest.mark.once, pytest.mark.long]

KILLS = int(os.environ.get("SWARM_TEST_KILLS", "1"))
SEED = int(os.environ.get("SWARM_TEST_SEED", "0"))
RUN = "salt-call state.apply swarm"


def _moments(last):
    """Return the seconds after which a run is killed."""
    chance = random.Random(SEED + last)  # noqa: S311  not for secrets
    return [round(chance.uniform(0.5, last), 1) for _ in range(KILLS)]


def _kill_after(lab, host, seconds):
    """Have a host apply, and kill it after so many seconds; return whether it was still at it."""
    with ThreadPoolExecutor() as pool:
        run = pool.submit(lab.exec, host, *RUN.split(), check=False, timeout=300)
        time.sleep(seconds)
        killed = lab.exec(host, "pkill", "-9", "-f", RUN, check=False).returncode == 0
        run.result()
    return killed


@pytest.fixture
def fourth(cluster):
    """A host that comes and goes."""
    cluster.heal()
    with cluster.visitor("m4"):
        yield cluster


@pytest.mark.parametrize("seconds", _moments(13))
def test_first_apply_that_is_killed_is_finished_by_the_next(fourth, seconds):
    killed = _kill_after(fourth.lab, "m4", seconds)
    fourth.apply("m4")
    assert fourth.apply("m4") == {}
    fourth.wait(lambda: fourth.statuses().get("m4") == "Healthy", 60)
    print(f"after {seconds} s: {'killed' if killed else 'it was done'}")


@pytest.mark.parametrize("seconds", _moments(9))
def test_change_that_is_killed_is_finished_by_the_next(swarm, seconds):
    """Of certificates, and with them of all that reads one."""
    name = f"swarm-{random.getrandbits(32)}.example.com"
    swarm.pillar(tls={"names": [name]}, engine={"options": {"debug": True}})
    swarm.lab.salt("*", "saltutil.refresh_pillar", "wait=True")
    containers = swarm.docker("m2", "ps", "--format", "{{.Names}}")
    killed = _kill_after(swarm.lab, "m2", seconds)
    swarm.apply()
    assert swarm.apply() == {}
    swarm.wait(swarm.all_healthy, 60)
    assert name in swarm.lab.salt("m2", "swarm_tls.status")["m2"]["names"]
    left = swarm.lab.exec("m2", "ls", "/etc/swarm-formula/tls").stdout.split()
    assert len(left) == 2, "what is in force, and the link to it"
    config = json.loads(swarm.lab.exec("m2", "cat", "/etc/docker/daemon.json").stdout)
    assert re.fullmatch(r"/etc/swarm-formula/tls/[0-9a-f]{12}/cert\.pem", config["tlscert"])
    assert config["debug"] is True
    assert sorted(swarm.docker("m2", "ps", "--format", "{{.Names}}").split()) == sorted(
        containers.split()
    )
    print(f"after {seconds} s: {'killed' if killed else 'it was done'}")


@pytest.mark.skipif("SWARM_TEST_KILLS" not in os.environ, reason="takes minutes")
@pytest.mark.parametrize("seconds", _moments(25))
def test_change_of_servers_that_is_killed_is_finished_by_the_next(swarm, seconds):
    """A server that leaves, and comes back as one."""
    consul = swarm.lab.default_pillar()["consul"]
    for servers in (["m1", "m3"], ["m1", "m2", "m3"]):
        swarm.pillar(consul={**consul, "servers": servers})
        swarm.lab.salt("*", "saltutil.refresh_pillar", "wait=True")
        killed = _kill_after(swarm.lab, "m2", seconds)
        swarm.apply()
        voters = dict.fromkeys(servers, "voter")
        assert swarm.lab.salt("*", "swarm_consul.peers") == dict.fromkeys(swarm.lab.hosts(), voters)
        assert swarm.apply() == {}
        names = swarm.docker("m2", "ps", "-a", "--format", "{{.Names}}").split()
        assert not [name for name in names if name.endswith("-replaced")]
        print(f"after {seconds} s: {'killed' if killed else 'it was done'}")
