"""
Check the settings of classic mode against each other: Consul, managers, agents, the store. Pure.
"""

from collections.abc import Iterator
from typing import NamedTuple

from swarm_formula.core import checks, port_options
from swarm_formula.core.faults import Fault
from swarm_formula.core.settings_types import Draft, Duration
from swarm_formula.daemon import daemon_json

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


_FLOOR = "min-api-version"


def consul_options(settings: Draft) -> Iterator[Fault]:
    """Refuse options of Consul that other settings determine."""
    for key in settings["consul"]["options"]:
        if key in _CONSUL_OURS:
            want = f"no such key here; it comes from {_CONSUL_OURS[key]}"
            yield Fault(f"swarm:consul:options:{key}", settings["consul"]["options"][key], want)
    ports = settings["consul"]["options"].get("ports", {})
    if shape := port_options.WANT(ports):
        yield Fault("swarm:consul:options:ports", ports, shape)
        return
    for key in ("http", "https") if settings["tls"]["used"] else ("http",):
        if key in ports:
            want = "no such key here; it comes from swarm:consul:http_port"
            yield Fault(f"swarm:consul:options:ports:{key}", ports[key], want)


class _Interval(NamedTuple):
    flag: str
    given: Duration | None
    default: int  # Swarm's, in seconds

    def seconds(self) -> float:
        return checks.seconds(self.default if self.given is None else self.given)


def timings(settings: Draft) -> Iterator[Fault]:
    """Refuse intervals that contradict each other."""
    agent, manager = settings["agent"]["options"], settings["manager"]["options"]
    yield from _timings(
        "agent",
        _Interval("heartbeat", agent["heartbeat"], 60),
        _Interval("ttl", agent["ttl"], 180),
    )
    yield from _timings(
        "manager",
        _Interval("engine-refresh-min-interval", manager["engine-refresh-min-interval"], 30),
        _Interval("engine-refresh-max-interval", manager["engine-refresh-max-interval"], 60),
        equal=True,
    )


def _timings(
    section: str, small: _Interval, large: _Interval, equal: bool = False
) -> Iterator[Fault]:
    low, high = small.seconds(), large.seconds()
    if low > high or (low == high and not equal):
        want = f"{'not below' if equal else 'above'} {small.flag}, {low:g}s"
        yield Fault(f"swarm:{section}:options:{large.flag}", f"{high:g}s", want)


def discovery(settings: Draft) -> Iterator[Fault]:
    """Check that agents and managers use the same path in the store."""
    manager, agent = (
        (settings[section]["options"]["discovery-opt"] or {}).get("kv.path")
        for section in ("manager", "agent")
    )
    if manager != agent:
        path = "swarm:agent:options:discovery-opt"
        want = f"{manager!r}, the kv.path of swarm:manager:options:discovery-opt"
        yield Fault(f"{path}:kv.path", agent, want)


def replication(settings: Draft) -> Iterator[Fault]:
    """Refuse several managers without an election."""
    if len(settings["managers"]) > 1 and not settings["manager"]["options"]["replication"]:
        want = "true: of several managers one has to be elected"
        yield Fault("swarm:manager:options:replication", False, want)


def store(settings: Draft) -> Iterator[Fault]:
    """Refuse a store that the engine's overlay networks cannot use."""
    scheme, _, rest = (settings["store"] or "").partition("://")
    if not settings["overlay"]:
        return
    if scheme == "zk":
        want = "etcd:// or consul://: with ZooKeeper, Docker's engine crashes at the first"
        yield Fault("swarm:store", settings["store"], f"{want} container of an overlay network")
    elif rest.partition("/")[2]:
        want = "a URL without a path: Docker would look for all its networks there, host and bridge"
        yield Fault("swarm:store", settings["store"], f"{want} too; or swarm:overlay: false")


def faults(settings: Draft) -> Iterator[Fault]:
    """Refuse what only swarm mode has, and options of services that classic mode cannot keep."""
    yield from _api_floor(settings["engine"]["options"].get(_FLOOR))
    for key in ("secrets", "configs"):
        if settings[key]:
            want = (
                "no such key with mode: classic: the managers of standalone Swarm place single"
                " containers. Use swarm:services with mounts, or mode: builtin"
            )
            yield Fault(f"swarm:{key}", list(settings[key]), want)
    from swarm_formula.classic import kept_options
    from swarm_formula.stack import options as stack_options

    for name, options in settings["services"].items():
        yield from kept_options.faults(options, f"swarm:services:{name}")
    for name, options in settings["stacks"].items():
        yield from stack_options.classic_faults(name, options, f"swarm:stacks:{name}")


def _api_floor(given: object) -> Iterator[Fault]:
    have = daemon_json.version(given) if isinstance(given, str) else ()
    if given is not None and not () < have <= daemon_json.OLD_API:
        most = ".".join(map(str, daemon_json.OLD_API))
        want = f"at most '{most}', in quotes: managers of Swarm 1.2.9 speak no newer API of Docker"
        yield Fault(f"swarm:engine:options:{_FLOOR}", given, want)


def warnings(settings: Draft) -> list[str]:
    """Return warnings about settings of classic mode that are allowed but unwise."""
    found = []
    if settings["consul"]["gossip_key"] and not settings["tls"]["cert"]:
        found.append(
            "swarm:consul:gossip_key has no effect: it is for certificates of your own"
            " (swarm:tls:cert); the swarm's own CA makes a key, and without TLS there is none"
        )
    if settings["manager"]["options"]["replication"] is False:
        found.append("swarm:manager:options:replication: off: nobody takes over from the manager")
    return found
