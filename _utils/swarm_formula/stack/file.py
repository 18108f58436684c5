"""
Read the options of a stack in the pillar, and its compose file with the files beside it.
"""

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from salt.exceptions import SaltRenderError

from swarm_formula.classic import kept_options
from swarm_formula.compose import file
from swarm_formula.compose.file import Stack
from swarm_formula.compose.objects import Source
from swarm_formula.compose.target import BUILTIN, CLASSIC, Target
from swarm_formula.core import errors
from swarm_formula.core.faults import Fault, FaultError
from swarm_formula.core.salt_types import Salt
from swarm_formula.salt import secret_store
from swarm_formula.service import content_options
from swarm_formula.spec import option_table, service_parts, service_shapes
from swarm_formula.spec.option_table import Option, Shape

_SALT = "salt://"


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
        name = re.split("[: ]", path)[-1]
        yield from _content_faults(name, given, path, BUILTIN)


def _content_faults(
    name: str, given: Mapping[str, Any], path: str, target: Target
) -> Iterator[Fault]:
    variables, where = given.get("environment") or {}, f"{path}:content"
    source = Source(given["content"], variables, lambda _: b"", where, target)
    yield from file.read(name, source)[1]


def classic_faults(name: str, given: Mapping[str, Any], path: str) -> Iterator[Fault]:
    """Find what classic mode cannot keep, also in a file that stands in the pillar."""
    if name != name.lower():
        yield Fault(path, name, "a name in lower case, as docker-compose has for its projects")
    if given.get("resolve") not in (None, "never"):
        want = f"{kept_options.REFUSED['resolve']} (mode: classic)"
        yield Fault(f"{path}:resolve", given["resolve"], want)
    if given.get("content"):
        yield from _content_faults(name, given, path, CLASSIC)


class Wanted(NamedTuple):
    """A stack, and how it is deployed."""

    stack: Stack
    prune: bool


def parsed(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a stack in their canonical form; raise an error for faults."""
    what = f"stack {name}"
    options, faults = option_table.parse(given, OPTIONS, what)
    option_table.refuse(faults or [*conflicts(options, what)])
    return options


def given(salt: Salt, name: str, options: Mapping[str, Any], target: Target) -> Wanted:
    """Return a stack with the contents of its files; raise an error if the file is wrong."""
    what, place = f"stack {name}", options.get("source")
    content = _source(salt, what, options) if place else options["content"]
    variables = options.get("environment") or {}
    source = Source(content, variables, _reader(salt, what, place), what, target)
    stack, faults = file.read(name, source)
    option_table.refuse(faults, unchanged=True)
    more = {key: options[key] for key in ("resolve", "timeout") if options.get(key) is not None}
    services = {key: {**one, **more} for key, one in stack.services.items()}
    return Wanted(stack._replace(services=services), options.get("prune") or False)


def _source(salt: Salt, what: str, options: Mapping[str, Any]) -> Any:
    text = _decoded(what, secret_store.content(salt, options["source"], what))
    if not options.get("template"):
        return text
    try:
        return salt["slsutil.renderer"](string=text, default_renderer="jinja")
    except SaltRenderError as err:
        # What follows the first line is the file, which may hold secrets.
        reason = str(err).partition("\n")[0]
        raise errors.SettingsError(
            f"{what}: {options['source']} cannot be rendered: {reason}"
        ) from None


def _decoded(what: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise errors.SettingsError(f"{what}: its file is no text in UTF-8") from None


def _reader(salt: Salt, what: str, source: str | None) -> Callable[[str], bytes]:
    """Return a function that reads files beside the compose file, or from where they say."""

    def read(path: str) -> bytes:
        if path.startswith((_SALT, "sdb://", "/")):
            return secret_store.content(salt, path, what)
        if not source or source.startswith("sdb://"):
            raise FaultError(path, "salt://PATH or an absolute path: the file is in no folder")
        scheme = _SALT if source.startswith(_SALT) else ""
        place, query, saltenv = source.removeprefix(scheme).partition("?saltenv=")
        folder = posixpath.dirname(place)
        found = posixpath.normpath(posixpath.join(folder, path))
        if found.startswith(".."):
            raise FaultError(path, "a path within salt://")
        return secret_store.content(salt, f"{scheme}{found}{query}{saltenv}", what)

    return read
