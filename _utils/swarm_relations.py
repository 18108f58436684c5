"""
Check settings against each other: faults and warnings that no single value shows. Pure.

Works on resolved settings (``swarm_topology.resolve``).
"""

import ipaddress
from collections.abc import Iterator

import swarm_address
import swarm_checks
import swarm_cluster
import swarm_daemon
import swarm_firewall
import swarm_log_driver
import swarm_ports
import swarm_proxy
import swarm_registry
import swarm_secure
from swarm_fault import Fault, suggest

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104

_ELSEWHERE = {
    "hosts": "swarm:engine:listen and swarm:engine:port",
    "labels": "swarm:labels",
    "cluster-store": "swarm:overlay and swarm:store",
    "cluster-advertise": "swarm:overlay and swarm:address",
}

# Values that an engine in swarm mode refuses, and the values to use instead.
_NOT_WITH_SWARM_MODE = {
    "live-restore": (True, "false"),
    "firewall-backend": ("nftables", "iptables"),
}

_CONSUL_OURS = {
    "server": "swarm:consul:servers",
    "bootstrap_expect": "swarm:consul:servers",
    "retry_join": "swarm:consul:servers",
    "bind_addr": "swarm:address",
    "advertise_addr": "swarm:address",
    "node_name": "the minion's ID",
    "data_dir": "swarm:consul:volume",
    "datacenter": "swarm:consul:datacenter",
}


def _daemon_options(settings: dict) -> Iterator[Fault]:
    path = "swarm:engine:options"
    for key, value in settings["engine"]["options"].items():
        if key in _ELSEWHERE:
            yield Fault(
                f"{path}:{key}", value, f"no such key here; it comes from {_ELSEWHERE[key]}"
            )
        elif key not in swarm_daemon.KNOWN and (hint := suggest(key, swarm_daemon.KNOWN)):
            yield Fault(f"{path}:{key}", "an unknown key", f"a key of daemon.json{hint}")


def _consul_options(settings: dict) -> Iterator[Fault]:
    for key in settings["consul"]["options"]:
        if key in _CONSUL_OURS:
            want = f"no such key here; it comes from {_CONSUL_OURS[key]}"
            yield Fault(f"swarm:consul:options:{key}", settings["consul"]["options"][key], want)
    ports = settings["consul"]["options"].get("ports", {})
    if want := swarm_ports.WANT(ports):
        yield Fault("swarm:consul:options:ports", ports, want)
        return
    for key in ("http", "https") if settings["tls"]["used"] else ("http",):
        if key in ports:
            want = "no such key here; it comes from swarm:consul:http_port"
            yield Fault(f"swarm:consul:options:ports:{key}", ports[key], want)


def _timings(settings: dict) -> Iterator[Fault]:
    def pair(section: str, small: str, large: str, defaults: tuple, equal: bool) -> Iterator[Fault]:
        options = settings[section]["options"]
        values = [
            swarm_checks.seconds(default if options[flag] is None else options[flag])
            for flag, default in zip((small, large), defaults, strict=True)
        ]
        if values[0] > values[1] or (values[0] == values[1] and not equal):
            word = "not below" if equal else "above"
            want = f"{word} {small}, {values[0]:g}s"
            yield Fault(f"swarm:{section}:options:{large}", f"{values[1]:g}s", want)

    yield from pair("agent", "heartbeat", "ttl", (60, 180), equal=False)
    flags = ("engine-refresh-min-interval", "engine-refresh-max-interval")
    yield from pair("manager", *flags, (30, 60), equal=True)


def _discovery(settings: dict) -> Iterator[Fault]:
    """Check that agents and managers use the same path in the store."""
    manager, agent = (
        (settings[section]["options"]["discovery-opt"] or {}).get("kv.path")
        for section in ("manager", "agent")
    )
    if manager != agent:
        path = "swarm:agent:options:discovery-opt"
        want = f"{manager!r}, the kv.path of swarm:manager:options:discovery-opt"
        yield Fault(f"{path}:kv.path", agent, want)


def _replication(settings: dict) -> Iterator[Fault]:
    if len(settings["managers"]) > 1 and not settings["manager"]["options"]["replication"]:
        want = "true: of several managers one has to be elected"
        yield Fault("swarm:manager:options:replication", False, want)


def listeners(settings: dict) -> list[tuple[str, int]]:
    """Return ``(pillar path, port)`` of all listeners on a node in this mode."""
    found = [("swarm:engine:port", settings["engine"]["port"])]
    if settings["mode"] == "builtin":
        found.append(("swarm:builtin:port", settings["builtin"]["port"]))
    else:
        found.append(("swarm:manager:port", settings["manager"]["port"]))
    if settings["overlay"] or settings["mode"] == "builtin":
        found.append(("swarm:overlay (Docker's gossip)", swarm_ports.GOSSIP))
    if settings["own_store"]:
        found.append(("swarm:consul:http_port", settings["consul"]["http_port"]))
        ports = swarm_ports.consul(settings)
        found += [(f"swarm:consul:options:ports:{name}", port) for name, port in ports.items()]
    return [(path, port) for path, port in found if port]


def _ports(settings: dict) -> Iterator[Fault]:
    seen: dict[int, str] = {}
    for path, port in listeners(settings):
        if port in seen:
            yield Fault(path, port, f"another port: {seen[port]} has this one")
        seen.setdefault(port, path)


def _addresses(settings: dict) -> Iterator[Fault]:
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


def _repository(settings: dict) -> Iterator[Fault]:
    repository = settings["engine"]["repository"]
    if repository["url"] and not repository["key"]:
        want = "the repository's public key: salt://..., an absolute path, or the key itself"
        yield Fault("swarm:engine:repository:key", None, want)


def _listen(settings: dict) -> Iterator[Fault]:
    listen, own = settings["engine"]["listen"], settings["address"]
    if listen and own and listen not in {own, *_EVERYWHERE}:
        want = f"{own}, this node's address, at which managers ask its engine; or 0.0.0.0 or ::"
        yield Fault("swarm:engine:listen", listen, want)


def _subnet(path: str, network: dict, own: str | None) -> Iterator[Fault]:
    if not network["subnet"]:
        for key in ("gateway", "ip_range"):
            if network[key]:
                yield Fault(f"{path}:{key}", network[key], "a subnet as well")
        return
    subnet = ipaddress.ip_network(network["subnet"])
    if network["gateway"] and ipaddress.ip_address(network["gateway"]) not in subnet:
        yield Fault(f"{path}:gateway", network["gateway"], f"an address in {subnet}")
    part = ipaddress.ip_network(network["ip_range"] or subnet)
    if part.version != subnet.version or not part.subnet_of(subnet):
        yield Fault(f"{path}:ip_range", network["ip_range"], f"a part of {subnet}")
    if own and ipaddress.ip_address(own) in subnet:
        yield Fault(f"{path}:subnet", str(subnet), f"one without {own}, this node")


def _subnets(settings: dict) -> Iterator[Fault]:
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


def _logs(settings: dict) -> Iterator[Fault]:
    for key, value, want in swarm_log_driver.faults(settings["engine"]["options"]):
        yield Fault(f"swarm:engine:options:log-opts:{key}", value, want)


def _advertised(settings: dict) -> Iterator[Fault]:
    """Refuse the address of another host, which would then stand for both of them."""
    known = {**settings["servers"], **settings["managers"]}
    others = {address: name for name, address in known.items() if name != settings["id"]}
    roles = ["agent", "manager"] if settings["is_manager"] else ["agent"]
    for role in roles if settings["mode"] == "classic" else ():
        given = settings[role]["options"].get("advertise")
        host = swarm_address.host(given or "")
        if host in others and host != settings["address"]:
            want = f"not the address of {others[host]}: each host has its own; unset, it is chosen"
            yield Fault(f"swarm:{role}:options:advertise", given, want)


def _registries(settings: dict) -> Iterator[Fault]:
    for host, registry in settings["registries"].items():
        path = f"swarm:registries:{host}"
        login = {key: registry[key] for key in ("username", "password")}
        if any(login.values()):
            for key in [key for key, value in login.items() if not value]:
                yield Fault(f"{path}:{key}", None, "set, as the other half of the login is")
        elif not registry["ca_cert"]:
            yield Fault(path, {}, "username and password, or ca_cert, or both; or no such entry")
        if host == swarm_registry.HUB and registry["ca_cert"]:
            want = "null: for Docker Hub, Docker trusts the CAs of the system and no others"
            yield Fault(f"{path}:ca_cert", registry["ca_cert"], want)


def _store(settings: dict) -> Iterator[Fault]:
    scheme, _, rest = (settings["store"] or "").partition("://")
    if not settings["overlay"]:
        return
    if scheme == "zk":
        want = "etcd:// or consul://: with ZooKeeper, Docker's engine crashes at the first"
        yield Fault("swarm:store", settings["store"], f"{want} container of an overlay network")
    elif rest.partition("/")[2]:
        want = "a URL without a path: Docker would look for all its networks there, host and bridge"
        yield Fault("swarm:store", settings["store"], f"{want} too; or swarm:overlay: false")


def _builtin(settings: dict) -> Iterator[Fault]:
    if settings["mode"] != "builtin":
        return
    if settings["overlay"]:
        yield Fault("swarm:overlay", True, "false: swarm mode has overlay networks of its own")
    if settings["store"]:
        yield Fault("swarm:store", settings["store"], "null: swarm mode is its own store")
    if settings["id"] in settings["client"]["nodes"] and not settings["engine"]["port"]:
        want = (
            f"without {settings['id']}, or a port in swarm:engine:port on it and on the managers,"
            " whose engines are the swarm in builtin mode"
        )
        yield Fault("swarm:client:nodes", settings["client"]["nodes"], want)
    for key, (value, instead) in _NOT_WITH_SWARM_MODE.items():
        if settings["engine"]["options"].get(key) == value:
            want = f"{instead}: Docker refuses swarm mode together with it"
            yield Fault(f"swarm:engine:options:{key}", value, want)
    yield from _cluster(settings["builtin"])


def _cluster(builtin: dict) -> Iterator[Fault]:
    election, beat = (
        builtin["cluster"][key] or default
        for key, default in (("election-tick", 10), ("heartbeat-tick", 1))
    )
    if election <= beat:
        want = f"above heartbeat-tick, {beat}; Docker's own are 10 and 1"
        yield Fault("swarm:builtin:cluster:election-tick", election, want)
    yield from _authority(builtin)
    yield from _pools(builtin)


def _pools(builtin: dict) -> Iterator[Fault]:
    given, mask = builtin["address_pool_mask"], swarm_cluster.mask(builtin)
    low, high = swarm_cluster.mask_limits(builtin)
    if not low <= mask <= high:
        unset = "" if given else f"; unset, it is {mask}"
        want = f"from {low}, that of the smallest of swarm:builtin:address_pools, to {high}{unset}"
        yield Fault("swarm:builtin:address_pool_mask", given, want)


def _authority(builtin: dict) -> Iterator[Fault]:
    cert, key = (builtin[one] for one in ("signing_ca_cert", "signing_ca_key"))
    if key and not cert:
        want = "set, as the other half of the CA is: a CA signs with both"
        yield Fault("swarm:builtin:signing_ca_cert", None, want)
    elsewhere = any(one.get("ca") for one in builtin["cluster"]["external-ca"] or ())
    if cert and not key and not elsewhere:
        want = (
            "set, as the other half of the CA is; or in swarm:builtin:cluster:external-ca who has"
            " it, with that certificate as `ca`"
        )
        yield Fault("swarm:builtin:signing_ca_key", None, want)


def _overlay(settings: dict) -> Iterator[Fault]:
    own = settings["address"] or ""
    if settings["overlay"] and ":" in own:
        want = (
            f"false: this node's address is {own}, and engines with cluster-store connect overlay"
            " networks by IPv4 only; or an IPv4 address in swarm:address"
        )
        yield Fault("swarm:overlay", True, want)
    if settings["overlay"] or settings["mode"] == "builtin":
        return
    for name, network in settings["networks"].items():
        if network["driver"] == "overlay":
            want = "another driver, or swarm:overlay: true"
            yield Fault(f"swarm:networks:{name}:driver", "overlay", want)


def _workloads(settings: dict) -> Iterator[Fault]:
    if settings["mode"] == "builtin":
        return
    for key in ("secrets", "configs", "services", "stacks"):
        if settings[key]:
            want = (
                "no such key with mode: classic, which has no services: the managers of standalone"
                " Swarm place single containers. Use docker-compose against them, or mode: builtin"
            )
            yield Fault(f"swarm:{key}", list(settings[key]), want)


_RELATIONS = (
    _daemon_options,
    swarm_proxy.faults,
    _consul_options,
    _timings,
    _discovery,
    _replication,
    swarm_secure.faults,
    _ports,
    _addresses,
    _repository,
    _listen,
    _subnets,
    _logs,
    _advertised,
    _registries,
    _store,
    _overlay,
    _builtin,
    _workloads,
    swarm_firewall.faults,
)


def faults(settings: dict) -> list[Fault]:
    """Return all faults in combinations of settings."""
    return [fault for relation in _RELATIONS for fault in relation(settings)]


def _unnamed(settings: dict) -> list[str]:
    if "*" not in settings["nodes"]:
        return []
    return [
        "swarm:nodes: '*' makes a member of every minion whose key is accepted, which gets a"
        " certificate or the worker token: name the nodes, or use a narrower glob such as web-*"
    ]


def _plain_sources(settings: dict) -> list[str]:
    return [
        f"swarm:{section}:image_source: {source} is transferred without TLS, and nothing checks"
        " what arrives: use https:// or salt://"
        for section in ("consul", "manager")
        if settings["mode"] == "classic"
        and (source := settings[section]["image_source"] or "").startswith("http://")
    ]


def warnings(settings: dict) -> list[str]:
    """Return warnings about settings that are allowed but unwise, each with its reason."""
    found = []
    counted = {"swarm:managers": settings["managers"]}
    if settings["consul"]["servers"]:
        counted["swarm:consul:servers"] = settings["servers"]
    for path, hosts in counted.items():
        if hosts and len(hosts) % 2 == 0:
            found.append(
                f"{path}: {len(hosts)} is an even number: a majority of {len(hosts)} bears the loss"
                f" of {(len(hosts) - 1) // 2}, no more than one of {len(hosts) - 1} would"
            )
    found += [*swarm_secure.warnings(settings), *_unnamed(settings), *_plain_sources(settings)]
    found += swarm_firewall.warnings(settings)
    builtin = settings["builtin"]
    if settings["mode"] == "builtin":
        if builtin["cluster"]["autolock"] and not builtin["unlock_key"]:
            found.append(
                "swarm:builtin:cluster:autolock: without swarm:builtin:unlock_key, a manager that"
                " was restarted stays locked until somebody unlocks it"
            )
        return found
    if settings["consul"]["gossip_key"] and not settings["tls"]["cert"]:
        found.append(
            "swarm:consul:gossip_key has no effect: it is for certificates of your own"
            " (swarm:tls:cert); the swarm's own CA makes a key, and without TLS there is none"
        )
    if settings["manager"]["options"]["replication"] is False:
        found.append("swarm:manager:options:replication: off: nobody takes over from the manager")
    return found
