"""
Read a compose file: what it names becomes services, networks, secrets and configs of a stack. Pure.

The objects have the names and labels that ``docker stack deploy`` gives them. Files of version 2, 3
and of the compose specification are read alike.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from swarm_formula.compose import interpolation, keys, service, yaml_text
from swarm_formula.compose.objects import Objects, Source, Thing
from swarm_formula.compose.service import Names
from swarm_formula.core import checks, normalize
from swarm_formula.core import faults as core_faults
from swarm_formula.core.faults import Fault, FaultError
from swarm_formula.service import content_options

_SECTIONS = ("services", "networks", "volumes", "secrets", "configs")
_OTHERS = ("version", "name")
_REFUSED = {
    "include": keys.MERGE,
    "models": "no such key: swarm mode has services only",
}
# Mappings of names that users choose: x- is no extension there.
_FREE = ("labels", "environment", "driver_opts", "options", "sysctls", "extra_hosts")


class Stack(NamedTuple):
    """What a compose file names, with the names that Docker has for it."""

    name: str
    services: dict[str, dict[str, Any]]  # options in their canonical form
    networks: dict[str, dict[str, Any]]  # settings of those to create
    files: list[content_options.Wanted]  # secrets and configs to create
    kept: dict[str, set[str]]  # names that the file has, by kind, used or not
    ignored: list[str]  # keys that have no effect, each with the reason


def read(name: str, source: Source) -> tuple[Stack, list[Fault]]:
    """Return the stack of a compose file, and the faults; with faults, the stack is no use."""
    nothing = Stack(name, {}, {}, [], {}, [])
    try:
        is_text = isinstance(source.content, str)
        load = yaml_text.load if is_text else normalize.plain
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
    return (nothing, faults) if faults else _stack(Objects(name, content, source))


def _misshapen(content: Any, path: str) -> Iterator[Fault]:
    if not isinstance(content, dict):
        yield Fault(path, "something else", "a compose file: a mapping with `services`")
        return
    for key in content:
        if key in _REFUSED:
            yield Fault(f"{path}:{key}", key, _REFUSED[key])
        elif key not in _SECTIONS + _OTHERS and not _is_extension(key):
            yield core_faults.unknown_key(path, key, _SECTIONS + _OTHERS)
    if str(content.get("version") or "3").partition(".")[0] not in ("2", "3"):
        yield Fault(f"{path}:version", content["version"], "2, 3, or no such key")
    for key in (one for one in _SECTIONS if not isinstance(content.get(one), dict | None)):
        yield Fault(f"{path}:{key}", "something else", "a mapping of names")
    if not content.get("services"):
        yield Fault(f"{path}:services", None, "at least one service")


def _misread(services: Mapping[str, Any], path: str) -> Iterator[Fault]:
    """Find numbers that may have been texts: Salt has read 22:22 as 1342, and 33:33 as 2013."""
    for key, given in services.items():
        one = given if isinstance(given, dict) else {}
        ports: Any = one.get("ports")
        ports = ports if isinstance(ports, list) else []
        for option, values in (("ports", ports), ("user", [one.get("user")])):
            if numbers := [each for each in values if isinstance(each, int | float)]:
                want = "a text in quotes: YAML in a pillar takes 22:22 for 1342"
                yield Fault(f"{path}:{key}:{option}", numbers[0], want)


def _is_extension(key: Any) -> bool:
    return str(key).startswith("x-")


def _interpolated(value: Any, variables: Mapping[str, Any], path: str, faults: list[Fault]) -> Any:
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
        return interpolation.substitute(value, variables)
    except FaultError as err:
        faults.append(err.at(path))
        return value


def _stack(objects: Objects) -> tuple[Stack, list[Fault]]:
    things = objects.things()
    names = {kind: {key: one.name for key, one in found.items()} for kind, found in things.items()}
    mounts = {key: objects.mount(key, one) for key, one in things["volumes"].items()}
    known = Names(
        objects.name,
        names["networks"],
        mounts,
        names["secrets"],
        names["configs"],
        objects.source.variables,
        objects.source.read,
        objects.source.target,
    )
    objects.refuse_twins(things)
    services = _services(objects, known)
    networks = _networks(objects, things["networks"], services)
    files = [
        found
        for kind in content_options.KINDS
        for key, one in things[kind].items()
        if not one.external and (found := objects.file(kind, key, one))
    ]
    kept = {kind: set(found.values()) for kind, found in names.items()}
    kept["services"] = {f"{objects.name}_{key}" for key in objects.content["services"]}
    stack = Stack(objects.name, services, networks, files, kept, objects.ignored)
    return stack, objects.faults


def _networks(
    objects: Objects, things: Mapping[str, Thing], services: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return the networks to create: those of the file that a service uses."""
    used = {one for options in services.values() for one in options.get("networks", ())}
    return {
        one.name: objects.network(key, one)
        for key, one in things.items()
        if not one.external and one.name in used
    }


def _are_names(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _services(objects: Objects, known: Names) -> dict[str, dict[str, Any]]:
    services = {}
    for key, given in objects.content["services"].items():
        path, name = objects.place("services", key), f"{objects.name}_{key}"
        if want := checks.service(name):
            objects.faults.append(Fault(path, name, want))
        elif isinstance(given, dict) and not _are_names(given.get("profiles")):
            objects.faults.append(Fault(f"{path}:profiles", "something else", "a list of names"))
        elif isinstance(given, dict) and given.get("profiles"):
            objects.ignored.append(f"services.{key} (it has `profiles`, and none is active)")
        else:
            found = service.read(key, given, known, path)
            services[name] = found.options
            objects.faults += found.faults
            objects.ignored += [f"services.{one}" for one in found.ignored]
    return services
