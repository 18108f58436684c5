"""
Normalize the values in the parts of a service that have keys of their own. Pure.

Each normalizer accepts what users write and its own result. Invalid values raise ``ValueError`` or
``TypeError``; the caller adds the location.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from swarm_formula.core import faults, normalize

_MODE = r"0?[0-7]{3,4}"


def listed(value: Any) -> list[Any]:
    """Return a list as it is; raise an error for anything else."""
    if not isinstance(value, list):
        raise TypeError
    return value


def ordered(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return records in an order that does not depend on how they are written."""
    return sorted(records, key=lambda one: json.dumps(one, sort_keys=True))


def record(
    value: Any, fields: Mapping[str, Callable[[Any], Any]], given: str = ""
) -> dict[str, Any]:
    """Return a mapping with known keys, each value normalized; ``null`` is no value."""
    if not isinstance(value, dict):
        raise TypeError
    for key in value:
        if key not in fields:
            hint = faults.suggest(key, fields) or f": there are {', '.join(fields)}"
            raise ValueError(f"found the unknown key {key!r}{given}{hint}")
    return {key: fields[key](one) for key, one in value.items() if one is not None}


def text(value: Any) -> str:
    """Return a text that is not empty."""
    found = normalize.text(value)
    if not found.strip():
        raise ValueError("found an empty text; null takes a value away")
    return found


def texts(value: Any) -> list[str]:
    """Return a list of texts, in its order."""
    return [text(one) for one in listed(value)]


def flag(value: Any) -> bool:
    """Return a boolean."""
    if not isinstance(value, bool):
        raise TypeError
    return value


def one_of(*choices: str) -> Callable[[Any], str]:
    """Return a normalizer that accepts one of these words."""

    def normal(value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError("found another word" + faults.suggest(value, choices))
        return value

    return normal


def passed_by(check: Callable[[Any], str | None]) -> Callable[[Any], Any]:
    """Return a normalizer that accepts what one of ``core.checks`` finds nothing wrong with."""

    def normal(value: Any) -> Any:
        if check(value):
            raise ValueError("found something else")
        return value

    return normal


def table(value: Any) -> dict[str, str]:
    """Return a mapping of texts."""
    if not isinstance(value, dict):
        raise TypeError
    return normalize.table(value)


def file_mode(value: Any) -> str:
    """Return the mode of a file as four octal digits. Only texts: YAML may read 0400 as decimal."""
    if not isinstance(value, str) or not re.fullmatch(_MODE, value):
        raise ValueError(f"found the mode {value!r}: write it in quotes, such as '0400'")
    return f"{int(value, 8):04o}"
