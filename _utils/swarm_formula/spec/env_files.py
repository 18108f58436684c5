"""
Read files with variables: those of ``env_files``, and of ``env_file`` in a compose file. Pure.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from swarm_formula.core.faults import Fault, FaultError
from swarm_formula.spec import option_table, service_options

_KEY = "env_files"
_SYNTAX = "NAME=value, NAME, or # and a comment"


# Returns a content: where it is, and what needs it, for the errors.
Load = Callable[[str, str], bytes]


def filled(load: Load, wanted: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """
    Return services whose ``env`` has the variables of their ``env_files`` as well.

    wanted
        ``{name: options in their canonical form}``.
    """
    return {
        name: {**one, "env": _env(load, f"service {name}", one)} if one.get(_KEY) else one
        for name, one in wanted.items()
    }


def _env(load: Load, what: str, options: Mapping[str, Any]) -> dict[str, str]:
    both = {**_of_files(load, what, options[_KEY]), **(options.get("env") or {})}
    return dict(sorted(both.items()))


def _of_files(load: Load, what: str, sources: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for source in sources:
        read, faults = _of_file(load(source, what), f"{what}:{_KEY}:{source}")
        option_table.refuse(faults, unchanged=True)
        found |= read
    return found


def _of_file(content: bytes, path: str) -> tuple[dict[str, str], list[Fault]]:
    """Return the variables of a file, and the faults, which quote nothing of it but names."""
    try:
        found = variables(content.decode())
    except UnicodeDecodeError:
        return {}, [Fault(path, "other bytes", "a text in UTF-8")]
    except FaultError as err:
        return {}, [err.at(path)]
    lone = [name for name, value in found.items() if value is None]
    faults = [
        Fault(path, f"{name} without a value", "NAME=value: managers have no variables to pass on")
        for name in lone
    ]
    given = {name: value for name, value in found.items() if value is not None}
    env, more = option_table.read(service_options.OPTIONS["env"], given, path)
    return env, [*faults, *more]


def variables(text: str) -> dict[str, str | None]:
    """
    Return the variables of a file, as Docker's command line reads it.

    A value is all that follows ``=``, with its quotes; a name alone has no value.
    """
    found: dict[str, str | None] = {}
    for number, line in enumerate(map(str.lstrip, text.splitlines()), 1):
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not name or re.search(r"\s", name if equals else name.rstrip()):
            raise FaultError(f"line {number} of a file with variables", _SYNTAX)
        found[name.rstrip()] = value if equals else None
    return found
