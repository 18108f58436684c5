"""
A valid pillar, the minion ``m1`` to read it on, and what the checker says of a pillar there.
"""

from swarm_formula.settings import parse, relations, topology
from swarm_formula.tls import cert_files

FILES = cert_files.Files(
    *(f"/tls/1/{one}" for one in ("ca.pem", "cert.pem", "key.pem", "gossip", "clients.pem")),
    *(f"/tls/1/consul/{one}.pem" for one in ("ca", "cert", "key")),
)

HOSTS = {"m1": "10.77.0.11", "m2": "10.77.0.12", "m3": "10.77.0.13", "m4": "10.77.0.14"}

M1 = topology.Minion(
    id="m1",
    local=False,
    interfaces={"lo": ["127.0.0.1", "::1"], "eth0": ["10.77.0.11", "fe80::1"]},
    resolve=HOSTS.get,
    towards=lambda _: "10.77.0.11",
)


def node(host):
    """Return another minion of the same network."""
    address = HOSTS[host]
    interfaces = {"lo": ["127.0.0.1"], "eth0": [address]}
    return M1._replace(id=host, interfaces=interfaces, towards=lambda _: address)


def minion_at(host, address, **interfaces):
    """Return a minion with this address, and with more interfaces than that of it."""
    return M1._replace(
        id=host, interfaces={"eth0": [address], **interfaces}, towards=lambda _: address
    )


VALID = {
    "managers": ["m1", "m2", "m3"],
    "overlay": True,
    # Certificates have tests of their own.
    "tls": {"enabled": False},
    "consul": {"image": "consul:1.8.7", "image_source": "salt://images/consul.tar"},
    "manager": {"image": "swarm:1.2.9", "image_source": "salt://images/swarm.tar"},
}


BUILTIN = {"mode": "builtin", "managers": ["m1", "m2", "m3"], "nodes": {"m4": {}}, "timeout": 5}


def resolved(pillar, minion=M1):
    """Return the settings that a pillar means on a minion, and all its faults."""
    settings, faults = parse.read(pillar)
    settings, more = topology.resolve(settings, minion)
    return settings, faults + more + relations.faults(settings)


def settings_of(pillar, minion=M1):
    """Return the settings of a pillar that has to be right."""
    settings, faults = resolved(pillar, minion)
    assert parse.texts(faults) == []
    return settings
