"""
Engines of other Debian suites, each on a host of its own beside the lab.
"""

import dataclasses
import ipaddress
import os

import pytest

from lab import config
from lab.api import Lab
from tests.integration.cluster import Cluster, failures
from tests.integration.conftest import SALT

pytestmark = pytest.mark.once


def _other_lab(suite, third):
    """Return a lab beside the usual one, with a network of its own."""
    usual = config.settings(os.environ)
    name = f"{usual.name[:10]}-{suite[0]}"
    first = str(usual.subnet.network_address).split(".")
    subnet = ipaddress.IPv4Network(f"{first[0]}.{first[1]}.{third}.0/24")
    run = usual.run.with_name(f"{usual.run.name}-{suite}")
    return Lab(dataclasses.replace(usual, name=name, run=run, subnet=subnet))


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def other(request):
    """One host with the engine of another suite."""
    lab = _other_lab(request.param, {"bookworm": 201, "trixie": 202}[request.param])
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
