"""
Check the options of a stack in the pillar, and a compose file that stands there.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from swarm_formula.core.faults import Fault
from swarm_formula.service import content_options
from swarm_formula.spec import option_table, service_parts, service_shapes
from swarm_formula.spec.option_table import Option, Shape

if TYPE_CHECKING:
    from swarm_formula.compose.target import Target


def _content(value: Any) -> Any:
    if not isinstance(value, str | dict) or not value:
        raise TypeError
    return value


OPTIONS = {
    "source": Option(content_options.SOURCE, (), "where the compose file is", hidden=True),
    "content": Option(
        Shape(_content, "a compose file, as a text or as a mapping"), (), "itself", hidden=True
    ),
    "template": Option(
        Shape(service_parts.one_of("jinja"), "jinja"), (), "what renders the file first"
    ),
    "environment": Option(
        service_shapes.ENVIRONMENT, (), "values of its variables", {}, hidden=True
    ),
    "prune": Option(service_shapes.FLAG, (), "remove what the file does not name any more", False),
    "resolve": Option(
        service_shapes.RESOLVE,
        (),
        "when the registry is asked for the digests of images",
        "changed",
    ),
    "timeout": Option(service_shapes.COUNT, (), "seconds that an apply waits for each service"),
}


def conflicts(given: Mapping[str, Any], path: str) -> Iterator[Fault]:
    """Find out what cannot be together, and the faults of a file that stands in the pillar."""
    if bool(given.get("content")) == bool(given.get("source")):
        yield Fault(path, "not one of them", "either 'content' or 'source'")
    elif given.get("template") and given.get("content"):
        yield Fault(f"{path}:template", "jinja", "no such key: Jinja has rendered the pillar")
    elif given.get("content"):
        from swarm_formula.compose.target import BUILTIN

        name = re.split("[: ]", path)[-1]
        yield from _content_faults(name, given, path, BUILTIN)


def _content_faults(
    name: str, given: Mapping[str, Any], path: str, target: "Target"
) -> Iterator[Fault]:
    # Only a pillar with a compose file needs the room that reads it.
    from swarm_formula.compose import file
    from swarm_formula.compose.objects import Source

    variables, where = given.get("environment") or {}, f"{path}:content"
    source = Source(given["content"], variables, lambda _: b"", where, target)
    yield from file.read(name, source)[1]


def classic_faults(name: str, given: Mapping[str, Any], path: str) -> Iterator[Fault]:
    """Find what classic mode cannot keep, also in a file that stands in the pillar."""
    if name != name.lower():
        yield Fault(path, name, "a name in lower case, as docker-compose has for its projects")
    if given.get("resolve") not in (None, "never"):
        from swarm_formula.classic import kept_options

        want = f"{kept_options.REFUSED['resolve']} (mode: classic)"
        yield Fault(f"{path}:resolve", given["resolve"], want)
    if given.get("content"):
        from swarm_formula.compose.target import CLASSIC

        yield from _content_faults(name, given, path, CLASSIC)


def parsed(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a stack in their canonical form; raise an error for faults."""
    what = f"stack {name}"
    options, faults = option_table.parse(given, OPTIONS, what)
    option_table.refuse(faults or [*conflicts(options, what)])
    return options
