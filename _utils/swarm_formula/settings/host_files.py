"""
Options of the files that containers mount from their hosts: which nodes get which file. Pure.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from swarm_formula.core import checks
from swarm_formula.core.faults import Fault
from swarm_formula.core.settings_types import Objects
from swarm_formula.docker import volumes
from swarm_formula.spec import option_table, service_parts
from swarm_formula.spec.option_table import Option, Shape

_NAME = Shape(service_parts.text, "the name of a user or group")
OPTIONS: dict[str, Option] = {
    "source": Option(
        Shape(
            service_parts.passed_by(checks.file),
            "salt://PATH, or the absolute path of a file on each node",
        ),
        (),
        "where its content is",
        required=True,
    ),
    "template": Option(
        Shape(service_parts.one_of("jinja"), "jinja"), (), "what renders the source first [nothing]"
    ),
    "user": Option(_NAME, (), "its owner", "root"),
    "group": Option(_NAME, (), "its group", "root"),
    "mode": Option(
        Shape(service_parts.file_mode, "a mode in quotes, such as '0600'"), (), "its mode", "0644"
    ),
    "nodes": volumes.OPTIONS["nodes"],
}


def conflicts(given: Mapping[str, Any], path: str) -> Iterator[Fault]:
    """Find a file without a content."""
    return option_table.lacking(given, path, OPTIONS)


def of_node(minion: str, files: Objects) -> Objects:
    """Return the files that a node gets, ``{path: options of the state file.managed}``."""
    return {
        path: {
            # No content in the return of a state.
            "show_changes": False,
            "makedirs": True,
            **{
                name: value
                for name, option in OPTIONS.items()
                if name != "nodes" and (value := one.get(name) or option.default) is not None
            },
        }
        for path, one in sorted(volumes.of_node(minion, files).items())
    }
