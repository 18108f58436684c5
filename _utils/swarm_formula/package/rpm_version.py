"""
Order versions of rpm packages. Pure functions.

https://rpm-software-management.github.io/rpm/manual/dependencies.html, "Versioning".
"""

import functools
import re
from collections.abc import Iterable

# What a version consists of; all else only separates these.
_PARTS = r"\d+|[a-zA-Z]+|[~^]"
# A tilde is older than the end, and a caret newer than the end, but older than all else.
_TILDE, _END, _CARET, _WORD, _NUMBER = range(5)


def bare(version: str) -> str:
    """Return a version without its epoch."""
    return version.rpartition(":")[2]


def newest_first(versions: Iterable[str]) -> list[str]:
    """Return versions, with or without an epoch, in the order of rpm."""
    return sorted(versions, key=functools.cmp_to_key(_compare), reverse=True)


def _compare(one: str, other: str) -> int:
    keys = [_key(each) for each in (one, other)]
    return (keys[0] > keys[1]) - (keys[0] < keys[1])


def _key(version: str) -> tuple[int, list[list[tuple[int, int, str]]]]:
    epoch, _, rest = version.rpartition(":")
    return int(epoch or 0), [_parts(one) for one in rest.split("-", 1)]


def _parts(text: str) -> list[tuple[int, int, str]]:
    found = [_part(one) for one in re.findall(_PARTS, text)]
    return [*found, (_END, 0, "")]


def _part(text: str) -> tuple[int, int, str]:
    if text == "~":
        return (_TILDE, 0, "")
    if text == "^":
        return (_CARET, 0, "")
    return (_NUMBER, int(text), "") if text.isdigit() else (_WORD, 0, text)
