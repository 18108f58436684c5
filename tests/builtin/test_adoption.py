"""
A cluster that somebody has made by hand is taken over as it is, and left as it was.
"""

import json
from typing import NamedTuple

import pytest

from tests.integration.cluster import IDLE, WORKLOAD, changed, failures

HOSTS = ("m1", "m2", "m3")
IMAGE = "/tmp/busybox.tar"  # noqa: S108
STATES = ("this node has joined the cluster", "cluster is configured", "nodes are configured")


class Handmade(NamedTuple):
    """A cluster as an operator has made it, before the formula comes."""

    managers: tuple[str, ...]
    config: dict  # daemon.json of all hosts
    init: str  # options of `docker swarm init`
    commands: tuple[str, ...]  # on m1


# The first row has the workers of which one is removed.
HANDMADE = {
    "a drained manager and labels": Handmade(
        ("m1",),
        {},
        "",
        (
            "docker node update --availability drain m1",
            "docker node update --label-add zone=a m2",
        ),
    ),
    "settings of the cluster": Handmade(
        HOSTS,
        {},
        "--autolock --cert-expiry 720h --task-history-limit 3 --dispatcher-heartbeat 7s"
        " --default-addr-pool 10.60.0.0/16 --default-addr-pool-mask-length 26",
        (
            "docker node update --availability pause m3",
            "echo content | docker secret create old -",
            "echo content | docker config create old -",
        ),
    ),
    "settings of the engines": Handmade(
        ("m1",),
        {
            **{"log-level": "warn", "labels": ["rack=7"], "metrics-addr": "127.0.0.1:9323"},
            **{"log-driver": "local", "debug": True, "shutdown-timeout": 30},
        },
        "--data-path-port 7789 --snapshot-interval 5000",
        ("docker node update --label-add engine=own m1",),
    ),
}
_CI, *_LONG = HANDMADE


@pytest.fixture(
    scope="module", params=[_CI, *(pytest.param(one, marks=pytest.mark.long) for one in _LONG)]
)
def row(request):
    """The cluster that is there."""
    return HANDMADE[request.param]


@pytest.fixture(scope="module")
def handmade(row, bare, master):
    """Three hosts that never saw the formula, their cluster, and what it does."""
    lab = bare.lab
    # Or the master's engine would have them join as soon as they are there.
    bare.pillar(managers=list(row.managers), autojoin={"enabled": False})
    for host in lab.hosts():
        if host in HOSTS:
            lab.reset(host)
        else:
            lab.remove(host)
    for host in {*HOSTS} - {*lab.hosts()}:
        lab.add(host)
    bare.await_minions()
    if row.config:
        text = json.dumps(row.config)
        write = f"mkdir -p /etc/docker && echo '{text}' >/etc/docker/daemon.json"
        for host in HOSTS:
            lab.exec(host, "sh", "-c", write)
    assert all(lab.salt("*", "pkg.install", "docker.io", timeout=300).values())
    lab.salt("*", "cp.get_file", "salt://images/busybox.tar", IMAGE)
    for host in HOSTS:
        lab.exec(host, "docker", "load", "-i", IMAGE)
    _found(bare, row)
    docker(bare, "m1", "network", "create", "--driver", "overlay", "front")
    service = ["--name", "web", "--replicas", "2", "--network", "front", "--detach"]
    docker(bare, "m1", "service", "create", *service, WORKLOAD, *IDLE)
    bare.wait(lambda: sum(map(len, running(bare).values())) == 2, 120)
    return bare


def _found(mode, row):
    """Make the cluster of a row, by Docker's own commands."""
    address = mode.lab.address("m1")
    docker(mode, "m1", "swarm", "init", "--advertise-addr", address, *row.init.split())
    for host in HOSTS[1:]:
        role = "manager" if host in row.managers else "worker"
        token = docker(mode, "m1", "swarm", "join-token", "-q", role).strip()
        docker(mode, host, "swarm", "join", "--token", token, f"{address}:2377")
    for command in row.commands:
        mode.lab.exec("m1", "sh", "-c", command)


def docker(mode, host, *argv):
    return mode.lab.exec(host, "docker", *argv, timeout=120).stdout


def running(mode):
    """Return ``{host: {container: its PID}}``."""
    template = ["inspect", "--format", "{{.Id}} {{.State.Pid}}"]
    found = {}
    for host in HOSTS:
        ids = docker(mode, host, "ps", "--quiet").split()
        words = docker(mode, host, *template, *ids).splitlines() if ids else []
        found[host] = dict(one.split() for one in words)
    return found


def facts(mode):
    """Return what an operator sees of the cluster, and which processes do it."""
    nodes = {
        host: (one["ID"], one["Spec"], one["Status"]["State"])
        for host, one in mode.by_host().items()
    }
    names = {
        kind: sorted(docker(mode, "m1", kind, "ls", "--quiet").split())
        for kind in ("service", "network", "secret", "config")
    }
    cluster = mode.api("m1", "/swarm")["Spec"]
    engines = {host: mode.dockerd(host) for host in HOSTS}
    return {
        **{"nodes": nodes, "names": names, "cluster": cluster},
        **{"tasks": running(mode), "engines": engines},
    }


@pytest.mark.once
def test_it_is_taken_over_as_it_is_and_the_dry_run_says_so(handmade):
    before = facts(handmade)
    promised = handmade.state(test=True)
    assert failures(promised) == {}
    assert facts(handmade) == before
    for key, changes in changed(promised).items():
        assert key.partition(": ")[2] not in STATES, (key, changes)
        assert not {"service", "restart", "swarm mode"} & changes.keys(), (key, changes)
    done = handmade.state()
    assert failures(done) == {}
    assert changed(done).keys() == changed(promised).keys()
    assert facts(handmade) == before
    assert handmade.apply() == {}


@pytest.mark.once
def test_it_is_left_as_it_was(handmade, row):
    before = facts(handmade)
    promised = handmade.state("swarm.clean", test=True)
    done = handmade.state("swarm.clean")
    for returns in (promised, done):
        assert failures(returns) == {}
        for host in HOSTS:
            (left,) = [one for one in returns[host].values() if one["__id__"].endswith("cluster")]
            assert f"{host} stays in its cluster" in left["warnings"][0]
    assert changed(done).keys() == changed(promised).keys()
    assert facts(handmade) == before
    kept = "find /etc/swarm-formula /var/lib/swarm-formula -type f"
    config = "cat /etc/docker/daemon.json || echo {}"
    for host in HOSTS:
        assert handmade.lab.exec(host, "sh", "-c", kept, check=False).stdout == ""
        assert json.loads(handmade.lab.exec(host, "sh", "-c", config).stdout) == row.config
        file = handmade.lab.exec(host, "test", "-e", "/etc/docker/daemon.json", check=False)
        assert (file.returncode == 0) is bool(row.config)
        assert handmade.lab.salt(host, "pkg.version", "docker.io")[host]
    assert changed(handmade.state("swarm.clean")) == {}
    assert facts(handmade) == before


@pytest.mark.once
def test_one_of_its_nodes_is_removed(handmade, row):
    """That was a node before the formula, and has tasks."""
    if row is not HANDMADE[_CI]:
        pytest.skip("removed from the first cluster only")
    handmade.apply()
    kept = facts(handmade)["nodes"].keys() - {"m3"}
    done = handmade.lab.salt_run("swarm.remove", "m3", timeout=300)
    assert done["cleaned"] is True, done
    assert handmade.state_of("m3") == "inactive"
    assert facts(handmade)["nodes"].keys() == kept
    handmade.wait(lambda: len(running(handmade)["m2"]) == 2, 60)
