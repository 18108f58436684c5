"""
Read the returns of state runs; a minion may return anything. Pure.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from swarm_formula.salt import minion_reports


def outcomes(returns: Mapping[str, Any], asked: Iterable[str]) -> dict[str, str]:
    """Return ``{member: reason}`` of failed joins, from the returns of the state ``swarm.join``."""
    reasons = {member: _reason(returns.get(member, "it does not answer")) for member in asked}
    return {member: minion_reports.shown(one) for member, one in reasons.items() if one}


def _reason(states: object) -> str:
    """Return why a state run failed, empty if it did not; a minion may return anything."""
    if not isinstance(states, dict):
        return "; ".join(map(str, states)) if isinstance(states, list) else str(states)
    odd = next((f"nonsense: {one!r}" for one in states.values() if not isinstance(one, dict)), "")
    bad = [
        str(one.get("comment"))
        for one in states.values()
        if isinstance(one, dict) and one.get("result") is False
    ]
    first = [text for text in bad if not text.startswith("One or more requisite")] or bad
    return first[0] if first else odd
