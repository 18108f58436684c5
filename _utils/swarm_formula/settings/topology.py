"""
Resolve the addresses, roles and URLs of one node, from the pillar and the host's own data.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from swarm_formula.core import addresses as core_addresses
from swarm_formula.core import faults as core_faults
from swarm_formula.core import member_rules, modes
from swarm_formula.core.faults import Fault
from swarm_formula.core.settings_types import (
    Consul,
    Draft,
    Engine,
    Hosts,
    Labels,
    Manager,
    Pillar,
    Tls,
)

# Addresses that no host has (RFC 5737, RFC 3849): the host would use its default route to them.
_ELSEWHERE = ("198.51.100.1", "2001:db8::1")
# What an engine makes for containers of its host: no other host reaches an address there.
_BRIDGE = re.compile(r"docker0|docker_gwbridge|br-[0-9a-f]{12}")


class _Ports(NamedTuple):
    engine: int
    manager: int
    consul: int


# Docker's and Consul's own with TLS; without TLS, the ports from before the formula had TLS.
_SECURE, _PLAIN = _Ports(2376, 3376, 8501), _Ports(2275, 3375, 8500)


class Minion(NamedTuple):
    """Data of the minion for which the settings are resolved."""

    id: str
    local: bool  # masterless
    interfaces: dict[str, list[str]]
    resolve: Callable[[str], str | None] = core_addresses.resolve
    towards: Callable[[str], str | None] = core_addresses.towards


def _as_mapping(hosts: Hosts) -> dict[str, str | None]:
    given: dict[str, str | None] = hosts if isinstance(hosts, dict) else dict.fromkeys(hosts)
    return {host: core_addresses.form(one) if one else one for host, one in given.items()}


def _lookup(
    path: str, hosts: Mapping[str, str | None], known: Mapping[str, str | None], minion: Minion
) -> tuple[dict[str, str | None], list[Fault]]:
    """Return the address of each host: as given, from ``known``, or resolved from its name."""
    result: dict[str, str | None] = {}
    faults: list[Fault] = []
    for host, given in hosts.items():
        result[host] = given or known.get(host) or minion.resolve(host)
        if not result[host]:
            hint = core_faults.suggest(host, [one for one in known if one != host])
            want = f"a minion whose name {minion.id} can resolve, or {{{host}: its address}}{hint}"
            faults.append(Fault(f"{path}:{host}", host, want))
    return result, faults


def _given(
    pillar: Pillar, managers: Mapping[str, str | None], minion: Minion
) -> tuple[str | None, list[Fault]]:
    """Return this node's address from the pillar, ``None`` if the pillar does not set it."""
    wanted = pillar["address"]
    if wanted is None:
        return managers.get(minion.id), []
    found = core_addresses.pick(wanted, minion.interfaces)
    if found:
        return found, []
    have = "; ".join(f"{name} {', '.join(ips)}" for name, ips in minion.interfaces.items() if ips)
    want = f"something {minion.id} has ({have})"
    return None, [Fault("swarm:address", wanted, want)]


def _own_address(
    pillar: Pillar, managers: Mapping[str, str | None], minion: Minion
) -> tuple[str | None, list[Fault]]:
    """Return this node's address: from the pillar, else its source address to the managers."""
    address, faults = _given(pillar, managers, minion)
    if address or faults:
        return address, faults
    peers = [one for one in managers.items() if one[0] != minion.id]
    targets = [given or minion.resolve(host) for host, given in peers]
    for target in [*filter(None, targets), *_ELSEWHERE]:
        if core_addresses.usable(found := minion.towards(target)):
            return found, []
    own = {name: ips for name, ips in minion.interfaces.items() if not _BRIDGE.fullmatch(name)}
    every = [one for addresses in own.values() for one in addresses]
    found = next(filter(core_addresses.usable, every), None)
    if found or minion.local:
        return found or "127.0.0.1", []
    want = "an address: this host has none that others can reach"
    return None, [Fault("swarm:address", None, want)]


def _data_path(pillar: Pillar, minion: Minion) -> tuple[str | None, list[Fault]]:
    wanted = pillar["builtin"]["data_path_address"]
    if wanted is None:
        return None, []
    found = core_addresses.pick(wanted, minion.interfaces)
    want = f"something {minion.id} has"
    return found, [] if found else [Fault("swarm:builtin:data_path_address", wanted, want)]


def _managers(pillar: Pillar, minion: Minion) -> tuple[dict[str, str | None], list[Fault]]:
    """Return the managers; a masterless minion without pillar is its own manager."""
    managers = _as_mapping(pillar["managers"])
    if managers:
        return managers, []
    if minion.local:
        return {minion.id: None}, []
    return {}, [Fault("swarm:managers", [], f"the minion IDs of the managers, e.g. [{minion.id}]")]


def _engine(pillar: Pillar, ports: _Ports) -> Engine:
    default = ports.engine if modes.of(pillar).engine_port else None
    return {**pillar["engine"], "port": pillar["engine"]["port"] or default}


def _manager(pillar: Pillar, ports: _Ports) -> Manager:
    return {**pillar["manager"], "port": pillar["manager"]["port"] or ports.manager}


def _consul(pillar: Pillar, ports: _Ports) -> Consul:
    return {**pillar["consul"], "http_port": pillar["consul"]["http_port"] or ports.consul}


def _tls(pillar: Pillar, managers: Iterable[str]) -> Tls:
    """Return whether this node needs certificates, and which minion signs them."""
    tls = pillar["tls"]
    # In builtin mode, the engine needs no certificate unless it listens on the formula's port; the
    # registry needs one, and all nodes trust its CA.
    served = modes.of(pillar).engine_port or pillar["engine"]["port"] or pillar["registry"]["node"]
    used = tls["enabled"] and bool(served)
    own = used and not tls["cert"]
    ca = (tls["ca"] or next(iter(managers), None)) if own else None
    return {**tls, "used": used, "ca": ca}


def _labels_of_nodes(minion: str, pillar: Pillar) -> Labels:
    """Return the engine labels from ``nodes``: in builtin mode, the cluster stores them instead."""
    if not modes.of(pillar).engine_labels:
        return {}
    given = member_rules.settings_of(minion, pillar["nodes"])["labels"]
    return {key: one for key, one in given.items() if one is not None}


def resolve(pillar: Pillar, minion: Minion) -> tuple[Draft, list[Fault]]:
    """
    Return the settings of this minion by its pillar, and all faults found.

    Adds ``id``, ``address``, ``managers`` and ``servers`` as ``{ID: address}``, ``is_manager``,
    ``is_server``, ``is_ca``, ``managed_store``, ``discovery`` (the URL of the store) and
    ``data_path`` (an address). In classic mode, ``labels`` includes the labels from ``nodes``.
    Ports get their defaults; ``tls:ca`` is the minion that signs certificates (``None`` if none
    does), ``tls:used`` whether this node needs certificates.
    """
    names, faults = _managers(pillar, minion)
    address, more = _own_address(pillar, names, minion)
    faults += more
    known = {minion.id: address}
    managers, more = _lookup("swarm:managers", names, known, minion)
    faults += more
    managed_store = modes.of(pillar).standalone and pillar["store"] is None
    wanted = _as_mapping(pillar["consul"]["servers"] or names) if managed_store else {}
    data_path, more = _data_path(pillar, minion)
    faults += more
    servers, more = _lookup("swarm:consul:servers", wanted, {**known, **managers}, minion)
    # A manager without an address is reported already; it is a server only by default.
    faults += more if pillar["consul"]["servers"] else []
    ports = _SECURE if pillar["tls"]["enabled"] else _PLAIN
    tls, consul = _tls(pillar, managers), _consul(pillar, ports)
    settings: Draft = {
        **pillar,
        "engine": _engine(pillar, ports),
        "manager": _manager(pillar, ports),
        "consul": consul,
        "tls": tls,
        "labels": {**_labels_of_nodes(minion.id, pillar), **pillar["labels"]},
        "discovery": pillar["store"] or f"consul://127.0.0.1:{consul['http_port']}",
        "data_path": data_path,
        "id": minion.id,
        "address": address,
        "managers": managers,
        "servers": servers,
        "is_manager": minion.id in managers,
        "is_server": minion.id in servers,
        "is_ca": tls["ca"] == minion.id,
        "managed_store": managed_store,
    }
    return settings, faults
