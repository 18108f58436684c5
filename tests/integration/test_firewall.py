"""
The firewall of the swarm's own ports: who gets in, who does not, that it stays. m3 keeps it with
nft, the others with iptables, which their engines brought. The master is no member.
"""

import pytest

from tests.integration.cluster import changed, failures

pytestmark = pytest.mark.once

STRANGER = "salt"
# By these ways somebody takes the rules out of the kernel, those of others left alone.
FLUSH = {
    "m1": "iptables -w -D INPUT -j SWARM-FORMULA && ip6tables -w -F SWARM-FORMULA",
    "m3": "nft delete table inet swarm_formula",
}


def _apt(cluster, *words):
    cluster.lab.exec("m3", "apt-get", "-y", "-qq", "--no-install-recommends", *words, timeout=300)


@pytest.fixture(scope="module")
def guarded(cluster):
    """The swarm with its firewall on; afterwards without."""
    cluster.heal()
    _apt(cluster, "install", "nftables")
    cluster.pillar(firewall={"enabled": True})
    assert "m1: firewall rules are applied" in cluster.apply()
    yield cluster
    cluster.restore()
    cluster.apply()
    _apt(cluster, "purge", "nftables")


def _ports(cluster):
    """Return the ports of the engine, the manager and Consul, which every host of the lab has."""
    settings = cluster.lab.salt("m1", "swarm_settings.get")["m1"]
    return settings["engine"]["port"], settings["manager"]["port"], 8300, 8301


def _reached(cluster, source, host, ports):
    """Return those of the ports of a host that a TCP connection from another one opens."""
    address = cluster.lab.address(host)
    script = 'for port do timeout 2 bash -c "</dev/tcp/$0/$port" && echo $port; done 2>/dev/null'
    argv = ("bash", "-c", script, address, *map(str, ports))
    return {int(one) for one in cluster.lab.exec(source, *argv, check=False).stdout.split()}


def _rules(cluster):
    return {
        host: len(found) for host, found in cluster.lab.salt("*", "swarm_firewall.status").items()
    }


def test_members_and_clients_get_in_and_nobody_else(guarded):
    ports = _ports(guarded)
    for host in guarded.lab.hosts():
        assert _reached(guarded, STRANGER, host, ports) == set()
        other = "m2" if host == "m1" else "m1"
        assert _reached(guarded, other, host, ports) == set(ports)
        assert _reached(guarded, host, host, ports) == set(ports)
    assert set(guarded.lab.salt("*", "test.ping")) == set(guarded.lab.hosts())
    clients = [guarded.lab.address(STRANGER)]
    guarded.pillar(firewall={"enabled": True, "clients": clients})
    assert failures(guarded.state("swarm.firewall")) == {}
    for host in ("m1", "m3"):
        assert _reached(guarded, STRANGER, host, ports) == {ports[1]}


def test_what_is_taken_out_of_the_kernel_comes_back_and_nothing_else_changes(guarded):
    assert guarded.apply() == {}
    before = guarded.lab.salt("*", "swarm_firewall.status")
    for host, command in FLUSH.items():
        guarded.lab.exec(host, "sh", "-c", command)
    assert _reached(guarded, STRANGER, "m3", _ports(guarded)) == set(_ports(guarded))
    promised = guarded.apply(test=True)
    assert set(promised) == {f"{host}: firewall rules are applied" for host in FLUSH}
    assert guarded.apply() == promised
    assert guarded.lab.salt("*", "swarm_firewall.status") == before
    for host in FLUSH:
        guarded.lab.exec(host, "systemctl", "is-enabled", "swarm-firewall")


def test_off_again_and_clean_take_it_away(guarded):
    assert _rules(guarded) == {"m1": 2, "m2": 2, "m3": 1}
    done = guarded.state("swarm.clean", target="m3")
    assert failures(done) == {}
    assert "m3: firewall rules are removed" in changed(done)
    guarded.pillar(firewall={"enabled": False})
    assert failures(guarded.state("swarm.firewall")) == {}
    assert set(_rules(guarded).values()) == {0}
    assert _reached(guarded, STRANGER, "m1", _ports(guarded)) == set(_ports(guarded))
    for host in guarded.lab.hosts():
        left = "find /etc -name '*firewall*' -path '*swarm*'"
        assert guarded.lab.exec(host, "sh", "-c", left).stdout == ""
