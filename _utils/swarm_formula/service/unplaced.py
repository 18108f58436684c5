"""
Tell why the managers find no node for tasks of a service: constraints, resources, ports. Pure.

Docker only counts the nodes that one of its filters has left out.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

# States of tasks that hold nothing on their node.
ENDED = {"complete", "shutdown", "failed", "rejected", "remove", "orphaned"}
_CONSTRAINT = re.compile(r"([\w.-]+)\s*(==|!=)\s*(.*)")
_MOST = 4  # nodes that a message lists
_UNITS = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


class _Resource(NamedTuple):
    """What nodes have some of: its key in the API, and how a message has it."""

    key: str
    word: str

    def shown(self, value: int) -> str:
        if self.key == "NanoCPUs":
            return f"{value / 1e9:g}"
        unit, size = next((one for one in _UNITS if value >= one[1]), ("bytes", 1))
        return f"{round(value / size, 1):g} {unit}"


_RESOURCES = (_Resource("NanoCPUs", "CPUs"), _Resource("MemoryBytes", "of memory"))


def reasons(
    service: dict[str, Any],
    tasks: list[dict[str, Any]],
    every: list[dict[str, Any]],
    nodes: list[dict[str, Any]],
) -> list[str]:
    """
    Return what no node has or satisfies, if tasks wait for a node.

    tasks
        Those of the service.

    every
        Those of all services: they have reserved what nodes have.
    """
    errors = [one["Status"].get("Err", "") for one in tasks]
    if tasks and not any("no suitable node" in one for one in errors):
        return []
    usable = [
        one
        for one in nodes
        if one["Status"]["State"] == "ready" and one["Spec"]["Availability"] == "active"
    ]
    task = service["Spec"]["TaskTemplate"]
    wishes = (task.get("Placement") or {}).get("Constraints") or []
    alone = [one for one in wishes if not any(satisfies(node, one) for node in usable)]
    if alone:
        return [f"no node that is ready and active satisfies {', '.join(alone)}"]
    fit = [node for node in usable if all(satisfies(node, one) for one in wishes)]
    if wishes and not fit:
        return [f"no node satisfies all of {', '.join(wishes)}"]
    found: list[str] = []
    if any("insufficient resources" in one for one in errors):
        found += _lacking(task, fit, every)
    if any("port already in use" in one for one in errors):
        found += _ports(service)
    return found


def _lacking(
    task: dict[str, Any], nodes: list[dict[str, Any]], every: list[dict[str, Any]]
) -> Iterator[str]:
    """Yield the resources of which no node has as much left as a task reserves."""
    reserved = (task.get("Resources") or {}).get("Reservations") or {}
    for one in _RESOURCES:
        wanted = reserved.get(one.key) or 0
        left = {node["ID"]: _left(node, one.key, every) for node in nodes}
        if not wanted or any(free >= wanted for free in left.values()):
            continue
        rows = [
            f"{_name(node)} has {one.shown(max(left[node['ID']], 0))}"
            f" of {one.shown(_has(node, one.key))}"
            for node in sorted(nodes, key=lambda node: -left[node["ID"]])
        ]
        more = f" and {len(rows) - _MOST} more nodes less" if len(rows) > _MOST else ""
        yield (
            f"no node has {one.shown(wanted)} {one.word} left for a reservation:"
            f" {', '.join(rows[:_MOST])}{more}"
        )


def _has(node: dict[str, Any], key: str) -> int:
    return ((node.get("Description") or {}).get("Resources") or {}).get(key) or 0


def _left(node: dict[str, Any], key: str, every: list[dict[str, Any]]) -> int:
    """Return how much of a resource the tasks on a node have not reserved."""
    return _has(node, key) - sum(
        ((task["Spec"].get("Resources") or {}).get("Reservations") or {}).get(key) or 0
        for task in every
        if task.get("NodeID") == node["ID"] and task["Status"]["State"] not in ENDED
    )


def _name(node: dict[str, Any]) -> str:
    name: str = (node.get("Description") or {}).get("Hostname") or node["ID"]
    return name


def _ports(service: dict[str, Any]) -> Iterator[str]:
    """Yield the ports that a service publishes on the nodes themselves."""
    ports: list[Mapping[str, Any]] = (service["Spec"].get("EndpointSpec") or {}).get("Ports") or []
    texts = [
        f"{one['PublishedPort']}/{one.get('Protocol', 'tcp')}"
        for one in ports
        if one.get("PublishMode") == "host" and one.get("PublishedPort")
    ]
    if texts:
        yield f"on each of these nodes, a task already has one of its ports {', '.join(texts)}"


def satisfies(node: dict[str, Any], constraint: str) -> bool:
    """Check whether a node satisfies a placement constraint; an unknown one counts as satisfied."""
    match = _CONSTRAINT.fullmatch(constraint.strip())
    if not match:
        return True
    attribute, operator, wanted = match.groups()
    found = _attribute(node, attribute)
    # As the managers do: without regard to case.
    return found is None or (found.lower() == wanted.strip().lower()) == (operator == "==")


def _attribute(node: dict[str, Any], name: str) -> str | None:
    spec, about = node["Spec"], node.get("Description") or {}
    platform = about.get("Platform") or {}
    every: dict[str, dict[str, str] | None] = {
        "node.labels.": spec.get("Labels"),
        "engine.labels.": (about.get("Engine") or {}).get("Labels"),
    }
    for prefix, labels in every.items():
        if name.startswith(prefix):
            return (labels or {}).get(name.removeprefix(prefix), "")
    known: dict[str, str] = {
        "node.id": node["ID"],
        "node.hostname": about.get("Hostname", ""),
        "node.role": spec.get("Role", ""),
        "node.platform.os": platform.get("OS", ""),
    }
    return known.get(name)
