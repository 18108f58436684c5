"""
A store of somebody's own in place of Consul: etcd, on the master's host.
"""

import pytest

from tests.integration.cluster import failures

pytestmark = pytest.mark.once

_ETCD = "http://{0}:2379"


@pytest.fixture
def etcd(lab):
    """An etcd that speaks the API of version 2, which is what Swarm knows."""
    lab.exec("salt", "apt-get", "install", "-y", "-qq", "etcd-server", timeout=300)
    lab.exec("salt", "systemctl", "stop", "etcd", check=False)
    url = _ETCD.format(lab.address("salt"))
    flags = ["--enable-v2", "--data-dir=/tmp/etcd"]
    flags += [f"--listen-client-urls={url}", f"--advertise-client-urls={url}"]
    lab.exec("salt", "systemd-run", "--unit=test-etcd", "etcd", *flags)
    yield lab.address("salt") + ":2379"
    lab.exec("salt", "systemctl", "stop", "test-etcd")


@pytest.mark.skip(
    reason="known fault: with overlay on etcd, Docker 20.10.5 says 'network host not found'"
)
def test_swarm_on_etcd(swarm, etcd):
    """Cleaned before and after: 20.10 loses the networks of containers that run meanwhile."""
    assert failures(swarm.state("swarm.clean")) == {}
    swarm.pillar(store=f"etcd://{etcd}/swarm")
    swarm.apply()
    swarm.wait(swarm.all_healthy, 120)
    for host in swarm.lab.hosts():
        assert "swarm-consul" not in swarm.docker(host, "ps", "-a", "--format", "{{.Names}}")
        assert swarm.docker(host, "info", "-f", "{{.ClusterStore}}") == f"etcd://{etcd}/swarm"
    assert swarm.apply() == {}
    assert failures(swarm.state("swarm.clean")) == {}
