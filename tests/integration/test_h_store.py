"""
A store of somebody's own in place of Consul, on the master's host; changed in a running swarm.
"""

import pytest

pytestmark = pytest.mark.once

NETWORKS = {"backend": {"driver": "overlay", "subnet": "10.20.0.0/24"}}


def _unit(lab, name, *command):
    lab.exec("salt", "systemd-run", f"--unit={name}", *command)
    yield
    lab.exec("salt", "systemctl", "stop", name)


@pytest.fixture
def etcd(lab):
    """An etcd that speaks the API of version 2, which is what Swarm knows."""
    lab.exec("salt", "apt-get", "install", "-y", "-qq", "etcd-server", timeout=300)
    lab.exec("salt", "systemctl", "disable", "--now", "etcd", check=False)
    url = f"http://{lab.address('salt')}:2379"
    flags = [f"--listen-client-urls={url}", f"--advertise-client-urls={url}"]
    unit = _unit(lab, "test-etcd", "etcd", "--enable-v2", "--data-dir=/tmp/etcd", *flags)
    next(unit)
    yield f"etcd://{lab.address('salt')}:2379"
    next(unit, None)


@pytest.fixture
def zookeeper(lab):
    """A ZooKeeper; only the real swarm speaks its language."""
    if lab.status()["images"]["swarm"]["standin"]:
        pytest.skip("the stand-in for swarm does not speak ZooKeeper")
    packages = ["zookeeper", "default-jre-headless"]
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    lab.exec("salt", *install, timeout=600)
    config = f"dataDir=/srv/zoo\nclientPort=2181\nclientPortAddress={lab.address('salt')}\n"
    lab.exec("salt", "tee", "/srv/zoo.cfg", input=config + "admin.enableServer=false\n")
    classes = "/usr/share/java/zookeeper.jar:/usr/share/java/*"
    main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
    unit = _unit(lab, "test-zookeeper", "java", "-cp", classes, main, "/srv/zoo.cfg")
    next(unit)
    yield f"zk://{lab.address('salt')}:2181"
    next(unit, None)


def _engine_stores(swarm):
    """Return the stores for overlay networks that the engines have."""
    shown = {swarm.docker(host, "info", "-f", "{{.ClusterStore}}") for host in swarm.lab.hosts()}
    return shown - {""}


def _consuls(swarm):
    """Return the hosts on which the formula's Consul runs."""
    names = {host: swarm.docker(host, "ps", "--format", "{{.Names}}") for host in swarm.lab.hosts()}
    return [host for host, shown in names.items() if "swarm-consul" in shown]


def _carries_networks(swarm):
    """Start a container in an overlay network, and one in the host's: the engine finds both."""
    for network in ("backend", "host"):
        swarm.swarm("run", "--rm", "--net", network, "busybox:lab", "true")
    swarm.heal_engines()


def test_running_swarm_moves_from_consul_to_etcd_and_back(swarm, etcd):
    swarm.pillar(store=etcd, networks=NETWORKS)
    swarm.apply()
    swarm.wait(swarm.all_healthy, 120)
    assert _consuls(swarm) == []
    assert _engine_stores(swarm) == {etcd}
    _carries_networks(swarm)
    assert swarm.apply() == {}
    swarm.pillar(networks=NETWORKS)
    swarm.apply()
    swarm.wait(swarm.all_healthy, 120)
    assert _consuls(swarm) == swarm.lab.hosts()
    assert _engine_stores(swarm) == {"consul://127.0.0.1:8501"}
    _carries_networks(swarm)
    assert swarm.apply() == {}


def test_swarm_on_zookeeper(swarm, zookeeper):
    swarm.pillar(store=f"{zookeeper}/swarm", overlay=False)
    swarm.apply()
    swarm.wait(swarm.all_healthy, 120)
    assert _consuls(swarm) == []
    assert _engine_stores(swarm) == set()
    assert swarm.apply() == {}
