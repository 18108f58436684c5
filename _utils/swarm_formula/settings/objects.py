"""
Find the options of the Docker objects in the pillar: each kind's room is imported only for a pillar
that has such objects.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from swarm_formula.core.faults import Fault

if TYPE_CHECKING:
    from swarm_formula.spec import option_table


class Rules(NamedTuple):
    """The options of one kind of object, and a function that finds what cannot be together."""

    options: "option_table.Table"
    conflicts: Callable[[dict[str, Any], str], Iterator[Fault]]


def containers() -> Rules:
    """Return the rules of containers on nodes."""
    from swarm_formula.settings import host_containers

    return Rules(host_containers.OPTIONS, host_containers.conflicts)


def files() -> Rules:
    """Return the rules of files on nodes."""
    from swarm_formula.settings import host_files

    return Rules(host_files.OPTIONS, host_files.conflicts)


def volumes() -> Rules:
    """Return the rules of volumes."""
    from swarm_formula.docker import volumes

    return Rules(volumes.OPTIONS, lambda *_: iter(()))


def contents() -> Rules:
    """Return the rules of secrets and configs."""
    from swarm_formula.service import content_options

    return Rules(content_options.OPTIONS, content_options.conflicts)


def content_name(value: object) -> str | None:
    """Accept the name of a secret or config."""
    from swarm_formula.service import content_options

    return content_options.check_name(value)


def services() -> Rules:
    """Return the rules of services."""
    from swarm_formula.spec import service_modes, service_options

    return Rules(service_options.OPTIONS, service_modes.conflicts)


def stacks() -> Rules:
    """Return the rules of stacks."""
    from swarm_formula.stack import options

    return Rules(options.OPTIONS, options.conflicts)
