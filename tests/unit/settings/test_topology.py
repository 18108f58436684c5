"""
Who is who, and at which address.
"""

import socket

import pytest

from swarm_formula.core import addresses as core_addresses
from swarm_formula.settings import parse
from tests.unit.pillars import BUILTIN, HOSTS, M1, VALID, node, resolved, settings_of

INTERFACES = {
    "lo": ["127.0.0.1", "::1"],
    "eth0": ["10.77.0.11", "10.77.0.111", "fe80::1"],
    "eth1": ["192.168.5.7", "fd00::7"],
    "eth2": ["fe80::2%eth2"],
    "docker0": ["172.17.0.1"],
}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("10.77.0.11", "10.77.0.11"),
        ("10.77.0.111", "10.77.0.111"),
        ("10.77.0.12", None),
        ({"interface": "eth0"}, "10.77.0.11"),
        ({"interface": "eth1"}, "192.168.5.7"),
        ({"interface": "eth2"}, None),
        ({"interface": "lo"}, None),
        ({"interface": "eth9"}, None),
        ({"cidr": "192.168.0.0/16"}, "192.168.5.7"),
        ({"cidr": "fd00::/8"}, "fd00::7"),
        ({"cidr": "10.77.0.64/26"}, "10.77.0.111"),
        ({"cidr": "203.0.113.0/24"}, None),
    ],
    ids=str,
)
def test_address_that_pillar_means(wanted, found):
    assert core_addresses.pick(wanted, INTERFACES) == found


@pytest.mark.parametrize(
    ("address", "usable"),
    [
        ("10.0.0.1", True),
        ("fd00::1", True),
        ("127.0.0.1", False),
        ("127.0.1.1", False),
        ("::1", False),
        ("169.254.1.1", False),
        ("fe80::1%eth0", False),
        ("0.0.0.0", False),
        ("", False),
        (None, False),
    ],
)
def test_address_that_others_can_reach(address, usable):
    assert core_addresses.usable(address) is usable


@pytest.mark.parametrize(
    ("address", "endpoint"), [("10.0.0.1", "10.0.0.1:2275"), ("fd00::1", "[fd00::1]:2275")]
)
def test_endpoint(address, endpoint):
    assert core_addresses.endpoint(address, 2275) == endpoint
    assert core_addresses.host(endpoint) == address


def test_way_to_this_host_itself_starts_here():
    assert core_addresses.towards("127.0.0.1") == "127.0.0.1"


def test_own_address_is_told_from_others():
    assert core_addresses.is_own("127.0.0.1")
    # Nobody's: it stands in documents.
    assert not core_addresses.is_own("203.0.113.7")
    assert not core_addresses.is_own("nonsense")


@pytest.mark.parametrize("target", ["not an address", "300.0.0.1"])
def test_no_way_is_none(target):
    assert core_addresses.towards(target) is None


def entries(*addresses):
    """Return what ``getaddrinfo`` gives for these."""
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in addresses]


@pytest.mark.parametrize(
    ("addresses", "found"),
    [
        (["10.77.0.12"], "10.77.0.12"),
        # Debian's installer gives a host's own name this address in /etc/hosts
        (["127.0.1.1", "10.77.0.12"], "10.77.0.12"),
        (["127.0.1.1"], None),
        (["fe80::1%eth0", "fd00::7"], "fd00::7"),
    ],
    ids=str,
)
def test_name_has_the_first_address_that_others_can_reach(monkeypatch, addresses, found):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries(*addresses))
    assert core_addresses.resolve("m2") == found


@pytest.mark.parametrize("error", [socket.gaierror(-2, "unknown"), UnicodeError("label too long")])
def test_name_that_cannot_be_resolved_is_none(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert core_addresses.resolve("m2") is None


# ---- a node's own address


@pytest.mark.parametrize(
    ("pillar", "minion", "address"),
    [
        ({}, M1, "10.77.0.11"),
        ({"address": {"interface": "eth0"}}, M1, "10.77.0.11"),
        ({"managers": {"m1": "203.0.113.1", "m2": None}}, M1, "203.0.113.1"),
        # the way to the managers decides, not the default route
        (
            {"managers": ["m2"]},
            M1._replace(towards={"10.77.0.12": "10.77.0.11", "198.51.100.1": "192.0.2.1"}.get),
            "10.77.0.11",
        ),
        (
            {"managers": {"m2": "fd00::2"}, "overlay": False},
            M1._replace(towards={"fd00::2": "fd00::1"}.get),
            "fd00::1",
        ),
        # no manager can be reached: the default route
        ({"managers": ["m1"]}, M1._replace(towards={"198.51.100.1": "192.0.2.1"}.get), "192.0.2.1"),
        # no default route either
        ({"managers": ["m1"]}, M1._replace(towards=lambda _: None), "10.77.0.11"),
        ({"managers": ["m1"]}, M1._replace(towards=lambda _: "127.0.0.1"), "10.77.0.11"),
        # nor one of the engine's bridges, which may come first
        (
            {"managers": ["m1"]},
            M1._replace(
                towards=lambda _: None,
                interfaces={
                    "docker0": ["172.17.0.1"],
                    "docker_gwbridge": ["172.18.0.1"],
                    "br-0123456789ab": ["172.19.0.1"],
                    "br-lan": ["10.77.0.11"],
                },
            ),
            "10.77.0.11",
        ),
        ({}, M1._replace(local=True, interfaces={}, towards=lambda _: None), "127.0.0.1"),
    ],
    ids=[
        "by way of the managers",
        "by interface",
        "by managers",
        "several routes",
        "by IPv6",
        "by default route",
        "by any interface",
        "never loopback",
        "never a bridge of Docker",
        "masterless without network",
    ],
)
def test_own_address(pillar, minion, address):
    settings, faults = resolved({**({} if minion.local else VALID), **pillar}, minion)
    assert parse.texts(faults) == []
    assert settings["address"] == address


# ---- hosts with IPv6 only


def by_ipv6(host, **more):
    """Return a minion that has no IPv4 address but that of the loopback device."""
    own = f"fd00::{HOSTS[host].rpartition('.')[2]}"
    names = {one: f"fd00::{HOSTS[one].rpartition('.')[2]}" for one in HOSTS}
    ways = {**dict.fromkeys(names.values(), own), "2001:db8::1": own}
    interfaces = {"lo": ["127.0.0.1", "::1"], "eth0": ["fd00::99", own, "fe80::1"]}
    return node(host)._replace(interfaces=interfaces, resolve=names.get, towards=ways.get, **more)


@pytest.mark.parametrize(
    "pillar", [BUILTIN, {**VALID, "overlay": False}], ids=["builtin", "classic"]
)
@pytest.mark.parametrize("host", ["m1", "m4"])
def test_hosts_with_ipv6_only_find_each_other(pillar, host):
    settings = settings_of(pillar, by_ipv6(host))
    assert settings["address"] == f"fd00::{host[1:].rjust(2, '1')}"
    assert list(settings["managers"].values()) == ["fd00::11", "fd00::12", "fd00::13"]


def test_address_by_the_default_route_of_ipv6():
    """No manager has a name that resolves, and the host has several addresses."""
    minion = by_ipv6("m1", local=True)
    assert settings_of({"managers": ["m1"]}, minion)["address"] == "fd00::11"


def test_address_is_taken_in_whatever_form():
    """The kernel and Docker show one form only."""
    pillar = {"managers": {"m1": "FD00:0:0::11", "m2": "fd00:0::12"}, "address": "FD00::0:11"}
    settings = settings_of({**BUILTIN, **pillar}, by_ipv6("m1"))
    assert settings["address"] == "fd00::11"
    assert settings["managers"] == {"m1": "fd00::11", "m2": "fd00::12"}
    settings = settings_of({**BUILTIN, "managers": {"m1": "FD00::11"}}, by_ipv6("m1"))
    assert settings["address"] == "fd00::11"


def test_overlay_networks_of_a_store_are_refused_with_ipv6():
    _, faults = resolved(VALID, by_ipv6("m1"))
    (text,) = parse.texts(faults)
    assert text.startswith("swarm:overlay: found True; right would be false: this node's address")


def test_host_that_nobody_can_reach_is_told():
    lonely = M1._replace(interfaces={"lo": ["127.0.0.1"]}, towards=lambda _: None)
    _, faults = resolved({"managers": ["m1", "m2", "m3"]}, lonely)
    assert (
        "swarm:address: found None; right would be an address: this host has none"
        in (parse.texts(faults)[0])
    )


def test_wrong_address_is_answered_with_those_there_are():
    _, faults = resolved({**VALID, "address": {"interface": "eth9"}})
    assert parse.texts(faults) == [
        "swarm:address: found {'interface': 'eth9'}; right would be something m1 has"
        " (lo 127.0.0.1, ::1; eth0 10.77.0.11, fe80::1)"
    ]


# ---- roles


@pytest.mark.parametrize(
    ("pillar", "minion", "manager", "server"),
    [
        ({}, "m1", True, True),
        ({}, "m4", False, False),
        ({"consul": {"servers": ["m4"]}}, "m1", True, False),
        ({"consul": {"servers": ["m4"]}}, "m4", False, True),
        ({"store": "etcd://10.0.0.1:2379"}, "m1", True, False),
    ],
    ids=str,
)
def test_roles(pillar, minion, manager, server):
    settings = settings_of({**VALID, **pillar}, node(minion))
    assert (settings["is_manager"], settings["is_server"]) == (manager, server)


def test_servers_are_the_managers_unless_told_otherwise():
    managers = {host: HOSTS[host] for host in VALID["managers"]}
    assert settings_of(VALID)["managers"] == managers
    assert settings_of(VALID)["servers"] == managers
    settings = settings_of({**VALID, "consul": {"servers": ["m4"]}})
    assert settings["servers"] == {"m4": HOSTS["m4"]}


def test_address_given_among_the_managers_holds_for_the_servers_too():
    pillar = {"managers": {"m1": None, "m9": "192.0.2.9"}, "consul": {"servers": ["m9"]}}
    assert settings_of({**VALID, **pillar})["servers"] == {"m9": "192.0.2.9"}


@pytest.mark.parametrize(
    ("pillar", "managed", "url"),
    [
        ({}, True, "consul://127.0.0.1:8500"),
        (
            {"consul": {"http_port": 8600, "options": {"ports": {"dns": -1}}}},
            True,
            "consul://127.0.0.1:8600",
        ),
        ({"store": "zk://z:2181/swarm", "overlay": False}, False, "zk://z:2181/swarm"),
    ],
    ids=str,
)
def test_discovery(pillar, managed, url):
    settings = settings_of({**VALID, **pillar})
    assert (settings["managed_store"], settings["discovery"]) == (managed, url)


def test_mistyped_manager_is_answered_with_a_close_name():
    _, faults = resolved({"managers": ["web-01", "wbe-01"]}, M1._replace(id="web-01"))
    assert parse.texts(faults) == [
        "swarm:managers:wbe-01: found 'wbe-01'; right would be a minion whose name web-01 can"
        " resolve, or {wbe-01: its address}. Did you mean 'web-01'?"
    ]


@pytest.mark.parametrize(
    ("mode", "labels"),
    [("classic", {"zone": "a", "ssd": "yes"}), ("builtin", {"ssd": "yes"})],
)
def test_labels_of_nodes_are_the_engines_in_classic_mode_only(mode, labels):
    """In builtin mode they are the node's, which only managers can set."""
    pillar = {"nodes": {"m4": {"labels": {"zone": "a", "disk": None}}}, "labels": {"ssd": "yes"}}
    base = BUILTIN if mode == "builtin" else VALID
    assert settings_of({**base, **pillar}, node("m4"))["labels"] == labels
