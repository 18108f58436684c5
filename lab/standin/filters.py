"""
Narrow down the nodes that may run a container: the seven filters of the original.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import config as conf
from . import names
from .expr import Expression, ExpressionError, parse_all

if TYPE_CHECKING:
    from .cache import Container


@dataclass
class Node:
    """What scheduling sees of an engine."""

    id: str
    name: str
    labels: dict[str, str] = field(default_factory=dict)
    containers: list["Container"] = field(default_factory=list)
    images: list[dict] = field(default_factory=list)
    used_memory: int = 0
    used_cpus: int = 0
    total_memory: int = 0
    total_cpus: int = 0
    health: int = 100


class NoNodeError(Exception):
    """No node satisfies the filter."""


Nodes = list[Node]


def health(_config: dict, nodes: Nodes, _soft: bool) -> Nodes:
    """Keep the healthy nodes."""
    kept = [node for node in nodes if node.health > 0]
    return kept or _none("No healthy node available in the cluster")


def port(config: dict, nodes: Nodes, _soft: bool) -> Nodes:
    """Keep the nodes where the published ports are free."""
    host = config.get("HostConfig") or {}
    if host.get("NetworkMode") == "host":
        for exposed in config.get("ExposedPorts") or {}:
            nodes = [node for node in nodes if not _exposed(node, exposed)] or _none("port")
        return nodes
    for bindings in (host.get("PortBindings") or {}).values():
        for binding in bindings or []:
            nodes = [node for node in nodes if not _in_use(node, binding)] or _none("port")
    return nodes


def slots(_config: dict, nodes: Nodes, _soft: bool) -> Nodes:
    """Keep the nodes whose label ``containerslots`` allows one container more."""
    kept = []
    for node in nodes:
        limit = node.labels.get("containerslots", "")
        if not limit.lstrip("+-").isdigit() or len(node.containers) < int(limit):
            kept.append(node)
    return kept or _none("No node with enough open slots available in the cluster")


def dependency(config: dict, nodes: Nodes, _soft: bool) -> Nodes:
    """Keep the nodes that run what the container links to or shares with."""
    wanted = [name for _, name in _dependencies(config)]
    if not nodes:
        return nodes
    kept = [n for n in nodes if all(names.container(n.containers, name) for name in wanted)]
    return kept or _none("dependency")


def affinity(config: dict, nodes: Nodes, soft: bool) -> Nodes:
    """Keep the nodes that hold the container, image or container label asked for."""
    return _by_expressions(config, "affinities", nodes, soft, _affine)


def constraint(config: dict, nodes: Nodes, soft: bool) -> Nodes:
    """Keep the nodes that have the labels, or the name, asked for."""
    return _by_expressions(config, "constraints", nodes, soft, _constrained)


def whitelist(config: dict, nodes: Nodes, soft: bool) -> Nodes:
    """Keep the nodes whose names are listed."""
    return _by_expressions(config, "whitelists", nodes, soft, _listed)


FILTERS: dict[str, Callable[[dict, Nodes, bool], Nodes]] = {
    "health": health,
    "port": port,
    "containerslots": slots,
    "dependency": dependency,
    "affinity": affinity,
    "constraint": constraint,
    "whitelist": whitelist,
}


def apply(chosen: list[str], config: dict, nodes: Nodes, soft: bool) -> Nodes:
    """Pass ``nodes`` through the ``chosen`` filters; raises ``NoNodeError`` with all conditions."""
    for name in chosen:
        try:
            nodes = FILTERS[name](config, nodes, soft)
        except (NoNodeError, ExpressionError) as err:
            if name == "health":
                raise
            conditions = _conditions(chosen[: chosen.index(name) + 1], config)
            raise NoNodeError(
                f"Unable to find a node that satisfies the following conditions {conditions}"
            ) from err
    return nodes


def _conditions(chosen: list[str], config: dict) -> str:
    text = ""
    for name in chosen:
        try:
            found = describe(name, config)
        except ExpressionError as err:
            return f"{text}\nerror from {name} filter: {err}"
        if found:
            text += f"\n[{' '.join(found)}]"
    return text


def describe(name: str, config: dict) -> list[str]:
    """Return what a filter asks for, as the error text of the original lists it."""
    if name == "port":
        return _ports(config)
    if name == "containerslots":
        return ["available container slots"]
    if name == "dependency":
        return [f"--{option}={value}" for option, value in _dependencies(config, whole=True)]
    kinds = {"affinity": "affinities", "constraint": "constraints", "whitelist": "whitelists"}
    if name not in kinds:
        return []
    found = parse_all(conf.expressions(config, kinds[name]))
    if name == "constraint":
        return [str(item) for item in found]
    return [f"{item} (soft={str(item.soft).lower()})" for item in found]


def _none(reason: str) -> Nodes:
    raise NoNodeError(reason)


def _by_expressions(
    config: dict, kind: str, nodes: Nodes, soft: bool, fits: Callable[[Expression, Node], bool]
) -> Nodes:
    for item in parse_all(conf.expressions(config, kind)):
        if item.soft and not soft:
            continue
        nodes = [node for node in nodes if fits(item, node)] or _none(str(item))
    return nodes


def _constrained(item: Expression, node: Node) -> bool:
    if item.key == "node":
        return item.matches(node.id, node.name)
    return item.matches(node.labels.get(item.key, ""))


def _listed(item: Expression, node: Node) -> bool:
    return node.name in item.value.split("|")


def _affine(item: Expression, node: Node) -> bool:
    if item.key == "container":
        found = [(c.id, c.names[0].removeprefix("/")) for c in node.containers if c.names]
        return item.matches(*[word for pair in found for word in pair])
    if item.key == "image":
        words = [image["Id"] for image in node.images]
        tags = [tag for image in node.images for tag in image.get("RepoTags") or []]
        return item.matches(*words, *tags, *[names.split_tag(tag)[0] for tag in tags])
    return item.matches(*[c.labels.get(item.key, "") for c in node.containers])


def _dependencies(config: dict, whole: bool = False) -> list[tuple[str, str]]:
    host = config.get("HostConfig") or {}
    found = [("volumes-from", item) for item in host.get("VolumesFrom") or []]
    found += [("link", item) for item in host.get("Links") or []]
    mode = host.get("NetworkMode") or ""
    if whole:
        return found + ([("net", mode)] if mode.startswith("container:") else [])
    found = [(option, value.partition(":")[0]) for option, value in found]
    shared = mode.removeprefix("container:")
    return found + ([("net", shared)] if shared != mode else [])


def _ports(config: dict) -> list[str]:
    host = config.get("HostConfig") or {}
    if host.get("NetworkMode") == "host":
        return [f"port {exposed} (Host mode)" for exposed in config.get("ExposedPorts") or {}]
    bound = [
        binding for items in (host.get("PortBindings") or {}).values() for binding in items or []
    ]
    return [f"port {binding.get('HostPort', '')} (Bridge mode)" for binding in bound]


def _exposed(node: Node, exposed: str) -> bool:
    return any(
        container.host_config.get("NetworkMode") == "host"
        and exposed in (container.config.get("ExposedPorts") or {})
        for container in node.containers
    )


def _in_use(node: Node, wanted: dict) -> bool:
    for container in node.containers:
        actual = (container.info.get("NetworkSettings") or {}).get("Ports") or {}
        for ports in (container.host_config.get("PortBindings") or {}, actual):
            if any(_clash(wanted, item) for items in ports.values() for item in items or []):
                return True
    return False


def _clash(wanted: dict, taken: dict) -> bool:
    if not taken.get("HostPort") or taken["HostPort"] != wanted.get("HostPort"):
        return False
    mine, theirs = wanted.get("HostIp", ""), taken.get("HostIp", "")
    return mine == theirs or _any_address(mine) or _any_address(theirs)


def _any_address(text: str) -> bool:
    try:
        return not text or ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False
