"""
Engines of other Debian suites, each on a host of its own beside the lab.
"""

import pytest

from tests.integration.cluster import Cluster, failures, lab_beside
from tests.integration.conftest import SALT

pytestmark = [pytest.mark.once, pytest.mark.long]


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def other(request):
    """One host with the engine of another suite."""
    lab = lab_beside(request.param, {"bookworm": 201, "trixie": 202}[request.param])
    lab.down()
    try:
        lab.up(hosts=1, salt=SALT, suite=request.param, autojoin=False)
        cluster = Cluster(lab)
        cluster.suite = request.param
        yield cluster
    finally:
        lab.down()


def test_one_node_swarm_without_overlay(other):
    other.apply()
    other.wait(other.all_healthy, 120)
    assert other.apply() == {}


def test_overlay_is_refused_or_rolled_back_and_nobody_notices(other):
    """
    Debian 12's engine is built without libkv: only the daemon itself finds out. Debian 13's is
    of a version that has no cluster-store at all.
    """
    (host,) = other.lab.hosts()
    other.lab.salt(host, "swarm_image.load", "busybox:lab", "salt://images/busybox.tar")
    other.docker(host, "run", "-d", "--name", "bystander", "busybox:lab", "sleep", "3600")
    before, files = other.pids(host), other.files(host)
    other.pillar(overlay=True)
    told = failures(other.state())
    text = " ".join(told.values())
    if other.suite == "bookworm":
        assert "discovery service not supported" in told[f"{host}: overlay networks are enabled"]
    else:
        assert "cluster-store is gone since Docker 23.0" in text
    assert other.files(host) == files
    assert other.pids(host) == before
    other.pillar()
    assert other.apply() == {}
    assert other.all_healthy()
