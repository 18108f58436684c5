"""
Keep what the earlier states of a dry run would have made and removed, for the later ones.

Without it, a dry run would refuse a service whose secret an earlier state of the same run creates.
"""

from collections.abc import Mapping, MutableMapping, Set
from typing import Any, NamedTuple

_KEY = "swarm-formula.dry-run"
_NETWORKS, _SERVICES = "networks", "services"
_KINDS = ("secrets", "configs")
_VERSION, _STATE = "version", "state"


class Pending(NamedTuple):
    """What exists, or no longer exists, only after earlier states of a dry run."""

    networks: Set[str]
    versions: Mapping[str, Mapping[str, str]]  # {"secrets": {name in pillar: in Docker}, ...}
    gone: Set[str] = frozenset()  # services


NOTHING_PENDING = Pending(frozenset(), {})


def _notes(context: MutableMapping[str, Any]) -> dict[str, Any]:
    empty: dict[str, Any] = {_NETWORKS: set(), _SERVICES: set(), **{kind: {} for kind in _KINDS}}
    notes: dict[str, Any] = context.setdefault(_KEY, empty)
    return notes


def noted(context: MutableMapping[str, Any], test: bool) -> Pending:
    """Return what was noted in this dry run; ``context`` is ``__context__``."""
    if not test:
        return NOTHING_PENDING
    notes = _notes(context)
    return Pending(notes[_NETWORKS], {kind: notes[kind] for kind in _KINDS}, notes[_SERVICES])


def merged(one: Pending, other: Pending) -> Pending:
    """Return what is pending by either of two."""
    kinds = one.versions.keys() | other.versions.keys()
    versions = {
        kind: {**one.versions.get(kind, {}), **other.versions.get(kind, {})} for kind in kinds
    }
    return Pending(one.networks | other.networks, versions, one.gone | other.gone)


def note(
    context: MutableMapping[str, Any], kind: str, changes: Mapping[str, Mapping[str, Any]]
) -> None:
    """Note the networks, services, secrets or configs that would be made or removed."""
    notes = _notes(context)[kind]
    for name, change in changes.items():
        state = (change.get(_STATE) or {}).get("new")
        if kind in _KINDS:
            notes |= {name: change[_VERSION]["new"]} if _VERSION in change else {}
        elif state == {_NETWORKS: "present", _SERVICES: "absent"}[kind]:
            notes.add(name)
