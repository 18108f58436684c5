"""
Read the compose file of a stack, with the files beside it.
"""

import posixpath
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from salt.exceptions import SaltRenderError

from swarm_formula.compose import file
from swarm_formula.compose.file import Stack
from swarm_formula.compose.objects import Source
from swarm_formula.compose.target import Target
from swarm_formula.core import errors
from swarm_formula.core.faults import FaultError
from swarm_formula.core.salt_types import Salt
from swarm_formula.salt import secret_store
from swarm_formula.spec import option_table

_SALT = "salt://"


class Wanted(NamedTuple):
    """A stack, and how it is deployed."""

    stack: Stack
    prune: bool


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
