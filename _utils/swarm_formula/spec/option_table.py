"""
Options of one kind of Docker object, in one table: for checks, comparison, changes and docs. Pure.

A table is ``{name: Option}``. An option of a section has a dotted name: ``update_config.delay`` is
``{update_config: {delay: 10s}}`` in the pillar. Each value has one canonical form, in which a value
of the pillar and one of Docker's API compare equal.

Only options that are given are compared and changed. ``null`` takes a value away: Docker's own
default holds again.
"""

import copy
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from swarm_formula.core import errors
from swarm_formula.core import faults as core_faults
from swarm_formula.core.faults import Fault
from swarm_formula.spec import container_options

# Errors of a normalizer; its own messages begin with this word, and quote no value that is hidden.
_ERRORS = (ValueError, TypeError, AttributeError, OverflowError, KeyError)
_OWN = "found"


def _same(value: Any) -> Any:
    return value


class Shape(NamedTuple):
    """How users write a value, and how it is converted to and from Docker's API."""

    normal: Callable[[Any], Any]  # to the canonical form, which it returns unchanged
    expects: str
    encode: Callable[[Any], Any] = _same  # from the canonical form to the API's
    decode: Callable[[Any], Any] = _same  # from the API's form to one that ``normal`` accepts
    equal: Callable[[Any, Any], bool] = operator.eq


class Option(NamedTuple):
    """One option: its shape, where the API has it, and what it is for."""

    shape: Shape
    path: tuple[str, ...]  # empty: an option of the formula, not of Docker
    help: str
    default: Any = None  # what holds if it is not set, in the canonical form
    required: bool = False  # ``null`` is refused
    hidden: bool = False  # a value may hold a secret: neither errors nor changes quote it
    by_key: bool = False  # a mapping of which only the given keys are compared and changed
    written: bool = False  # always sent with its section: Docker takes a missing one for zero


Table = Mapping[str, Option]


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


# A group of options. Only ``null`` is a value of its own: it takes the whole section away.
SECTION = Shape(_mapping, "a mapping of options", decode=lambda raw: dict.fromkeys(raw, "set"))


def section(path: tuple[str, ...], text: str) -> Option:
    """Return the option of a group of options."""
    return Option(SECTION, path, text)


def parse(given: Any, table: Table, path: str) -> tuple[dict[str, Any], list[Fault]]:
    """
    Return the given options in their canonical form, and the faults.

    given
        The options as a user writes them.

    path
        Where they stand, for the faults.
    """
    return _parse(given, table, path, "")


def _parse(given: Any, table: Table, path: str, prefix: str) -> tuple[dict[str, Any], list[Fault]]:
    if not isinstance(given, dict):
        return {}, [Fault(path, given, "a mapping of options")]
    result: dict[str, Any] = {}
    faults: list[Fault] = []
    for key, value in given.items():
        name, place = f"{prefix}{key}", f"{path}:{key}"
        option = table.get(name)
        if option is None or "." in str(key):
            faults.append(core_faults.unknown_key(path, key, _siblings(table, prefix)))
        elif option.shape is SECTION and value is not None:
            found, more = _parse(value, table, place, f"{name}.")
            result |= found
            faults += more
        else:
            result[name], more = read(option, value, place)
            faults += more
    return result, faults


def _siblings(table: Table, prefix: str) -> list[str]:
    names = [name.removeprefix(prefix) for name in table if name.startswith(prefix)]
    return [name for name in names if "." not in name]


def read(option: Option, value: Any, path: str) -> tuple[Any, list[Fault]]:
    """Return the value of one option in its canonical form, and the faults."""
    if value is None:
        refused = [Fault(path, None, f"{option.shape.expects}; or no such key")]
        return option.default, refused if option.required else []
    try:
        return option.shape.normal(value), []
    except _ERRORS as err:
        own = f" ({err})" if str(err).startswith(_OWN) else ""
        fault = Fault(path, value, f"{option.shape.expects}{own}")
        return option.default, core_faults.hidden([fault]) if option.hidden else [fault]


def parsed(given: Any, table: Table, what: str) -> dict[str, Any]:
    """Return the given options in their canonical form; raise an error that lists all faults."""
    result, faults = parse(given, table, what)
    refuse(faults)
    return result


def refuse(faults: list[Fault], unchanged: bool = False) -> None:
    """
    Raise an error that lists all faults, if there are any.

    unchanged
        Whether the error says that nothing was changed.
    """
    if faults:
        text = "; ".join(map(str, faults))
        raise errors.SettingsError(f"{text}. Nothing was changed" if unchanged else text)


def _dig(spec: Any, path: Iterable[str]) -> Any:
    for key in path:
        spec = (spec or {}).get(key)
    return spec


def current(spec: Mapping[str, Any], option: Option) -> Any:
    """Return the canonical value of an option in a spec of the API."""
    raw = _dig(spec, option.path)
    if raw is None or raw in ("", [], {}):
        return option.default
    try:
        return option.shape.normal(option.shape.decode(raw))
    except _ERRORS:
        # Somebody has set what the formula does not know: it differs from all that it knows.
        return raw


def is_normal(option: Option, value: Any) -> bool:
    """Check whether a value is one that the option accepts, in its canonical form."""
    try:
        return bool(option.shape.normal(value) == value)
    except _ERRORS:
        return False


def diff(spec: Mapping[str, Any], wanted: Mapping[str, Any], table: Table) -> dict[str, Any]:
    """Return the differences of an object, ``{name: {"old": ..., "new": ...}}``."""
    changes = {}
    for name, new in wanted.items():
        option = table[name]
        if not option.path:
            continue
        old = current(spec, option)
        if option.by_key:
            old = {key: one for key, one in (old or {}).items() if key in new}
            new = {key: one for key, one in new.items() if one is not None or key in old}  # noqa: PLW2901
        if not option.shape.equal(old, new):
            changes[name] = container_options.narrow(old, new)
    return changes


def merged(
    spec: Mapping[str, Any], wanted: Mapping[str, Any], names: Iterable[str], table: Table
) -> dict[str, Any]:
    """Return a spec with the wanted values of these options; everything else stays."""
    result = copy.deepcopy(dict(spec))
    chosen = set(names)
    for name, option in table.items():
        if name in chosen and option.path:
            _write(result, option, wanted[name])
    for option in table.values():
        *above, last = option.path or ("",)
        if option.written and (place := _dig(result, above)) and last not in place:
            place[last] = option.shape.encode(option.default)
    return result


def _write(spec: dict[str, Any], option: Option, value: Any) -> None:
    *above, last = option.path
    place = spec
    for key in above:
        if not place.get(key):
            if value is None:
                return
            place[key] = {}
        place = place[key]
    if value is None:
        place.pop(last, None)
    elif option.by_key:
        both = {**(place.get(last) or {}), **value}
        place[last] = {key: one for key, one in both.items() if one is not None}
    else:
        place[last] = option.shape.encode(value)


def shown(changes: Mapping[str, Any], table: Table) -> dict[str, Any]:
    """Return changes with a short hash in place of each value that looks secret."""
    return {
        name: container_options.shown({name: change})[name]
        if name in table and table[name].hidden
        else change
        for name, change in changes.items()
    }
