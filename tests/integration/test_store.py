"""
A store of somebody's own in place of Consul, on the master's host; changed in a running swarm.
"""

import pytest

from tests.integration.cluster import CONSUL

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


@pytest.mark.long
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


def _kv(swarm, host, key, *more):
    """Ask this host's Consul for a key, as root does."""
    files = {"--cacert": "ca", "--cert": "cert", "--key": "key"}
    secure = [word for flag, one in files.items() for word in (flag, f"{CONSUL}/{one}.pem")]
    url = f"https://127.0.0.1:8501/v1/kv/{key}?raw"
    return swarm.lab.exec(host, "curl", "-sf", *secure, *more, url, check=False).stdout


def test_snapshot_of_consul_brings_back_what_was_lost(swarm):
    swarm.pillar(networks=NETWORKS)
    swarm.apply()
    assert _kv(swarm, "m1", "web/motto", "-X", "PUT", "-d", "keep me") == "true"
    host, path = "m2", swarm.lab.salt("m2", "swarm_backup.save")["m2"]["path"]
    assert swarm.lab.exec(host, "stat", "-c", "%a", path).stdout.strip() == "600"
    assert _kv(swarm, "m2", "web/motto", "-X", "DELETE") == "true"
    assert _kv(swarm, "m2", "web/other", "-X", "PUT", "-d", "of later") == "true"

    swarm.lab.exec(host, "sh", "-c", f"head -c 300 {path} > /root/half.snap")
    half = swarm.lab.salt(host, "swarm_backup.restore", "/root/half.snap")[host]
    assert "half.snap" in half
    assert _kv(swarm, "m3", "web/other") == "of later", "half a backup changes nothing"

    swarm.lab.salt(host, "swarm_backup.restore", path)
    swarm.wait(lambda: _kv(swarm, "m3", "web/motto") == "keep me", 30)
    assert _kv(swarm, "m3", "web/other") == ""
    swarm.wait(swarm.all_healthy, 120)
    _carries_networks(swarm)
    assert swarm.apply() == {}
    swarm.lab.exec(host, "rm", "-f", path, "/root/half.snap")
    _kv(swarm, "m1", "web/motto", "-X", "DELETE")


def test_swarm_on_zookeeper(swarm, zookeeper):
    swarm.pillar(store=f"{zookeeper}/swarm", overlay=False)
    swarm.apply()
    swarm.wait(swarm.all_healthy, 120)
    assert _consuls(swarm) == []
    assert _engine_stores(swarm) == set()
    assert swarm.apply() == {}
