"""
Derive the firewall rules for the swarm's own ports on this host from the settings, and find faults
in the pillar that would lock hosts out. Pure.

``firewall.netfilter`` translates the rules for nftables and iptables.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator

from swarm_formula.core import modes, own_registry, port_options
from swarm_formula.core.faults import Fault
from swarm_formula.core.settings_types import AnySettings, Draft, Settings
from swarm_formula.firewall.netfilter import Network, Rules

_BOTH = ("tcp", "udp")
# Ports that this firewall must not close, whatever the pillar defines.
_SPARED = {22: "ssh", 4505: "Salt's master", 4506: "Salt's master"}


def _networks(given: Iterable[str | None]) -> list[Network]:
    found = {ipaddress.ip_network(one.split("%")[0]) for one in given if one}
    return sorted(found, key=lambda one: (one.version, one))


def _groups(settings: Settings | Draft) -> dict[str, list[Network]]:
    firewall = settings["firewall"]
    managers = list(settings["managers"].values())
    members = [*managers, *settings["servers"].values(), *firewall["members"]]
    # In builtin mode, a manager's engine is the swarm's API; nodes do not use each other's.
    users = managers if modes.of(settings).engine_api else members
    return {
        "managers": _networks(managers),
        "members": _networks(members),
        "clients": _networks([*users, *firewall["clients"]]),
    }


def _managers_ports(settings: AnySettings) -> set[int]:
    """Return the ports of this host's manager; the ``host`` option of a container may add some."""
    mode = modes.of(settings)
    given = (settings["manager"]["options"]["host"] if mode.standalone else None) or []
    hosts = [given] if isinstance(given, str) else given
    named = [re.search(r":([0-9]+)/?$", one) for one in hosts]
    return {settings[mode.port_section]["port"], *(int(one[1]) for one in named if one)}


def _ports(settings: AnySettings) -> Iterator[tuple[str, int, str]]:
    """Yield the ports of this host, each with its protocol and the group that may reach it."""
    mode = modes.of(settings)
    if port := settings["engine"]["port"]:
        serves = mode.engine_api and settings["is_manager"]
        yield "tcp", port, "clients" if serves else "managers"
    if settings["is_manager"]:
        for port in sorted(_managers_ports(settings)):
            yield "tcp", port, "members" if mode.engine_api else "clients"
    if settings["managed_store"]:
        yield from _consul(settings)
    if settings["overlay"] or mode.cluster_overlay:
        yield from _overlay(settings["builtin"]["data_path_port"] if mode.data_path else None)


def _consul(settings: AnySettings) -> Iterator[tuple[str, int, str]]:
    ports = port_options.consul(settings)
    # Consul clients listen only for the gossip of their own datacenter.
    for name in ("server", "serf_lan", "serf_wan") if settings["is_server"] else ("serf_lan",):
        for protocol in ("tcp",) if name == "server" else _BOTH:
            if name in ports:
                yield protocol, ports[name], "members"


def _overlay(vxlan: int | None) -> Iterator[tuple[str, int, str]]:
    for protocol in _BOTH:
        yield protocol, port_options.GOSSIP, "members"
    yield "udp", vxlan or port_options.VXLAN, "members"


def rules(settings: Settings | Draft) -> Rules:
    """Return the rules for the ports of this node's roles: which hosts may reach which port."""
    ports = list(_ports(settings))
    if own_registry.is_here(settings):
        ports.append(("tcp", settings["registry"]["port"], "members"))
    return Rules(_groups(settings), ports)


# ---- faults in the pillar


def faults(settings: Settings | Draft) -> Iterator[Fault]:
    """Yield settings that would lock out hosts that need access."""
    if not settings["firewall"]["enabled"]:
        return
    found = rules(settings)
    for port in sorted({one for _, one, _ in found.ports} & set(_SPARED)):
        want = f"false, or another port for the swarm than {port}: that is where {_SPARED[port]} is"
        yield Fault("swarm:firewall:enabled", True, want)
    own, given = settings["address"], settings["firewall"]["members"]
    here = ipaddress.ip_address(own.split("%")[0]) if own else None
    if here and not any(here in one for one in found.groups["members"]):
        want = (
            f"with a network that {own}, {settings['id']}, is in: it is neither a manager nor a"
            " Consul server of pillar, and the others would not let it in"
        )
        yield Fault("swarm:firewall:members", given, want)


def warnings(settings: Settings | Draft) -> list[str]:
    """Return warnings of settings that may lock out hosts."""
    if not settings["firewall"]["enabled"]:
        return []
    return _unlisted_clients(settings) + _unlisted_members(settings)


def _unlisted_clients(settings: Settings | Draft) -> list[str]:
    others = [one for one in settings["client"]["nodes"] if one not in settings["managers"]]
    if not modes.of(settings).engine_api or not others or settings["firewall"]["clients"]:
        return []
    return [
        "swarm:firewall:clients: [] lets in only managers to the engines of managers, and"
        f" swarm:client:nodes names {', '.join(others)} as well: write their addresses there"
    ]


def _unlisted_members(settings: Settings | Draft) -> list[str]:
    if settings["firewall"]["members"]:
        return []
    known = {*settings["managers"], *settings["servers"]}
    others = [one for one in settings["nodes"] if one not in known]
    only = "swarm:firewall:members: [] lets in only the managers and Consul servers of pillar"
    found = []
    if others:
        found.append(
            f"{only}, and swarm:nodes names {', '.join(others)} as well: write the networks of all"
            " nodes there"
        )
    if modes.of(settings).data_path and settings["data_path"]:
        found.append(
            f"{only}, at the addresses there: write the networks of"
            " swarm:builtin:data_path_address there as well"
        )
    return found
