"""
``swarm.clean`` ends the cluster, and it can be made anew. Last, for it does so.
"""

import pytest

from tests.integration.cluster import changed, failures


def test_clean_ends_it_and_leaves_nothing(mode):
    promised = mode.state("swarm.clean", test=True)
    assert failures(promised) == {}
    done = mode.state("swarm.clean")
    assert failures(done) == {}
    assert set(changed(done)) <= set(changed(promised))
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
