"""
Options of containers that single nodes run beside the swarm, by the pillar. Pure.

They are those of the state ``swarm_container.running``, in its own table.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from swarm_formula.core import checks, own_registry
from swarm_formula.core.faults import Fault
from swarm_formula.core.settings_types import Draft, Objects
from swarm_formula.docker import volumes
from swarm_formula.spec import container_options, option_table, service_parts, service_shapes
from swarm_formula.spec.option_table import Option, Shape

OPTIONS: dict[str, Option] = {
    "image": Option(service_shapes.IMAGE, (), "its image", required=True),
    "image_source": Option(service_shapes.ARCHIVE, (), "archive of it, where no registry is"),
    "image_hash": Option(
        Shape(service_parts.passed_by(checks.sha256), "a SHA-256 in quotes"),
        (),
        "the archive's SHA-256",
    ),
    **{
        name: Option(
            Shape(field.normal, field.expects), (), f"its {name.replace('_', ' ')}", hidden=True
        )
        for name, field in container_options.FIELDS.items()
    },
    "nodes": volumes.OPTIONS["nodes"],
}


def conflicts(given: Mapping[str, Any], path: str) -> Iterator[Fault]:
    """Find a container without an image."""
    return option_table.lacking(given, path, OPTIONS)


def of_node(minion: str, containers: Objects) -> Objects:
    """Return the containers of a node, ``{name: settings of swarm_container.running}``."""
    return {
        name: {key: value for key, value in one.items() if key != "nodes"}
        for name, one in sorted(volumes.of_node(minion, containers).items())
    }


def clashes(settings: Draft) -> Iterator[Fault]:
    """Refuse names of the formula's own containers."""
    own = {settings[section]["container"] for section in ("consul", "manager", "agent")}
    own.add(own_registry.CONTAINER)
    for name in sorted(own & settings["containers"].keys()):
        yield Fault(f"swarm:containers:{name}", name, "another name: the formula has one of it")
