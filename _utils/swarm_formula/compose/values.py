"""
Read values of a compose file in all the ways in which compose writes them. Pure.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from swarm_formula.core import faults, normalize
from swarm_formula.core.faults import FaultError
from swarm_formula.spec import option_table, service_options, service_shapes


def named(key: Any, known: Mapping[str, Any], kind: str) -> Any:
    """Return what the file names by a key; raise an error if it does not."""
    if not isinstance(key, str) or key not in known:
        hint = faults.suggest(key, known)
        raise FaultError(key, f"one that `{kind}` of the file has{hint}")
    return known[key]


def known(entry: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    """Raise an error if a mapping has other keys than these."""
    for key in entry:
        if key not in keys:
            hint = faults.suggest(key, keys) or f": {', '.join(keys)}"
            raise FaultError(f"the unknown key {key}", f"a known one{hint}")


def listed(value: Any, *below: str) -> list[Any]:
    """Return a list; raise an error for all else: a text would be taken for its letters."""
    if not isinstance(value, list):
        raise FaultError("something else", "a list, as the compose specification has it", *below)
    return value


def whole(value: Any) -> Any:
    """Return a number for its digits: variables are texts."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,10}", value) else value


def _real(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value


def flag(value: Any) -> Any:
    """Return a flag, also of a text; anything else stays, and is refused by the option."""
    return {"true": True, "false": False}.get(str(value).lower(), value)


def pairs(value: Any, lone: Any = "") -> dict[str, Any]:
    """Return a mapping, of one or of ``[NAME=value]``; ``lone`` where there is no value."""
    if isinstance(value, list):
        split = [normalize.text(one).partition("=") for one in value]
        return {key: one if equals else lone for key, equals, one in split}
    return {key: lone if one is None else one for key, one in value.items()}


def _lines(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _hosts(value: Any) -> Any:
    """Return ``[name:address]``, where ``name=address`` is said as well."""
    if not isinstance(value, list):
        return value
    texts = map(normalize.text, value)
    found = (re.split(r"[=:]", one, maxsplit=1) for one in texts)
    return [":".join(one[:1] + [each.strip("[]") for each in one[1:]]) for one in found]


def _ulimits(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: f"{one.get('soft')}:{one.get('hard')}" if isinstance(one, dict) else one
        for name, one in value.items()
    }


# How a value of compose may be written beyond what the option takes.
_BY_OPTION = {"hosts": _hosts, "ulimits": _ulimits, "dns": _lines, "dns_search": _lines}
_BY_OPTION |= {"dns_options": _lines, "user": normalize.text}
_BY_SHAPE: dict[option_table.Shape, Callable[[Any], Any]] = {
    service_shapes.COUNT: whole,
    service_shapes.RATIO: _real,
    service_shapes.FLAG: flag,
    service_shapes.LABELS: pairs,
    service_shapes.TABLE: pairs,
}


def loosely(option: str, value: Any) -> Any:
    """Return a value as the option takes it; one that is wrong stays so, and is refused there."""
    loose = _BY_OPTION.get(option) or _BY_SHAPE.get(service_options.OPTIONS[option].shape)
    try:
        return loose(value) if loose else value
    except (ValueError, TypeError, AttributeError):
        return value
