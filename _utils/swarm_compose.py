"""
Read a compose file: what it names becomes services, networks, secrets and configs of a stack. Pure.

The objects have the names and labels that ``docker stack deploy`` gives them. Files of version 2, 3
and of the compose specification are read alike.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import swarm_checks
import swarm_compose_service as service
import swarm_compose_yaml
import swarm_fault
import swarm_interpolation
import swarm_networks
import swarm_values
import swarm_versions
from swarm_compose_service import NAMESPACE, Names
from swarm_fault import Fault, FaultError

_SECTIONS = ("services", "networks", "volumes", "secrets", "configs")
_OTHERS = ("version", "name")
_REFUSED = {
    "include": service.MERGE,
    "models": "no such key: swarm mode has services only",
}
# Mappings of names that users choose: x- is no extension there.
_FREE = ("labels", "environment", "driver_opts", "options", "sysctls", "extra_hosts")
_OBJECT = ("external", "name", "labels")
# Keys of an object, beside the common ones; and those that are refused, with the reason.
_KEYS = {
    "networks": ("driver", "driver_opts", "ipam", "internal", "attachable", "enable_ipv6"),
    "volumes": ("driver", "driver_opts"),
    "secrets": ("file", "environment"),
    "configs": ("file", "environment", "content"),
}
_NOT_KEPT = {"driver": "no such key: only Docker's own store", "template_driver": "no such key"}
_SOURCES = ("file", "environment", "content")


class Stack(NamedTuple):
    """What a compose file names, with the names that Docker has for it."""

    name: str
    services: dict[str, dict]  # options in their canonical form
    networks: dict[str, dict]  # settings of those to create
    files: list[swarm_versions.Wanted]  # secrets and configs to create
    kept: dict[str, set[str]]  # names that the file has, by kind, used or not
    ignored: list[str]  # keys that have no effect, each with the reason


class Source(NamedTuple):
    """A compose file, and what belongs to it."""

    content: Any  # a text, or what YAML has read of it
    variables: Mapping[str, str]
    read: Callable[[str], bytes]  # a file, by its path in the compose file
    where: str  # for the faults


def read(name: str, source: Source) -> tuple[Stack, list[Fault]]:
    """Return the stack of a compose file, and the faults; with faults, the stack is no use."""
    nothing = Stack(name, {}, {}, [], {}, [])
    try:
        is_text = isinstance(source.content, str)
        load = swarm_compose_yaml.load if is_text else swarm_values.plain
        content = load(source.content)
    except FaultError as err:
        return nothing, [err.at(source.where)]
    faults = [*_misshapen(content, source.where)]
    if not is_text and not faults:
        faults = [*_misread(content["services"], f"{source.where}:services")]
    if faults:
        return nothing, faults
    content = {key: content.get(key) or {} for key in _SECTIONS}
    content = _interpolated(content, source.variables, source.where, faults)
    return (nothing, faults) if faults else _File(name, content, source).stack()


def _misshapen(content: Any, path: str) -> Iterator[Fault]:
    if not isinstance(content, dict):
        yield Fault(path, "something else", "a compose file: a mapping with `services`")
        return
    for key in content:
        if key in _REFUSED:
            yield Fault(f"{path}:{key}", key, _REFUSED[key])
        elif key not in _SECTIONS + _OTHERS and not _is_extension(key):
            yield swarm_fault.unknown_key(path, key, _SECTIONS + _OTHERS)
    if str(content.get("version") or "3").partition(".")[0] not in ("2", "3"):
        yield Fault(f"{path}:version", content["version"], "2, 3, or no such key")
    for key in (one for one in _SECTIONS if not isinstance(content.get(one), dict | None)):
        yield Fault(f"{path}:{key}", "something else", "a mapping of names")
    if not content.get("services"):
        yield Fault(f"{path}:services", None, "at least one service")


def _misread(services: dict, path: str) -> Iterator[Fault]:
    """Find numbers that may have been texts: Salt has read 22:22 as 1342, and 33:33 as 2013."""
    for key, given in services.items():
        one = given if isinstance(given, dict) else {}
        ports = one.get("ports") if isinstance(one.get("ports"), list) else []
        for option, values in (("ports", ports), ("user", [one.get("user")])):
            if numbers := [each for each in values if isinstance(each, int | float)]:
                want = "a text in quotes: YAML in a pillar takes 22:22 for 1342"
                yield Fault(f"{path}:{key}:{option}", numbers[0], want)


def _is_extension(key: Any) -> bool:
    return str(key).startswith("x-")


def _interpolated(value: Any, variables: Mapping, path: str, faults: list[Fault]) -> Any:
    """Return a value with the values of its variables, without extensions; keys have none."""
    if isinstance(value, dict):
        free = path.rpartition(":")[2] in _FREE
        return {
            key: _interpolated(one, variables, f"{path}:{key}", faults)
            for key, one in value.items()
            if free or not _is_extension(key)
        }
    if isinstance(value, list):
        return [_interpolated(one, variables, path, faults) for one in value]
    if not isinstance(value, str):
        return value
    try:
        return swarm_interpolation.substitute(value, variables)
    except FaultError as err:
        faults.append(err.at(path))
        return value


class _Thing(NamedTuple):
    """A network, volume, secret or config of the file."""

    name: str  # in Docker
    external: bool
    given: dict


class _File:
    """A compose file with the values of its variables."""

    def __init__(self, name: str, content: dict, source: Source) -> None:
        self.name, self.content, self.source = name, content, source
        self.faults: list[Fault] = []
        self.ignored: list[str] = []

    def _place(self, *words: str) -> str:
        return ":".join((self.source.where, *words))

    def stack(self) -> tuple[Stack, list[Fault]]:
        things = {kind: self._things(kind) for kind in _KEYS}
        things["networks"].setdefault("default", _Thing(f"{self.name}_default", False, {}))
        names = {
            kind: {key: one.name for key, one in found.items()} for kind, found in things.items()
        }
        mounts = {key: self._mount(key, one) for key, one in things["volumes"].items()}
        known = Names(
            self.name,
            names["networks"],
            mounts,
            names["secrets"],
            names["configs"],
            self.source.variables,
            self.source.read,
        )
        self._refuse_twins(things)
        services = self._services(known)
        used = {one for options in services.values() for one in options.get("networks", ())}
        networks = {
            one.name: self._network(key, one)
            for key, one in things["networks"].items()
            if not one.external and one.name in used
        }
        files = [
            found
            for kind in swarm_versions.KINDS
            for key, one in things[kind].items()
            if not one.external and (found := self._file(kind, key, one))
        ]
        kept = {kind: set(found.values()) for kind, found in names.items()}
        kept["services"] = {f"{self.name}_{key}" for key in self.content["services"]}
        stack = Stack(self.name, services, networks, files, kept, self.ignored)
        return stack, self.faults

    # ---- services

    def _services(self, known: Names) -> dict[str, dict]:
        services = {}
        for key, given in self.content["services"].items():
            path, name = self._place("services", key), f"{self.name}_{key}"
            if want := swarm_checks.service(name):
                self.faults.append(Fault(path, name, want))
            elif isinstance(given, dict) and given.get("profiles"):
                self.ignored.append(f"services.{key} (it has `profiles`, and none is active)")
            else:
                found = service.read(key, given, known, path)
                services[name] = found.options
                self.faults += found.faults
                self.ignored += [f"services.{one}" for one in found.ignored]
        return services

    # ---- what services name

    def _refuse_twins(self, things: dict[str, dict[str, _Thing]]) -> None:
        """Refuse two definitions of one object: the last one would win."""
        for kind in ("networks", *swarm_versions.KINDS):
            seen: dict[str, str] = {}
            for key, one in things[kind].items():
                first = seen.setdefault(one.name, key)
                if first != key and not one.external:
                    want = f"another name: {first} has it as well"
                    self.faults.append(Fault(self._place(kind, key, "name"), one.name, want))

    def _things(self, kind: str) -> dict[str, _Thing]:
        found = {}
        for key, given in self.content[kind].items():
            if isinstance(given, dict | None):
                options = {one: value for one, value in (given or {}).items() if value is not None}
                self._check_keys(kind, self._place(kind, key), options)
                found[key] = self._thing(key, options)
            else:
                want = "a mapping of options"
                self.faults.append(Fault(self._place(kind, key), "something else", want))
        return found

    def _check_keys(self, kind: str, path: str, given: dict) -> None:
        for key, value in given.items():
            if kind in swarm_versions.KINDS and key in _NOT_KEPT:
                self.faults.append(Fault(f"{path}:{key}", value, _NOT_KEPT[key]))
            elif key not in _KEYS[kind] + _OBJECT:
                self.faults.append(swarm_fault.unknown_key(path, key, _KEYS[kind] + _OBJECT))

    def _thing(self, key: str, given: dict) -> _Thing:
        external = given.get("external")
        if isinstance(external, dict):
            return _Thing(str(external.get("name") or key), True, given)
        external = str(external or "").lower() == "true"
        default = key if external else f"{self.name}_{key}"
        return _Thing(str(given.get("name") or default), external, given)

    def _labels(self, given: dict) -> dict[str, str]:
        found = service.pairs(given.get("labels") or {})
        return {**swarm_values.table(found), NAMESPACE: self.name}

    def _mount(self, key: str, one: _Thing) -> dict:
        """Return the options of a mount of a volume, which each node creates as needed."""
        mount: dict = {"source": one.name}
        if one.external:
            return mount
        try:
            mount["labels"] = self._labels(one.given)
        except (TypeError, ValueError, AttributeError):
            self._wrong("volumes", key, "labels")
        options = {"driver": "driver", "driver_options": "driver_opts"}
        return mount | {to: one.given[of] for to, of in options.items() if one.given.get(of)}

    def _wrong(self, kind: str, key: str, option: str) -> None:
        want = "a mapping of plain values"
        self.faults.append(Fault(self._place(kind, key, option), "something else", want))

    def _network(self, key: str, one: _Thing) -> dict:
        given = one.given
        if given.get("enable_ipv6"):
            self.ignored.append(f"networks.{key}.enable_ipv6 (overlay networks have subnets)")
        wanted = {
            "driver": given.get("driver") or "overlay",
            "internal": service.flag(given.get("internal", False)),
            "attachable": service.flag(given.get("attachable", False)),
        }
        try:
            wanted["labels"] = self._labels(given)
            wanted |= self._pool(key, given.get("ipam") or {})
        except FaultError as err:
            self.faults.append(err.at(self._place("networks", key, "ipam")))
        except (TypeError, ValueError, AttributeError):
            self._wrong("networks", key, "labels")
        if given.get("driver_opts"):
            wanted["options"] = given["driver_opts"]
        return self._normal(key, wanted)

    def _normal(self, key: str, wanted: dict) -> dict:
        found = {}
        for option, value in wanted.items():
            normal, expects = swarm_networks.FIELDS[option]
            try:
                found[option] = normal(value)
            except (ValueError, TypeError, AttributeError):
                self.faults.append(Fault(self._place("networks", key, option), value, expects))
        return found

    def _pool(self, key: str, ipam: dict) -> dict:
        pools = ipam.get("config") or []
        if ipam.get("driver", "default") != "default" or ipam.get("options"):
            raise FaultError("a driver or options", "no such key: only Docker's own driver")
        if len(pools) > 1:
            raise FaultError("several subnets", "one subnet")
        pool = {one: value for one, value in (pools[0] if pools else {}).items() if value}
        for option in pool:
            if option not in ("subnet", "gateway", "ip_range"):
                raise FaultError(option, "subnet, gateway or ip_range")
        return pool

    def _file(self, kind: str, key: str, one: _Thing) -> swarm_versions.Wanted | None:
        path = self._place(kind, key)
        if want := swarm_versions.check_name(one.name):
            self.faults.append(Fault(path, one.name, want))
            return None
        sources = [each for each in _SOURCES if each in one.given]
        if len(sources) != 1:
            want = f"one of {', '.join(set(_SOURCES) & set(_KEYS[kind]))}, or external: true"
            self.faults.append(Fault(path, sources or "none of them", want))
            return None
        (source,) = sources
        value = str(one.given[source])
        try:
            labels = self._labels(one.given)
            content = self._content(source, value)
        except FaultError as err:
            self.faults.append(err.at(f"{path}:{source}"))
        except (TypeError, ValueError, AttributeError):
            self._wrong(kind, key, "labels")
        else:
            return swarm_versions.Wanted(kind, one.name, content, labels=labels)
        return None

    def _content(self, source: str, value: str) -> bytes:
        if source == "file":
            return self.source.read(value)
        if source == "content":
            return value.encode()
        if value not in self.source.variables:
            raise FaultError(value, "the name of a variable in `environment` of the stack")
        return self.source.variables[value].encode()
