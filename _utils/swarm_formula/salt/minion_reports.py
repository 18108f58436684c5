"""
Check the shape of the reports of minions before they are used. Pure.

A report comes from a minion, which may be compromised: it is displayed, and never trusted on which
node another minion has.
"""

from collections.abc import Iterable, Mapping
from typing import Any, overload

from swarm_formula.core import errors, modes

_REPORT = {
    "mode": str,
    "address": str,
    "endpoint": str,
    "manager": bool,
    "server": bool,
    "managers": dict,
    "servers": dict,
    "labels": dict | str,
    "ca": str | None,
    "registry": str | None,
    "engine": str,
    "state": str,
    "error": str,
    "availability": str | None,
}
_OPTIONAL = {
    "mode": modes.DEFAULT,
    "ca": None,
    "registry": None,
    "state": "",
    "error": "",
    "availability": None,
}
_SERVICE = {
    "service": str,
    "mode": str,
    "image": str,
    "wanted": int,
    "running": int,
    "update": str,
    "since": str,
    "why not": str,
}
# Former versions have no time.
_SERVICE_OPTIONAL = {"since": ""}
_TASK = ("task", "state", "wanted", "since", "exit code", "image", "error")
_NODE = {
    "name": str,
    "address": str,
    "status": str,
    "error": str,
    "version": str,
    "role": str,
    "hostname": str,
    "labels": dict | str,
    "id": str,
    "updated": str,
}
# Classic mode has no role and no ID; former versions have no host name, and no time.
_NODE_OPTIONAL = {"role": "", "hostname": "", "labels": "", "id": "", "updated": ""}
# A minion may send texts and structures of any size.
_LONGEST, _DEEPEST = 4000, 8


def _fault(value: Mapping[str, Any], shape: Mapping[str, Any]) -> str | None:
    """Return the first key that is missing or has a value of another type."""
    return next((key for key, kind in shape.items() if not isinstance(value.get(key), kind)), None)


def _odd(report: Mapping[str, Any]) -> str | None:
    """Return the first mapping of a report that is not one of texts to plain values."""
    return next((key for key in ("managers", "servers", "labels") if not _flat(report[key])), None)


def _flat(value: dict[str, Any] | str) -> bool:
    pairs = value.items() if isinstance(value, dict) else ()
    return all(isinstance(key, str) and not isinstance(one, dict | list) for key, one in pairs)


def read(value: object) -> dict[str, Any] | str:
    """Return a member's report, or a text that explains why there is none."""
    if not isinstance(value, dict):
        return value if isinstance(value, str) else "its report is nonsense: no dictionary"
    report = {**_OPTIONAL, **value}
    if fault := _fault(report, _REPORT) or _odd(report):
        return f"its report is nonsense: {fault} is missing or wrong"
    return report


def read_managers(value: object) -> dict[str, Any] | None:
    """
    Return an answer of ``swarm_node.managers``, ``None`` if it is nonsense.

    ``{}`` if the minion knows of no managers, or answers with the text of an error.
    """
    if isinstance(value, str) or value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        return None
    found = {name: _manager(one) for name, one in value.items()}
    return None if None in found.values() else found


def _manager(one: object) -> dict[str, Any] | None:
    if not isinstance(one, dict):
        return None
    if "role" not in one:
        return {"error": str(one["error"])} if "error" in one else None
    known = one.get("nodes")
    if not isinstance(one["role"], str) or not isinstance(known, dict):
        return None
    nodes = {key: _node(node) for key, node in known.items()}
    if None in nodes.values() or not all(isinstance(key, str) for key in nodes):
        return None
    return {**one, "nodes": nodes}


def _node(value: object) -> dict[str, Any] | None:
    node = {**_NODE_OPTIONAL, **value} if isinstance(value, dict) else {}
    return None if _fault(node, _NODE) or not _flat(node["labels"]) else node


def hostname(node: Mapping[str, Any]) -> str:
    """
    Return the host name of a node in the managers' list.

    In builtin mode, the name in the list is the ID of the minion that claims the node.
    """
    found: str = node.get("hostname") or node["name"]
    return found


def read_servers(answers: Iterable[object]) -> tuple[set[str], set[str]]:
    """Return the Consul servers that are alive, and the voters, from ``swarm_consul.status``."""
    told = [one for one in answers if isinstance(one, dict)]
    alive, voters = (
        {name for one in told for name in _texts(one.get(key))} for key in ("servers", "voters")
    )
    return alive, voters


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def read_services(value: object, swarm: str) -> list[dict[str, Any]] | None:
    """Return a manager's services with the name of its swarm, ``None`` if that is no such list."""
    if not isinstance(value, list):
        return None
    found = [{**_SERVICE_OPTIONAL, **one} if isinstance(one, dict) else {} for one in value]
    if any(_fault(one, _SERVICE) for one in found):
        return None
    return [{"swarm": swarm, **{key: one[key] for key in _SERVICE}} for one in found]


def read_tasks(value: object) -> list[dict[str, Any]] | None:
    """Return a manager's tasks of a service as texts, ``None`` if that is no such list."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        return None
    return [{key: str(one.get(key, "")) for key in _TASK} for one in value]


def read_logs(value: object) -> list[dict[str, Any]] | None:
    """Return a manager's tasks of a service with their logs, ``None`` if that is no such list."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        return None
    return value if all(isinstance(one.get("log"), list | None) for one in value) else None


def read_rotation(value: object) -> dict[str, Any] | str:
    """Return the state of a CA's rotation, or a text that explains why there is none."""
    if not isinstance(value, dict):
        return value if isinstance(value, str) else "its answer is nonsense: no dictionary"
    late = value.get("waits for")
    if not isinstance(value.get("changing"), bool) or not isinstance(late, list):
        return "its answer is nonsense: 'changing' or 'waits for' is missing or wrong"
    return {**value, "waits for": _texts(late)}


def shown(value: object) -> str:
    """Return a text for a table: characters that would break its lines are escaped."""
    text = str(value)
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


@overload
def plain(value: dict[str, Any]) -> dict[str, Any]: ...


@overload
def plain(value: list[Any]) -> list[Any]: ...


def plain(value: object) -> object:
    """Return a value with all its texts as they may be shown: a minion may have sent any of it."""
    return _plain(value, 0)


def _plain(value: object, depth: int) -> object:
    if depth > _DEEPEST:
        return "..."
    if isinstance(value, dict):
        return {shown(key): _plain(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, depth + 1) for one in value]
    return value if isinstance(value, bool | int | float | None) else shown(value)


def names(minion: str) -> set[str]:
    """Return the possible host names of a minion: its ID, with and without the domain."""
    return {minion, minion.partition(".")[0]}


def _named(known: Mapping[str, Mapping[str, Any]], member: str) -> list[str]:
    """Return the keys of the nodes whose host has a member's name; the full name goes first."""
    exact = [key for key, node in known.items() if hostname(node) == member]
    return exact or [key for key, node in known.items() if hostname(node) in names(member)]


def key_of(
    member: str, report: object, known: Mapping[str, Mapping[str, Any]], chosen: str | None
) -> str | None:
    """
    Return the key of a member's node in the managers' list; ``None`` if they list none.

    The host name in the list decides. A member's own report only selects between several nodes with
    its name: it must not be able to name another one. Raises an error if the two contradict.

    chosen
        The key that the operator gives, if any.
    """
    if chosen:
        if chosen not in known:
            raise _kept(member, f"the managers list no node {chosen}")
        return chosen
    own = report["endpoint"] if isinstance(report, dict) else ""
    named = _named(known, member)
    if own in named or (own not in known and len(named) == 1):
        return own if own in named else named[0]
    if own not in known and not named:
        return None
    listed = [
        f"{key} as {hostname(known[key])}" for key in dict.fromkeys([*named, own]) if key in known
    ]
    raise _kept(
        member,
        f"which node it has is not certain: the managers list {' and '.join(listed)}"
        f"{f', and it says it is {own}' if own in known else ''}. Give the right one as node=,"
        " after a look at that host ('docker info')",
    )


def _kept(member: str, why: str) -> errors.SwarmError:
    return errors.SwarmError(f"{member} was not removed: {why}")


def sole(  # noqa: PLR0913, PLR0917
    member: str,
    key: str,
    host: str | None,
    reports: Mapping[str, object],
    members: Iterable[str],
    chosen: bool = False,
) -> str:
    """
    Return the key of a member's node; raise an error if another member may have the same node.

    host
        The host name of the node in the managers' list, ``None`` if they do not list it.

    chosen
        The operator has given the key: what other members report of themselves does not count.
    """
    owners = {
        name
        for name, one in reports.items()
        if not chosen and name != member and isinstance(one, dict) and one["endpoint"] == key
    }
    for name in members:
        exact = host == name
        if name != member and (exact or (host in names(name) and host not in names(member))):
            owners.add(name)
    if owners:
        cure = "" if chosen else ", and give the right node as node="
        raise _kept(
            member,
            f"its node {key} is also that of {', '.join(sorted(owners))}. Maybe the ID is misspelt,"
            f" one disk is a copy of the other, or one of them lies: look at both ('docker info')"
            f"{cure}",
        )
    return key
