"""
Options of secrets and configs in the pillar, and their contents.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from swarm_formula.core import normalize
from swarm_formula.core.faults import Fault
from swarm_formula.core.salt_types import Salt
from swarm_formula.salt import secret_store
from swarm_formula.spec import option_table, service_values
from swarm_formula.spec.option_table import Option, Shape

# The fewest versions that are kept: the one that services follow to, and the one that they have.
LEAST = 2
# Docker's longest name, less a dash and the hash.
_LONGEST = 64 - 13
_VALID = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?"
_MOST = 100


class Kind(NamedTuple):
    """Secrets or configs."""

    word: str
    path: str  # in the API
    largest: int  # bytes that Docker takes
    key: str  # in a task's ContainerSpec
    id: str  # in that list


KINDS = {
    "secrets": Kind("secret", "/secrets", 500 * 1024, "Secrets", "SecretID"),
    "configs": Kind("config", "/configs", 1000 * 1024, "Configs", "ConfigID"),
}


def _content(value: Any) -> bool:
    """Return whether there is a content: the settings, which anybody may print, hold none."""
    if not isinstance(value, str) or not value:
        raise TypeError
    return True


def _keep(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not LEAST <= value <= _MOST:
        raise ValueError(f"found no number from {LEAST} to {_MOST}")
    return value


SOURCE = Shape(
    service_values.source,
    "salt://PATH, sdb://PROFILE/KEY or the absolute path of a file on every manager",
)
OPTIONS = {
    "content": Option(
        Shape(_content, "a text that is not empty"), (), "the content itself", hidden=True
    ),
    "source": Option(SOURCE, (), "where the content is", hidden=True),
    "keep": Option(
        Shape(_keep, "a number of versions, 2 or more"), (), "versions that stay [2]", LEAST
    ),
}


def conflicts(given: dict[str, Any], path: str) -> Iterator[Fault]:
    """Find out whether exactly one of ``content`` and ``source`` is given."""
    if bool(given.get("content")) == bool(given.get("source")):
        yield Fault(path, "not one of them", "either 'content' or 'source'")


class Wanted(NamedTuple):
    """A secret or config: its name in the pillar, its content and the versions that stay."""

    kind: str  # "secrets" or "configs"
    name: str
    content: bytes
    keep: int = LEAST
    labels: Mapping[str, str] = MappingProxyType({})  # more labels of a new version


def check_name(value: object) -> str | None:
    """Accept a name that leaves room for the hash of a version."""
    good = isinstance(value, str) and len(value) <= _LONGEST and re.fullmatch(_VALID, value)
    return None if good else f"letters, digits, '_', '.' and '-', no longer than {_LONGEST}"


def given(
    salt: Salt,
    kind: str,
    name: str,
    spec: dict[str, Any],
    what: str = "",
) -> Wanted:
    """Return a secret or config with its content; raise an error if an option is wrong."""
    what = what or f"{KINDS[kind].word} {name}"
    options, faults = option_table.parse(spec, OPTIONS, what)
    if want := check_name(name):
        faults.append(Fault(what, name, want))
    option_table.refuse([*faults, *conflicts(options, what)])
    content = spec.get("content")
    loaded = content.encode() if content else secret_store.content(salt, options["source"], what)
    return Wanted(kind, name, loaded, options.get("keep", LEAST))


def of_pillar(salt: Salt, pillar: Any, kind: str) -> list[Wanted]:
    """Return the secrets or configs of the pillar ``swarm`` with their contents."""
    found = normalize.plain(pillar).get(kind) or {}
    return [given(salt, kind, name, one, f"swarm:{kind}:{name}") for name, one in found.items()]
