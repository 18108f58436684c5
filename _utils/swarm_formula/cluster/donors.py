"""
Choose the managers through which a node joins a cluster, by their records in Salt's mine. Pure.

A record is ``{"cluster": ..., "node": ..., "address": ..., "token": ...}``.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from swarm_formula.core import errors
from swarm_formula.core.settings_types import Settings

# Parts of Docker's errors for a token that is not the cluster's, or belongs to another CA.
_BAD_TOKEN = ("valid join token is necessary", "does not match fingerprint")


def is_record(value: object) -> bool:
    """Check whether this is a manager's record: the mine may contain any value."""
    keys = ("cluster", "node", "address", "token")
    return isinstance(value, Mapping) and all(isinstance(value.get(key), str) for key in keys)


def others(settings: Settings, records: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the records of the other managers in the pillar."""
    return {
        name: records[name]
        for name in settings["managers"]
        if name in records and name != settings["id"]
    }


def _digest(record: Mapping[str, Any]) -> str:
    """Return the part of a join token that binds it to the CA of its cluster."""
    token: str = record["token"]
    return token.rpartition("-")[0]


def donors(settings: Settings, records: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """
    Return the records of the managers through which this node may join, the preferred one first.

    Records of managers in the pillar count. The record of another member, such as a former manager,
    counts if its cluster ID and the CA in its token are the same. If no manager in the pillar has
    published a record, only a manager in the pillar accepts the records of other members, and only
    if all of them agree: otherwise, a member could lure nodes into a cluster of its own.
    """
    named = others(settings, records)
    rest = {
        name: one
        for name, one in records.items()
        if name not in settings["managers"] and name != settings["id"]
    }
    known = {(one["cluster"], _digest(one)) for one in (named or rest).values()}
    if named:
        return named | {
            name: one for name, one in rest.items() if (one["cluster"], _digest(one)) in known
        }
    if not settings["is_manager"]:
        return {}
    if len(known) > 1:
        raise errors.SwarmError(
            f"{listed(rest)} tell of clusters that differ by ID or CA, and none of them is in"
            " swarm:managers: nothing was changed. Apply swarm on these first; if that does not"
            " help, name the managers of the cluster that is wanted in swarm:managers, beside the"
            " new ones"
        )
    return rest


def reachable(settings: Settings, records: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Return ``{ID: token}`` of the managers through which to join, the preferred one first."""
    return {
        name: one["token"] for name, one in donors(settings, records).items() if one.get("token")
    }


def token_cure(said: str, name: str) -> str:
    """Return the remedy if a manager refuses its own published token, empty for other errors."""
    if not any(words in said for words in _BAD_TOKEN):
        return ""
    return (
        f" (the token or the CA was changed since {name} has told of it:"
        f" salt {name} swarm_builtin.tell, and apply again)"
    )


def listed(names: Iterable[str]) -> str:
    """Return names as a text."""
    return ", ".join(names)
