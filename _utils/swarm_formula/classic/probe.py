"""
Make the request that tells whether a container could be placed if an old one were gone. Pure.

Nothing but the node of the old container changes when that is removed. A container that the
managers place there, and that asks only for what the old one does not have, is the answer.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from swarm_formula.classic.service_containers import AFFINITIES, CONSTRAINTS

SUFFIX = "-probe"
# The least limit of memory that engines take.
_LEAST_MEMORY = 6 << 20


def request(
    create: dict[str, Any], old: dict[str, Any], listed: Iterable[dict[str, Any]]
) -> dict[str, Any]:
    """
    Return the request of the container that is placed in trial beside the old one.

    create
        The request of the new container.

    old
        The container that it replaces, inspected.

    listed
        All containers, as the managers list them.
    """
    node = old["Node"]["Name"]
    others = [one for one in listed if one["Id"] != old["Id"] and _is_on(node, one)]
    labels = dict(create["Labels"])
    affinities = [one for one in _texts(labels, AFFINITIES) if _stays(one, others)]
    labels |= {
        CONSTRAINTS: json.dumps([*_texts(labels, CONSTRAINTS), f"node=={node}"]),
        AFFINITIES: json.dumps(affinities),
    }
    return {**create, "Labels": labels, **_demands(create, old)}


def _texts(labels: dict[str, str], key: str) -> list[str]:
    found: list[str] = json.loads(labels.get(key) or "[]")
    return found


def _is_on(node: str, container: dict[str, Any]) -> bool:
    return any(name.startswith(f"/{node}/") for name in container.get("Names") or ())


def _stays(affinity: str, others: list[dict[str, Any]]) -> bool:
    """Check whether the managers would still look at an affinity with the old container gone."""
    key, unequal, value = affinity.partition("!=")
    if not unequal or key == "image":
        # Removing a container removes no image.
        return True
    texts = [text for one in others for text in _named(key, one)]
    return any(_matches(value.removeprefix("~"), text) for text in texts)


def _named(key: str, container: dict[str, Any]) -> list[str]:
    if key != "container":
        return [(container.get("Labels") or {}).get(key, "")]
    names = container.get("Names") or ()
    return [container["Id"], *(name.split("/", 2)[2] for name in names)]


def _matches(value: str, text: str) -> bool:
    """Match as swarm 1.2.9 does, in ``scheduler/filter/expr.go``."""
    is_regex = len(value) > 1 and value[0] == value[-1] == "/"
    pattern = value[1:-1] if is_regex else f"^{value.replace('*', '.*')}$"
    try:
        return bool(re.search(pattern, text))
    except re.error:
        # The managers have another dialect: they say themselves whether it matches.
        return True


def _demands(create: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """Return the memory and the ports that the old container does not have."""
    host, had = dict(create["HostConfig"]), old.get("HostConfig") or {}
    more = host.pop("Memory", 0) - (had.get("Memory") or 0)
    if more > 0:
        host["Memory"] = max(more, _LEAST_MEMORY)
    taken = {one["HostPort"] for one in _flat(had.get("PortBindings"))}
    host["PortBindings"] = {
        inside: left
        for inside, found in host["PortBindings"].items()
        if (left := [one for one in found if one["HostPort"] not in taken])
    }
    exposed = create["ExposedPorts"]
    if host.get("NetworkMode") == had.get("NetworkMode") == "host":
        present = (old.get("Config") or {}).get("ExposedPorts") or {}
        exposed = {one: {} for one in exposed if one not in present}
    return {"HostConfig": host, "ExposedPorts": exposed}


def _flat(bindings: dict[str, list[dict[str, str]] | None] | None) -> list[dict[str, str]]:
    return [one for found in (bindings or {}).values() for one in found or ()]
