"""
Normalize what a container of classic mode asks of the scheduler: constraints, affinities. Pure.

Each normalizer accepts what users write and its own result. Invalid values raise ``ValueError`` or
``TypeError``; the caller adds the location.
"""

import re
from typing import Any

from swarm_formula.core import normalize
from swarm_formula.spec.service_parts import listed

# As in swarm 1.2.9, scheduler/filter/expr.go.
_OPERATORS = ("==", "!=")
_KEY = r"[A-Za-z_][A-Za-z0-9._-]+"
_VALUE = r"[=!/]?~?[A-Za-z0-9:_\s.*/()?+\[\]\\^$|-]+"
# Attributes of a node in swarm mode, and what the managers of classic mode call them.
_ATTRIBUTES = {"node.hostname": "node", "node.id": "node", "node.platform.os": "ostype"}
_LABELS = ("node.labels.", "engine.labels.")


def affinities(value: Any) -> list[str]:
    """Return affinities, sorted, as ``container!=~db``; ``~`` marks a wish."""
    return sorted({_affinity(one) for one in listed(value)})


def _affinity(value: Any) -> str:
    text = normalize.text(value)
    key, operator, wanted = _split(text)
    if not operator:
        raise ValueError(f"found {text!r}, which has no == or !=")
    if why := _unreadable(key, wanted):
        raise ValueError(f"found {text!r}: {why}")
    return f"{key}{operator}{wanted}"


def constraint(value: str) -> str:
    """
    Return a normalized constraint of swarm mode as the managers of classic mode know it.

    Raises ``ValueError`` for one that they cannot read; the text says what to use.
    """
    attribute, operator, wanted = _split(value)
    known = ", ".join((*_ATTRIBUTES, *(f"{one}NAME" for one in _LABELS)))
    key = _ATTRIBUTES.get(attribute) or next(
        (attribute.removeprefix(one) for one in _LABELS if attribute.startswith(one)), ""
    )
    if not key:
        raise ValueError(f"one of {known}: classic mode has no {attribute}")
    if why := _unreadable(key, wanted):
        raise ValueError(f"one that the managers can read: {why}")
    return f"{key}{operator}{wanted}"


def _split(text: str) -> tuple[str, str, str]:
    operator = next((one for one in _OPERATORS if one in text), "")
    key, _, wanted = text.partition(operator) if operator else (text, "", "")
    return key.strip(), operator, wanted.strip()


def _unreadable(key: str, wanted: str) -> str | None:
    if not re.fullmatch(_KEY, key):
        return f"the key {key!r} needs two or more characters, only letters, digits and . _ -"
    if not re.fullmatch(_VALUE, wanted):
        return f"the value {wanted!r} is empty or has a character that the managers do not take"
    return None
