"""
Check addresses, ports and subnets against each other. Pure.
"""

import ipaddress
from collections.abc import Iterator

from swarm_formula.core import addresses as core_addresses
from swarm_formula.core import modes, own_registry, port_options
from swarm_formula.core.faults import Fault
from swarm_formula.core.settings_types import Draft, Network


def listeners(settings: Draft) -> list[tuple[str, int]]:
    """Return ``(pillar path, port)`` of all listeners on a node in this mode."""
    found = [("swarm:engine:port", settings["engine"]["port"])]
    mode = modes.of(settings)
    found.append((f"swarm:{mode.port_section}:port", settings[mode.port_section]["port"]))
    if settings["overlay"] or mode.cluster_overlay:
        found.append(("swarm:overlay (Docker's gossip)", port_options.GOSSIP))
    if settings["managed_store"]:
        found.append(("swarm:consul:http_port", settings["consul"]["http_port"]))
        ports = port_options.consul(settings)
        found += [(f"swarm:consul:options:ports:{name}", port) for name, port in ports.items()]
    if own_registry.is_here(settings):
        found.append(("swarm:registry:port", settings["registry"]["port"]))
    return [(path, port) for path, port in found if port]


def ports(settings: Draft) -> Iterator[Fault]:
    """Refuse two listeners on one port."""
    seen: dict[int, str] = {}
    for path, port in listeners(settings):
        if port in seen:
            yield Fault(path, port, f"another port: {seen[port]} has this one")
        seen.setdefault(port, path)


def addresses(settings: Draft) -> Iterator[Fault]:
    """Refuse an address of two hosts."""
    managers = settings["managers"]
    others = {key: one for key, one in settings["servers"].items() if key not in managers}
    seen: dict[str, str] = {}
    for section, hosts in (("managers", managers), ("consul:servers", others)):
        for host, address in hosts.items():
            other = seen.setdefault(address, host) if address else host
            if other != host:
                yield Fault(f"swarm:{section}:{host}", address, f"another address: {other} has it")
    listed = settings["managers"].get(settings["id"])
    if listed and settings["address"] and listed != settings["address"]:
        want = f"{listed}, which swarm:managers gives this node, or no address there"
        yield Fault("swarm:address", settings["address"], want)


def advertised(settings: Draft) -> Iterator[Fault]:
    """Refuse the address of another host, which would then stand for both of them."""
    known = {**settings["servers"], **settings["managers"]}
    others = {address: name for name, address in known.items() if name != settings["id"]}
    advertised = {"agent": settings["agent"]["options"]["advertise"]}
    if settings["is_manager"]:
        advertised["manager"] = settings["manager"]["options"]["advertise"]
    for role, given in advertised.items() if modes.of(settings).standalone else ():
        host = core_addresses.host(given or "")
        if host in others and host != settings["address"]:
            want = f"not the address of {others[host]}: each host has its own; unset, it is chosen"
            yield Fault(f"swarm:{role}:options:advertise", given, want)


def subnets(settings: Draft) -> Iterator[Fault]:
    """Refuse subnets that overlap, and networks that do not fit their subnet."""
    seen: dict[str, ipaddress.IPv4Network | ipaddress.IPv6Network] = {}
    for name, network in settings["networks"].items():
        path = f"swarm:networks:{name}"
        yield from _subnet(path, network, settings["address"])
        if network["subnet"]:
            subnet = ipaddress.ip_network(network["subnet"])
            for other, taken in seen.items():
                if taken.overlaps(subnet):
                    want = f"one apart from {other}'s, {taken}"
                    yield Fault(f"{path}:subnet", str(subnet), want)
            seen[name] = subnet


def _subnet(path: str, network: Network, own: str | None) -> Iterator[Fault]:
    if not network["subnet"]:
        for key, value in (("gateway", network["gateway"]), ("ip_range", network["ip_range"])):
            if value:
                yield Fault(f"{path}:{key}", value, "a subnet as well")
        return
    subnet = ipaddress.ip_network(network["subnet"])
    if network["gateway"] and ipaddress.ip_address(network["gateway"]) not in subnet:
        yield Fault(f"{path}:gateway", network["gateway"], f"an address in {subnet}")
    part = ipaddress.ip_network(network["ip_range"] or subnet)
    if part.network_address not in subnet or part.prefixlen < subnet.prefixlen:
        yield Fault(f"{path}:ip_range", network["ip_range"], f"a part of {subnet}")
    if own and ipaddress.ip_address(own) in subnet:
        yield Fault(f"{path}:subnet", str(subnet), f"one without {own}, this node")


def overlay(settings: Draft) -> Iterator[Fault]:
    """Refuse overlay networks that the engine cannot have."""
    own = settings["address"] or ""
    if settings["overlay"] and ":" in own:
        want = (
            f"false: this node's address is {own}, and engines with cluster-store connect overlay"
            " networks by IPv4 only; or an IPv4 address in swarm:address"
        )
        yield Fault("swarm:overlay", True, want)
    if settings["overlay"] or modes.of(settings).cluster_overlay:
        return
    for name, network in settings["networks"].items():
        if network["driver"] == "overlay":
            want = "another driver, or swarm:overlay: true"
            yield Fault(f"swarm:networks:{name}:driver", "overlay", want)
