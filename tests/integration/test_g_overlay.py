"""
A healthy swarm is one whose workloads reach each other: overlay networks after what befalls hosts.
"""

import itertools

import pytest

# Each of them cuts the power or the engine for real, which takes its time; no release of Salt
# matters to it.
pytestmark = pytest.mark.once

NETWORK = "backend"
NETWORKS = {NETWORK: {"driver": "overlay", "subnet": "10.20.0.0/24"}}


def _run(swarm, host, name):
    given = ["--restart", "always", "--net", NETWORK]
    swarm.docker(host, "run", "-d", "--name", name, *given, "busybox:lab", "sleep", "36000")


def _answers(swarm, host, name, other):
    """Say whether another container answers one of this host, by its name."""
    ask = ["ping", "-c", "1", "-W", "2", other]
    return "1 packets received" in swarm.docker(host, "exec", name, *ask, check=False)


def _cut_off(swarm, peers):
    """Return the pairs of containers of which one does not reach the other."""
    pairs = itertools.permutations(sorted(peers.items()), 2)
    return [
        (one, other)
        for (one, host), (other, _) in pairs
        if not _answers(swarm, host, one, other)
    ]


def _await_all(swarm, peers, limit=240):
    try:
        swarm.wait(lambda: not _cut_off(swarm, peers), limit, pause=3)
    except AssertionError as err:
        raise AssertionError(f"cut off from each other: {_cut_off(swarm, peers)}") from err


def _started(swarm, peers):
    """Return when each container was started."""
    ask = ["inspect", "-f", "{{.State.StartedAt}}"]
    return {name: swarm.docker(host, *ask, name) for name, host in peers.items()}


@pytest.fixture
def peers(swarm):
    """Containers in one overlay network, one on each host, that reach each other."""
    found = {f"peer-{host}": host for host in swarm.lab.hosts()}
    swarm.pillar(networks=NETWORKS)
    swarm.apply()
    try:
        for name, host in found.items():
            _run(swarm, host, name)
        _await_all(swarm, found)
        yield found
    finally:
        swarm.switch_on()
        for name, host in found.items():
            swarm.docker(host, "rm", "-f", name, check=False)


def test_host_that_had_no_power_is_reached_and_reaches_all(swarm, peers):
    """Its containers start before serf does: their namespace never learns where the others are."""
    first, *_, last = swarm.lab.hosts()
    before = _started(swarm, peers)
    swarm.lab.stop(last)
    swarm.lab.start(last)
    _await_all(swarm, peers)
    after = _started(swarm, peers)
    assert [name for name in peers if after[name] != before[name]] == [f"peer-{last}"]
    swarm.await_minions()
    assert swarm.lab.salt(first, "swarm_overlay.complaints") == {first: []}
    assert swarm.apply() == {}


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_container_that_joins_while_an_engine_is_away_is_reached(swarm, peers, how):
    first, second, *_ = swarm.lab.hosts()
    before = _started(swarm, peers)
    name = f"late-{how}"
    if how == "kill":
        # Not at once, so that the join falls into the time without it.
        slow = "mkdir -p /run/systemd/system/docker.service.d; printf '[Service]\\nRestartSec=15\\n'"
        swarm.lab.exec(first, "sh", "-c", f"{slow} > /run/systemd/system/docker.service.d/t.conf")
        swarm.lab.exec(first, "systemctl", "daemon-reload")
        swarm.lab.exec(first, "pkill", "-9", "-x", "dockerd")
    else:
        swarm.lab.exec(first, "systemctl", "stop", "docker.socket", "docker.service")
    try:
        _run(swarm, second, name)
        if how == "restart":
            swarm.lab.exec(first, "systemctl", "start", "docker.service")
        swarm.wait(lambda: swarm.docker(first, "info", check=False), 120)
        _await_all(swarm, {**peers, name: second})
        assert _started(swarm, peers) == before, "no container is restarted for it"
    finally:
        swarm.docker(second, "rm", "-f", name, check=False)
        swarm.lab.exec(first, "rm", "-rf", "/run/systemd/system/docker.service.d/t.conf")
        swarm.lab.exec(first, "systemctl", "daemon-reload")
        swarm.lab.exec(first, "systemctl", "start", "docker.service")


def test_all_hosts_without_power_and_the_store_late(swarm, peers):
    """The engine does not start its containers later than a minute after itself."""
    first, *others = swarm.lab.hosts()
    for host in swarm.lab.hosts():
        swarm.lab.stop(host)
    swarm.lab.start(first)
    given_up = ["inspect", "-f", "{{.State.Error}}", f"peer-{first}"]
    swarm.wait(lambda: swarm.docker(first, *given_up, check=False), 240, pause=3)
    for host in others:
        swarm.lab.start(host)
    _await_all(swarm, peers)
    swarm.wait(swarm.all_healthy, 120)
    swarm.await_minions()
    assert swarm.apply() == {}
