"""
Which way the containers of an overlay network reach each other: the store's word against the
kernel's. Pure.

Standard library only, as ``swarm-overlay.service`` runs it outside Salt.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
# What the engine says of a start that the store has let fail, beside the network's name or ID.
_STORE = re.compile(r"store|cluster leader|connection refused|response code", re.IGNORECASE)


# A subnet of a network, and its VNI.
Pool = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, int]


class Route(NamedTuple):
    """How the containers of this host reach an endpoint on another one."""

    address: str
    mac: str
    host: str
    vni: int | None  # None: the network has one subnet


class Device(NamedTuple):
    """A VXLAN device in the namespace of a network, and the kernel's entries for it."""

    name: str
    vni: int
    neighbors: dict[str, str | None]  # {address: MAC address}
    forwards: dict[str, set[str | None]]  # {MAC address: {host}}


def endpoints(store: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return ``{network ID: {endpoint ID: endpoint}}`` of what the store has under ENDPOINTS."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for key, value in store.items():
        network, _, endpoint = key.strip("/").rpartition("/")
        if network and isinstance(value, dict):
            found.setdefault(network.rpartition("/")[2], {})[endpoint] = value
    return found


def subnets(store: Mapping[str, Any]) -> dict[str, list[Pool]]:
    """Return ``{network ID: [(subnet, VNI)]}`` of what the store has under NETWORKS."""
    found = {}
    for key, value in store.items():
        if isinstance(value, dict):
            pools = value.get("subnets") or []
            found[key.strip("/").rpartition("/")[2]] = [
                (ipaddress.ip_network(one["SubnetIP"], strict=False), one["Vni"]) for one in pools
            ]
    return found


def _route(endpoint: Mapping[str, Any], pools: Iterable[Pool]) -> Route | None:
    interface = endpoint.get("ep_iface") or {}
    mac = (interface.get("mac") or "").lower()
    try:
        address = ipaddress.ip_interface(interface.get("addr") or "").ip
        host = ipaddress.ip_address(endpoint.get("locator") or "")
    except ValueError:
        return None
    if not _MAC.fullmatch(mac):
        return None
    vnis = [vni for subnet, vni in pools if address in subnet]
    return Route(str(address), mac, str(host), vnis[0] if len(vnis) == 1 else None)


def routes(network: Mapping[str, Mapping[str, Any]], pools: list[Pool], own: str) -> list[Route]:
    """Return the routes to the endpoints of a network that are on other hosts than ``own``."""
    found = [one for one in (_route(each, pools) for each in network.values()) if one]
    addresses = [one.address for one in found]
    # Two endpoints of one address: one is a left-over, and nobody can tell which.
    return sorted(one for one in found if one.host != own and addresses.count(one.address) == 1)


def lacking(wanted: Iterable[Route], devices: list[Device]) -> list[tuple[str, Route]]:
    """Return ``(device, route)`` of all that the kernel lacks, or has otherwise."""
    found = []
    for route in wanted:
        for device in devices:
            if route.vni != device.vni and (route.vni is not None or len(devices) > 1):
                continue
            known = device.neighbors.get(route.address) == route.mac
            if not known or device.forwards.get(route.mac) != {route.host}:
                found.append((device.name, route))
    return found


def devices(
    links: list[dict[str, Any]], neighbors: list[dict[str, Any]], forwards: list[dict[str, Any]]
) -> list[Device]:
    """Return the VXLAN devices, out of what ``ip`` and ``bridge`` print as JSON."""
    found = []
    for link in links:
        details = link.get("linkinfo") or {}
        if details.get("info_kind") == "vxlan":
            name, vni = link["ifname"], details["info_data"]["id"]
            near = {
                one["dst"]: one.get("lladdr")
                for one in neighbors
                if one.get("dev") == name and "PERMANENT" in one.get("state", [])
            }
            far: dict[str, set[str | None]] = {}
            for one in forwards:
                if one.get("ifname") == name and _is_ours(one):
                    far.setdefault(one["mac"], set()).add(one.get("dst"))
            found.append(Device(name, vni, near, far))
    return found


def _is_ours(forward: Mapping[str, Any]) -> bool:
    # Without "permanent" the kernel has learned it by itself, and will forget it again.
    return "self" in forward.get("flags", []) and forward.get("state") == "permanent"


def networks_of(container: Mapping[str, Any]) -> set[str]:
    """Return the names and IDs of a container's networks; it may never have had their IDs."""
    ends = container["NetworkSettings"]["Networks"] or {}
    return {*ends, *(one.get("NetworkID") for one in ends.values())} - {None, ""}


def late(container: Mapping[str, Any]) -> bool:
    """
    Say whether the engine was to start an inspected container, and the store has let that fail.

    The engine keeps the error of a start until the next one; a container that somebody has stopped
    has none.
    """
    state, policy = container["State"], container["HostConfig"].get("RestartPolicy") or {}
    if state["Status"] != "exited" or policy.get("Name") in {None, "", "no"}:
        return False
    error = state["Error"]
    return any(one in error for one in networks_of(container)) or bool(_STORE.search(error))
