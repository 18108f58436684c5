"""
Who is who: addresses, roles and URLs of one node, from the pillar and what the host knows.
"""

from collections.abc import Callable
from typing import NamedTuple

import swarm_address
import swarm_nodes
import swarm_pillar
from swarm_pillar import Fault

# Engine, manager, Consul: Docker's and Consul's own with TLS, those of before without.
_SECURE, _PLAIN = (2376, 3376, 8501), (2275, 3375, 8500)
# An address that is nobody's: towards it the host takes its default route (RFC 5737).
_ELSEWHERE = "198.51.100.1"


class Minion(NamedTuple):
    """What the settings need to know of the minion that reads them."""

    id: str
    local: bool  # masterless
    interfaces: dict[str, list[str]]
    resolve: Callable[[str], str | None] = swarm_address.resolve
    towards: Callable[[str], str | None] = swarm_address.towards


def _as_mapping(hosts: list | dict) -> dict:
    return dict(hosts) if isinstance(hosts, dict) else dict.fromkeys(hosts)


def _lookup(path: str, hosts: dict, known: dict, minion: Minion) -> tuple[dict, list[Fault]]:
    """Give every host of ``hosts`` an address: its own, one already known, or what its name has."""
    result, faults = {}, []
    for host, given in hosts.items():
        result[host] = given or known.get(host) or minion.resolve(host)
        if not result[host]:
            hint = swarm_pillar.suggest(host, [one for one in known if one != host])
            want = f"a minion whose name {minion.id} can resolve, or {{{host}: its address}}{hint}"
            faults.append(Fault(f"{path}:{host}", host, want))
    return result, faults


def _given(settings: dict, minion: Minion) -> tuple[str | None, list[Fault]]:
    """Return this node's address as pillar gives it, if it does."""
    wanted = settings["address"]
    if wanted is None:
        return _as_mapping(settings["managers"]).get(minion.id), []
    found = swarm_address.pick(wanted, minion.interfaces)
    if found:
        return found, []
    have = "; ".join(f"{name} {', '.join(ips)}" for name, ips in minion.interfaces.items() if ips)
    want = f"something {minion.id} has ({have})"
    return None, [Fault("swarm:address", wanted, want)]


def _own_address(settings: dict, minion: Minion) -> tuple[str | None, list[Fault]]:
    """Return the address of this node: from pillar, else that of its way to the managers."""
    address, faults = _given(settings, minion)
    if address or faults:
        return address, faults
    peers = [one for one in _as_mapping(settings["managers"]).items() if one[0] != minion.id]
    targets = [given or minion.resolve(host) for host, given in peers]
    for target in [*filter(None, targets), _ELSEWHERE]:
        if swarm_address.usable(found := minion.towards(target)):
            return found, []
    every = [one for addresses in minion.interfaces.values() for one in addresses]
    found = next(filter(swarm_address.usable, every), None)
    if found or minion.local:
        return found or "127.0.0.1", []
    want = "an address: this host has none that others can reach"
    return None, [Fault("swarm:address", None, want)]


def _data_path(settings: dict, minion: Minion) -> tuple[str | None, list[Fault]]:
    wanted = settings["builtin"]["data_path_address"]
    if wanted is None:
        return None, []
    found = swarm_address.pick(wanted, minion.interfaces)
    want = f"something {minion.id} has"
    return found, [] if found else [Fault("swarm:builtin:data_path_address", wanted, want)]


def _managers(settings: dict, minion: Minion) -> tuple[dict, list[Fault]]:
    """Return the managers; a minion without master and without pillar manages itself."""
    managers = _as_mapping(settings["managers"])
    if managers:
        return managers, []
    if minion.local:
        return {minion.id: None}, []
    return {}, [Fault("swarm:managers", [], f"the minion IDs of the managers, e.g. [{minion.id}]")]


def _ports(settings: dict, classic: bool) -> dict:
    """Return the sections that have a port which depends on TLS, and the URL of the store."""
    engine, manager, consul = _SECURE if settings["tls"]["enabled"] else _PLAIN
    port = settings["consul"]["http_port"] or consul
    return {
        "engine": {
            **settings["engine"],
            "port": settings["engine"]["port"] or (engine if classic else None),
        },
        "manager": {**settings["manager"], "port": settings["manager"]["port"] or manager},
        "consul": {**settings["consul"], "http_port": port},
        "discovery": settings["store"] or f"consul://127.0.0.1:{port}",
    }


def _tls(settings: dict, managers: dict, minion: Minion) -> dict:
    """Return whether certificates are needed here, and who signs them."""
    tls = settings["tls"]
    # In builtin mode the engine has none of ours to show, as long as it has no socket of ours.
    used = tls["enabled"] and bool(settings["mode"] == "classic" or settings["engine"]["port"])
    own = used and not tls["cert"]
    ca = (tls["ca"] or next(iter(managers), None)) if own else None
    return {"tls": {**tls, "used": used, "ca": ca}, "is_ca": ca == minion.id}


def _labels_of_nodes(minion: str, settings: dict) -> dict:
    """Return the engine's labels by ``nodes``: in builtin mode these are the cluster's to keep."""
    if settings["mode"] == "builtin":
        return {}
    given = swarm_nodes.settings_of(minion, settings["nodes"])["labels"]
    return {key: one for key, one in given.items() if one is not None}


def resolve(settings: dict, minion: Minion) -> tuple[dict, list[Fault]]:
    """
    Return ``settings`` with what follows from them on this minion, and the faults on the way.

    Adds ``id``, ``address``, ``managers`` and ``servers`` as ``{ID: address}``, ``is_manager``,
    ``is_server``, ``is_ca``, ``own_store``, ``discovery``, the URL of the store, and the address
    ``data_path``; ``labels`` has those of ``nodes`` too in classic mode, each port its default,
    ``tls:ca`` the minion that signs (``None``: none does), ``tls:used`` whether this node needs
    certificates.
    """
    names, faults = _managers(settings, minion)
    address, more = _own_address({**settings, "managers": names}, minion)
    faults += more
    known = {minion.id: address}
    managers, more = _lookup("swarm:managers", names, known, minion)
    faults += more
    classic = settings["mode"] == "classic"
    own_store = classic and settings["store"] is None
    wanted = _as_mapping(settings["consul"]["servers"] or names) if own_store else {}
    data_path, more = _data_path(settings, minion)
    faults += more
    servers, more = _lookup("swarm:consul:servers", wanted, {**known, **managers}, minion)
    # A manager without address was told of once; it is a server only by default.
    faults += more if settings["consul"]["servers"] else []
    labels = {**_labels_of_nodes(minion.id, settings), **settings["labels"]}
    return {
        **settings,
        **_ports(settings, classic),
        **_tls(settings, managers, minion),
        "labels": labels,
        "data_path": data_path,
        "id": minion.id,
        "address": address,
        "managers": managers,
        "servers": servers,
        "is_manager": minion.id in managers,
        "is_server": minion.id in servers,
        "own_store": own_store,
    }, faults
