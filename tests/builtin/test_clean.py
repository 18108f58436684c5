"""
``swarm.clean`` ends the cluster, and it can be made anew. Last, for it does so.
"""

import json
import urllib.parse

import pytest

from tests.builtin.mode import END
from tests.integration.cluster import IDLE, WORKLOAD, changed, failures


@pytest.mark.once
def test_clean_does_not_end_it_with_what_its_users_have_in_it(mode):
    """Refused on all hosts before anything is touched, in a dry run as well."""
    # A node that another test has drained would have no task.
    mode.pillar(nodes={"*": {"availability": "active"}})
    # Once it is down, the former node of a host that has joined again would be removed meanwhile.
    mode.wait(lambda: mode.apply() == {} and len(mode.nodes()) == len(mode.lab.hosts()), 120)
    task = {"ContainerSpec": {"Image": WORKLOAD, "Command": IDLE}}
    service = {"Name": "precious", "TaskTemplate": task, "Mode": {"Global": {}}}
    mode.lab.salt("*", "swarm_image.load", WORKLOAD, "salt://images/busybox.tar")
    assert mode.post(mode.leader(), "/services/create", service)
    running = {"filters": json.dumps({"label": ["com.docker.swarm.service.name=precious"]})}
    query = f"/containers/json?{urllib.parse.urlencode(running)}"
    mode.wait(lambda: all(mode.api(host, query) for host in mode.lab.hosts()), 120)
    before = {host: mode.files(host) for host in mode.lab.hosts()}
    nodes = mode.by_host()
    for test in (True, False):
        refused = failures(mode.state("swarm.clean", test=test))
        for host in mode.lab.hosts():
            told = refused[f"{host}: this node has left the cluster"]
            assert "precious" in told
            assert '{"swarm_clean": {"lose_cluster": true}}' in told
        assert {host: mode.files(host) for host in mode.lab.hosts()} == before
        assert mode.by_host().keys() == nodes.keys()
    assert mode.apply() == {}


def test_clean_ends_it_and_leaves_nothing(mode):
    # Not removed as an orphan of the engine: it shows the rules.
    mode.lab.exec("m1", "apt-mark", "manual", "iptables")
    assert mode.traces("m1")
    promised = mode.state("swarm.clean", test=True, **END)
    assert failures(promised) == {}
    done = mode.state("swarm.clean", **END)
    assert failures(done) == {}
    assert set(changed(done)) <= set(changed(promised))
    assert mode.traces("m1") == []
    for host in mode.lab.hosts():
        assert mode.lab.salt(host, "pkg.version", "docker.io")[host] == ""
        left = "find /etc/swarm-formula /var/lib/swarm-formula /etc/docker/daemon.json" \
               " /etc/systemd/system/docker.service.d -type f 2>/dev/null"  # fmt: skip
        assert mode.lab.exec(host, "sh", "-c", left, check=False).stdout == ""


@pytest.mark.once
def test_after_clean_the_cluster_is_made_anew_with_pools_of_addresses(bare):
    """Pools without a mask, as in pillar.example: networks get subnets of them."""
    bare.pillar(
        builtin={"address_pools": ["10.30.0.0/16"]}, networks={"backend": {"driver": "overlay"}}
    )
    bare.apply()
    assert {bare.roles()[host] for host in ("m1", "m2", "m3")} == {"manager"}
    assert bare.apply() == {}
    leader = bare.leader()
    made = bare.api(leader, "/swarm")
    assert (made["DefaultAddrPool"], made["SubnetSize"]) == (["10.30.0.0/16"], 24)
    (subnet,) = bare.api(leader, "/networks/backend")["IPAM"]["Config"]
    assert subnet["Subnet"].startswith("10.30.")
    assert subnet["Subnet"].endswith(".0/24")
