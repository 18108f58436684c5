"""
Describe faults of configured values: where, what was found, and what is expected. Pure.
"""

import difflib
from collections.abc import Collection, Iterable
from typing import NamedTuple

_LONGEST = 80  # maximum length of a value quoted in an error


class Fault(NamedTuple):
    """An error in the pillar: its path, the value found, and the expected value."""

    path: str
    found: object
    want: str

    def __str__(self) -> str:
        return f"{self.path}: found {_short(self.found)}; right would be {self.want}"


class FaultError(ValueError):
    """
    A wrong value: what was found, and what is expected. The caller knows where.

    below
        The path of the wrong value in the one that the caller knows.
    """

    def __init__(self, found: object, want: str, *below: str) -> None:
        super().__init__(f"found {_short(found)}; right would be {want}")
        self.found, self.want, self.below = found, want, below

    def at(self, path: str) -> Fault:
        """Return the fault of the value at this place."""
        return Fault(":".join((path, *self.below)), self.found, self.want)


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 3]}..."


def suggest(word: object, known: Iterable[object]) -> str:
    """Return ``. Did you mean 'x'?`` if a known word is similar, else an empty string."""
    close = difflib.get_close_matches(str(word), [str(one) for one in known], n=1, cutoff=0.6)
    return f". Did you mean {close[0]!r}?" if close else ""


def unknown_key(path: str, key: object, known: Collection[str]) -> Fault:
    """Return the fault of a key that does not exist, with the known keys or a similar one."""
    hint = suggest(key, known) or ": " + ", ".join(known)
    return Fault(f"{path}:{key}", "an unknown key", f"a known one{hint}")


def hidden(faults: list[Fault]) -> list[Fault]:
    """Return the faults without the values, which may be secrets."""
    return [Fault(one.path, "what is not shown", one.want) for one in faults]
