"""
A cluster that somebody has made by hand is taken over as it is, and left as it was.
"""

import pytest

from tests.integration.cluster import WORKLOAD, changed, failures

HOSTS = ("m1", "m2", "m3")
IMAGE = "/tmp/busybox.tar"  # noqa: S108
STATES = ("this node is in the cluster", "cluster has its settings", "nodes are as pillar says")


@pytest.fixture(scope="module")
def handmade(bare, master):
    """Three hosts that never saw the formula: a drained manager, two workers, and what they do."""
    lab = bare.lab
    # Or the master's engine would have them join as soon as they are there.
    bare.pillar(managers=["m1"], autojoin={"enabled": False})
    for host in lab.hosts():
        if host in HOSTS:
            lab.reset(host)
        else:
            lab.remove(host)
    bare.await_minions()
    assert all(lab.salt("*", "pkg.install", "docker.io", timeout=300).values())
    lab.salt("*", "cp.get_file", "salt://images/busybox.tar", IMAGE)
    for host in HOSTS:
        lab.exec(host, "docker", "load", "-i", IMAGE)
    docker(bare, "m1", "swarm", "init", "--advertise-addr", lab.address("m1"))
    token = docker(bare, "m1", "swarm", "join-token", "-q", "worker").strip()
    for host in HOSTS[1:]:
        docker(bare, host, "swarm", "join", "--token", token, f"{lab.address('m1')}:2377")
    docker(bare, "m1", "node", "update", "--availability", "drain", "m1")
    docker(bare, "m1", "node", "update", "--label-add", "zone=a", "m2")
    docker(bare, "m1", "network", "create", "--driver", "overlay", "front")
    service = ["--name", "web", "--replicas", "2", "--network", "front", "--detach"]
    docker(bare, "m1", "service", "create", *service, WORKLOAD, "sleep", "infinity")
    bare.wait(lambda: sum(map(len, running(bare).values())) == 2, 120)
    return bare


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
        for kind in ("service", "network", "secret")
    }
    engines = {host: mode.dockerd(host) for host in HOSTS}
    return {"nodes": nodes, "names": names, "tasks": running(mode), "engines": engines}


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
def test_it_is_left_as_it_was(handmade):
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
    kept = "find /etc/swarm-formula /var/lib/swarm-formula /etc/docker/daemon.json -type f"
    for host in HOSTS:
        assert handmade.lab.exec(host, "sh", "-c", kept, check=False).stdout == ""
        assert handmade.lab.salt(host, "pkg.version", "docker.io")[host]
    assert changed(handmade.state("swarm.clean")) == {}
    assert facts(handmade) == before


@pytest.mark.once
def test_one_of_its_nodes_is_removed(handmade):
    """That was a node before the formula, and has tasks."""
    handmade.apply()
    kept = facts(handmade)["nodes"].keys() - {"m3"}
    done = handmade.lab.salt_run("swarm.remove", "m3", timeout=300)
    assert done["cleaned"] is True, done
    assert handmade.state_of("m3") == "inactive"
    assert facts(handmade)["nodes"].keys() == kept
    handmade.wait(lambda: len(running(handmade)["m2"]) == 2, 60)
