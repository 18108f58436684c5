"""The store's word on where containers are, against what the kernel has."""

import ipaddress

import pytest

from swarm_formula.overlay import routes
from swarm_formula.overlay.routes import Device, Route

NET = "5d3c131e2c8de5fb216b115302f77cdc5336ced22d8e252b437a92e8abf3f3ab"
POOLS = [(ipaddress.ip_network("10.20.0.0/24"), 256)]
TWO = [*POOLS, (ipaddress.ip_network("10.21.0.0/24"), 257)]
MAC = "02:42:0a:14:00:03"
ROUTE = Route("10.20.0.3", MAC, "10.84.0.12", 256)


def end(addr="10.20.0.3/24", mac=MAC, locator="10.84.0.12"):
    return {"name": "w", "locator": locator, "ep_iface": {"addr": addr, "mac": mac}}


def device(near=None, far=None, name="vxlan0", vni=256):
    near = {"10.20.0.3": MAC} if near is None else near
    far = {MAC: {"10.84.0.12"}} if far is None else far
    return Device(name, vni, near, far)


def test_endpoints_and_subnets_of_the_store_by_network():
    root = "docker/network/v1.0"
    store = {f"{root}/endpoint/{NET}/": None, f"{root}/endpoint/{NET}/e1/": end()}
    assert routes.endpoints(store) == {NET: {"e1": end()}}
    subnet = {"SubnetIP": "10.20.0.0/24", "GwIP": "10.20.0.1/24", "Vni": 256}
    store = {f"{root}/overlay/network/{NET}/": {"secure": False, "subnets": [subnet]}}
    assert routes.subnets(store) == {NET: POOLS}


@pytest.mark.parametrize(
    ("network", "wanted"),
    [
        pytest.param({"a": end()}, [ROUTE], id="on another host"),
        pytest.param({"a": end(locator="10.84.0.11")}, [], id="on this host"),
        pytest.param({"a": end(mac=MAC.upper())}, [ROUTE], id="one form"),
        pytest.param({"a": end(), "b": end(locator="10.84.0.13")}, [], id="two of one address"),
        pytest.param(
            {"a": end(), "b": end(locator="10.84.0.11")}, [], id="two of one address, one here"
        ),
        pytest.param({"a": end(locator="")}, [], id="no host"),
        pytest.param({"a": end(locator="10.84.0.12 dev eth0")}, [], id="no address"),
        pytest.param({"a": end(mac="x\nneigh flush")}, [], id="no MAC address"),
        pytest.param({"a": end(addr=None)}, [], id="no IP address"),
        pytest.param({"a": {"name": "w", "locator": "10.84.0.12"}}, [], id="no interface"),
        pytest.param(
            {"a": end(addr="10.22.0.3/24")},
            [ROUTE._replace(address="10.22.0.3", vni=None)],
            id="of no known subnet",
        ),
    ],
)
def test_routes_lead_to_endpoints_on_other_hosts(network, wanted):
    assert routes.routes(network, POOLS, "10.84.0.11") == wanted


def test_route_of_a_second_subnet_is_that_of_its_device():
    found = routes.routes({"a": end(addr="10.21.0.3/24")}, TWO, "10.84.0.11")
    assert [one.vni for one in found] == [257]
    both = [device(near={}, far={}), device(near={}, far={}, name="vxlan1", vni=257)]
    assert routes.lacking(found, both) == [("vxlan1", found[0])]


@pytest.mark.parametrize(
    ("present", "sound"),
    [
        pytest.param(device(), True, id="sound"),
        pytest.param(device(near={}, far={}), False, id="nothing: after a reboot"),
        pytest.param(device(near={}), False, id="no neighbor"),
        pytest.param(device(far={}), False, id="no host"),
        pytest.param(device(near={"10.20.0.3": "02:42:0a:14:00:09"}), False, id="another MAC"),
        pytest.param(device(far={MAC: {"10.84.0.13"}}), False, id="it has moved since"),
        pytest.param(device(far={MAC: {None}}), False, id="the engine's answer was <nil>"),
    ],
)
def test_what_the_kernel_lacks_or_has_otherwise(present, sound):
    wanted = [] if sound else [("vxlan0", ROUTE)]
    assert routes.lacking([ROUTE], [present]) == wanted


def test_unknown_subnet_is_served_by_the_only_device_and_guessed_for_none_of_two():
    route = ROUTE._replace(vni=None)
    bare = device(near={}, far={})
    assert routes.lacking([route], [bare]) == [("vxlan0", route)]
    assert routes.lacking([route], [bare, bare._replace(name="vxlan1", vni=257)]) == []


def test_extra_entries_are_nobodys_business():
    more = device(
        near={"10.20.0.3": MAC, "10.20.0.9": "02:42:0a:14:00:09"},
        far={MAC: {"10.84.0.12"}, "02:42:0a:14:00:09": {"10.84.0.13"}},
    )
    assert routes.lacking([ROUTE], [more]) == []


def test_devices_of_what_ip_and_bridge_print():
    """Of iproute2 6.1 in a namespace of 20.10.5; what the kernel has learned does not count."""
    links = [
        {},
        {"ifname": "vxlan0", "linkinfo": {"info_kind": "vxlan", "info_data": {"id": 256}}},
        {"ifname": "br0", "linkinfo": {"info_kind": "bridge", "info_data": {}}},
    ]
    near = [
        {"dst": "10.20.0.3", "dev": "vxlan0", "lladdr": MAC, "state": ["PERMANENT"]},
        {"dst": "10.20.0.4", "dev": "vxlan0", "state": ["INCOMPLETE"]},
        {"dst": "10.20.0.5", "dev": "br0", "lladdr": MAC, "state": ["PERMANENT"]},
    ]
    own = {"mac": MAC, "ifname": "vxlan0", "flags": ["self"], "state": "permanent"}
    far = [
        {"mac": MAC, "ifname": "vxlan0", "flags": [], "master": "br0", "state": ""},
        {**own, "dst": "10.84.0.12", "linkNetNsId": 0},
        {**own, "mac": "02:42:0a:14:00:04", "dst": "10.84.0.13", "state": ""},
        {**own, "ifname": "br0", "mac": "33:33:00:00:00:01"},
    ]
    found = routes.devices(links, near, far)
    assert found == [Device("vxlan0", 256, {"10.20.0.3": MAC}, {MAC: {"10.84.0.12"}})]


def container(error, status="exited", policy="always"):
    ends = {"backend": {"NetworkID": NET}}
    return {
        "State": {"Error": error, "Status": status},
        "HostConfig": {"RestartPolicy": {"Name": policy}},
        "NetworkSettings": {"Networks": ends},
    }


@pytest.mark.parametrize(
    ("given", "due"),
    [
        pytest.param(container(f"network {NET} not found"), True, id="seen after a power cut"),
        pytest.param(container("network backend not found"), True, id="by name"),
        pytest.param(container("Unexpected response code: 500"), True, id="no leader"),
        pytest.param(container(""), False, id="somebody has stopped it"),
        pytest.param(container("port is already allocated"), False, id="another reason"),
        pytest.param(container(f"network {NET} not found", policy="no"), False, id="no policy"),
        pytest.param(container(f"network {NET} not found", policy=""), False, id="empty policy"),
        pytest.param(container(f"network {NET} not found", "running"), False, id="runs"),
        pytest.param(container(f"network {NET} not found", "created"), False, id="never ran"),
    ],
)
def test_only_what_the_engine_was_to_start_is_started(given, due):
    assert routes.late(given) is due
