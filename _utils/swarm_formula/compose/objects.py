"""
Read the networks, volumes, secrets and configs of a compose file: what its services name. Pure.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from swarm_formula.compose import values
from swarm_formula.compose.target import BUILTIN, Target
from swarm_formula.core import faults, normalize
from swarm_formula.core.faults import Fault, FaultError
from swarm_formula.docker import network_spec
from swarm_formula.service import content_options

_OBJECT = ("external", "name", "labels")
# Keys of an object, beside the common ones; and those that are refused, with the reason.
KEYS = {
    "networks": ("driver", "driver_opts", "ipam", "internal", "attachable", "enable_ipv6"),
    "volumes": ("driver", "driver_opts"),
    "secrets": ("file", "environment"),
    "configs": ("file", "environment", "content"),
}
_NOT_KEPT = {"driver": "no such key: only Docker's own store", "template_driver": "no such key"}
_SOURCES = ("file", "environment", "content")


class Source(NamedTuple):
    """A compose file, and what belongs to it."""

    content: Any  # a text, or what YAML has read of it
    variables: Mapping[str, str]
    read: Callable[[str], bytes]  # a file, by its path in the compose file
    where: str  # for the faults
    target: Target = BUILTIN


class Thing(NamedTuple):
    """A network, volume, secret or config of the file."""

    name: str  # in Docker
    external: bool
    given: Mapping[str, Any]


class Objects:
    """What a compose file names beside its services, and the faults and ignored keys in it."""

    def __init__(self, name: str, content: Mapping[str, Any], source: Source) -> None:
        self.name, self.content, self.source = name, content, source
        self.faults: list[Fault] = []
        self.ignored: list[str] = []

    def place(self, *words: str) -> str:
        """Return the path of a key of the file, for the faults."""
        return ":".join((self.source.where, *words))

    def things(self) -> dict[str, dict[str, Thing]]:
        """Return what the file names, by kind and key; also the network that it has by default."""
        things = {kind: self._things(kind) for kind in KEYS}
        things["networks"].setdefault("default", Thing(f"{self.name}_default", False, {}))
        return things

    def refuse_twins(self, things: dict[str, dict[str, Thing]]) -> None:
        """Refuse two definitions of one object: the last one would win."""
        for kind in ("networks", *content_options.KINDS):
            seen: dict[str, str] = {}
            for key, one in things[kind].items():
                first = seen.setdefault(one.name, key)
                if first != key and not one.external:
                    want = f"another name: {first} has it as well"
                    self.faults.append(Fault(self.place(kind, key, "name"), one.name, want))

    def _things(self, kind: str) -> dict[str, Thing]:
        found = {}
        for key, given in self.content[kind].items():
            if kind in content_options.KINDS and (want := self.source.target.no_files):
                self.faults.append(Fault(self.place(kind, key), "what cannot be kept", want))
            elif isinstance(given, dict | None):
                options = {one: value for one, value in (given or {}).items() if value is not None}
                self._check_keys(kind, self.place(kind, key), options)
                found[key] = self._thing(key, options)
            else:
                want = "a mapping of options"
                self.faults.append(Fault(self.place(kind, key), "something else", want))
        return found

    def _check_keys(self, kind: str, path: str, given: Mapping[str, Any]) -> None:
        for key, value in given.items():
            if kind in content_options.KINDS and key in _NOT_KEPT:
                self.faults.append(Fault(f"{path}:{key}", value, _NOT_KEPT[key]))
            elif key not in KEYS[kind] + _OBJECT:
                self.faults.append(faults.unknown_key(path, key, KEYS[kind] + _OBJECT))

    def _thing(self, key: str, given: Mapping[str, Any]) -> Thing:
        external = given.get("external")
        if isinstance(external, dict):
            return Thing(str(external.get("name") or key), True, given)
        external = str(external or "").lower() == "true"
        default = key if external else f"{self.name}_{key}"
        return Thing(str(given.get("name") or default), external, given)

    def _labels(self, kind: str, key: str, given: Mapping[str, Any]) -> dict[str, str]:
        found = values.pairs(given.get("labels") or {})
        target = self.source.target
        # Those of secrets and configs are those of networks: only builtin mode has them.
        own = target.volumes if kind == "volumes" else target.networks
        return {**normalize.table(found), **own(self.name, key)}

    def mount(self, key: str, one: Thing) -> dict[str, Any]:
        """Return the options of a mount of a volume, which each node creates as needed."""
        mount: dict[str, Any] = {"source": one.name}
        if one.external:
            return mount
        try:
            mount["labels"] = self._labels("volumes", key, one.given)
        except (TypeError, ValueError, AttributeError):
            self._wrong("volumes", key, "labels")
        options = {"driver": "driver", "driver_options": "driver_opts"}
        return mount | {to: one.given[of] for to, of in options.items() if one.given.get(of)}

    def _wrong(self, kind: str, key: str, option: str) -> None:
        want = "a mapping of plain values"
        self.faults.append(Fault(self.place(kind, key, option), "something else", want))

    def network(self, key: str, one: Thing) -> dict[str, Any]:
        """Return the settings of a network to create."""
        given = one.given
        if given.get("enable_ipv6"):
            self.ignored.append(f"networks.{key}.enable_ipv6 (overlay networks have subnets)")
        driver = given.get("driver") or "overlay"
        if self.source.target.only_overlay and driver != "overlay":
            want = "overlay: any node may have containers of the stack; or external: true"
            self.faults.append(Fault(self.place("networks", key, "driver"), driver, want))
        wanted = {
            "driver": driver,
            "internal": values.flag(given.get("internal", False)),
            "attachable": values.flag(given.get("attachable", False)),
        }
        try:
            wanted["labels"] = self._labels("networks", key, given)
            wanted |= self._pool(given.get("ipam") or {})
        except FaultError as err:
            self.faults.append(err.at(self.place("networks", key, "ipam")))
        except (TypeError, ValueError, AttributeError):
            self._wrong("networks", key, "labels")
        if given.get("driver_opts"):
            wanted["options"] = given["driver_opts"]
        return self._normal(key, wanted)

    def _normal(self, key: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        found = {}
        for option, value in wanted.items():
            field = network_spec.FIELDS[option]
            try:
                found[option] = field.normal(value)
            except (ValueError, TypeError, AttributeError):
                place = self.place("networks", key, option)
                self.faults.append(Fault(place, value, field.expects))
        return found

    def _pool(self, ipam: Any) -> dict[str, Any]:
        if not isinstance(ipam, dict):
            raise FaultError("something else", "a mapping with `config`")
        pools = values.listed(ipam.get("config") or [], "config")
        if ipam.get("driver", "default") != "default" or ipam.get("options"):
            raise FaultError("a driver or options", "no such key: only Docker's own driver")
        if len(pools) > 1:
            raise FaultError("several subnets", "one subnet")
        if pools and not isinstance(pools[0], dict):
            raise FaultError("something else", "a list such as [{subnet: 10.0.0.0/24}]", "config")
        pool = {one: value for one, value in (pools[0] if pools else {}).items() if value}
        for option in pool:
            if option not in ("subnet", "gateway", "ip_range"):
                raise FaultError(option, "subnet, gateway or ip_range")
        return pool

    def file(self, kind: str, key: str, one: Thing) -> content_options.Wanted | None:
        """Return a secret or config to create, ``None`` if it has a fault."""
        path = self.place(kind, key)
        if want := content_options.check_name(one.name):
            self.faults.append(Fault(path, one.name, want))
            return None
        sources = [each for each in _SOURCES if each in one.given]
        if len(sources) != 1:
            want = f"one of {', '.join(set(_SOURCES) & set(KEYS[kind]))}, or external: true"
            self.faults.append(Fault(path, sources or "none of them", want))
            return None
        (source,) = sources
        value = str(one.given[source])
        try:
            labels = self._labels(kind, key, one.given)
            content = self._content(source, value)
        except FaultError as err:
            self.faults.append(err.at(f"{path}:{source}"))
        except (TypeError, ValueError, AttributeError):
            self._wrong(kind, key, "labels")
        else:
            return content_options.Wanted(kind, one.name, content, labels=labels)
        return None

    def _content(self, source: str, value: str) -> bytes:
        if source == "file":
            return self.source.read(value)
        if source == "content":
            return value.encode()
        if value not in self.source.variables:
            raise FaultError(value, "the name of a variable in `environment` of the stack")
        return self.source.variables[value].encode()
