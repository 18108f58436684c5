"""
Validate the shape of pillar values. Pure: each check returns ``None``, or a text of what is
expected; ``core.checks`` has those for values of one meaning.
"""

import re
from collections.abc import Callable
from typing import TypeGuard

Check = Callable[[object], str | None]

_DURATION = r"(?:[0-9]+(?:\.[0-9]+)?(?:h|ms|m|s|us|\u00b5s|ns))+"
_PART = r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s|us|\u00b5s|ns)"
_DAYS = 48 * 3600  # Consul limits a session to 24h, and Swarm requests half of its TTL
_SECONDS = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "\u00b5s": 1e-6, "ns": 1e-9}


def seconds(value: object) -> float:
    """Return a Go duration (``1m30s``) or a plain number as seconds."""
    if isinstance(value, int | float):
        return float(value)
    return sum(float(number) * _SECONDS[unit] for number, unit in re.findall(_PART, str(value)))


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def boolean(value: object) -> str | None:
    """Accept only ``True`` and ``False``; a quoted ``yes`` in YAML is a string."""
    return None if isinstance(value, bool) else "true or false, without quotes"


def text(value: object) -> str | None:
    """Accept a string that is not empty or blank."""
    return None if isinstance(value, str) and value.strip() else "a text that is not empty"


def matching(pattern: str, want: str) -> Check:
    """Accept a text that matches a pattern as a whole."""

    def check(value: object) -> str | None:
        return None if isinstance(value, str) and re.fullmatch(pattern, value) else want

    return check


def integer(low: int, high: int) -> Check:
    """Accept a whole number from ``low`` to ``high``."""

    def check(value: object) -> str | None:
        good = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return None if good else f"a whole number from {low} to {high}"

    return check


port = integer(1, 65535)


def number(low: float) -> Check:
    """Accept a number not below ``low``."""

    def check(value: object) -> str | None:
        return None if _is_number(value) and value >= low else f"a number not below {low:g}"

    return check


def duration(low: float, why: str = "", high: float = _DAYS) -> Check:
    """Accept a Go duration, or a number of seconds, from ``low`` to ``high`` seconds."""

    def check(value: object) -> str | None:
        length: float | None = None
        if isinstance(value, str) and re.fullmatch(_DURATION, value):
            length = seconds(value)
        elif _is_number(value):
            # Do not convert an integer: one that is too large for a float raises OverflowError.
            length = value
        if length is not None and low <= length <= high:
            return None
        limit = f"{high / 3600:g}h"
        return f"a duration such as 60s, from {low:g}s to {limit}" + (f" ({why})" if why else "")

    return check


def one_of(*choices: str) -> Check:
    """Accept one of ``choices``."""

    def check(value: object) -> str | None:
        return None if value in choices else "one of " + ", ".join(choices)

    return check


def either(*checks: Check) -> Check:
    """Accept what any of ``checks`` accepts."""

    def check(value: object) -> str | None:
        wants = [want for one in checks if (want := one(value)) is not None]
        return ", or ".join(wants) if len(wants) == len(checks) else None

    return check


def optional(check: Check) -> Check:
    """Accept ``null`` and whatever ``check`` accepts."""
    return lambda value: None if value is None else check(value)


def list_of(item: Check) -> Check:
    """Accept a list, without duplicates, of values that ``item`` accepts."""

    def check(value: object) -> str | None:
        if not isinstance(value, list):
            return "a list"
        for position, one in enumerate(value):
            if want := item(one):
                return f"{want} as item {position + 1} (found {one!r})"
        doubles = [one for position, one in enumerate(value) if one in value[:position]]
        return f"a list without doubles ({doubles[0]!r} is there twice)" if doubles else None

    return check


def mapping_of(key: Check, item: Check) -> Check:
    """Accept a mapping of keys that ``key`` accepts to values that ``item`` accepts."""

    def check(value: object) -> str | None:
        if not isinstance(value, dict):
            return "a mapping"
        for name, one in value.items():
            if want := key(name):
                return f"{want} as key (found {name!r})"
            if want := item(one):
                return f"{want} for {name} (found {one!r})"
        return None

    return check


def anything(value: object) -> str | None:
    """Accept any value: the program that uses it validates it."""
    return None


def options(value: object) -> str | None:
    """Accept a mapping with text keys; the program that reads the values validates them."""
    return mapping_of(text, anything)(value)
