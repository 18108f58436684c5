"""
Check the shape of the reports of minions before they are used. Pure.

A report comes from a minion, which may be compromised: it is displayed, and never trusted on which
node another minion has.
"""

import swarm_errors

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
    "engine": str,
    "state": str,
    "error": str,
    "availability": str | None,
}
_OPTIONAL = {"mode": "classic", "ca": None, "state": "", "error": "", "availability": None}
_SERVICE = {
    "service": str,
    "mode": str,
    "image": str,
    "wanted": int,
    "running": int,
    "update": str,
    "why not": str,
}
_TASK = ("task", "state", "wanted", "since", "exit code", "image", "error")
_NODE = {"name": str, "address": str, "status": str, "error": str, "version": str}


def _fault(value: dict, shape: dict) -> str | None:
    """Return the first key that is missing or has a value of another type."""
    return next((key for key, kind in shape.items() if not isinstance(value.get(key), kind)), None)


def _odd_label(labels: dict | str) -> str | None:
    """Return the first label whose value is not a plain one."""
    pairs = labels.items() if isinstance(labels, dict) else ()
    return next((f"label {key}" for key, one in pairs if isinstance(one, dict | list)), None)


def read(value: object) -> dict | str:
    """Return a member's report, or a text that explains why there is none."""
    if not isinstance(value, dict):
        return value if isinstance(value, str) else "its report is none: no dictionary"
    report = {**_OPTIONAL, **value}
    if fault := _fault(report, _REPORT) or _odd_label(report["labels"]):
        return f"its report is none: {fault} is missing or wrong"
    return report


def read_managers(value: object) -> dict:
    """Return the managers' answer if it has the shape of ``swarm_node.managers``, else ``{}``."""
    if not isinstance(value, dict) or not all(map(_is_manager, value.values())):
        return {}
    return value


def _is_manager(one: object) -> bool:
    if not isinstance(one, dict):
        return False
    if "role" not in one:
        return "error" in one
    known = one.get("nodes")
    return (
        isinstance(one["role"], str)
        and isinstance(known, dict)
        and all(map(_is_node, known.values()))
    )


def _is_node(one: object) -> bool:
    return isinstance(one, dict) and not _fault(one, _NODE)


def read_services(value: object, swarm: str) -> list[dict] | None:
    """Return a manager's services with the name of its swarm, ``None`` if that is no such list."""
    if not isinstance(value, list) or not all(map(_is_service, value)):
        return None
    return [{"swarm": swarm, **{key: one[key] for key in _SERVICE}} for one in value]


def _is_service(one: object) -> bool:
    return isinstance(one, dict) and not _fault(one, _SERVICE)


def read_tasks(value: object) -> list[dict] | None:
    """Return a manager's tasks of a service as texts, ``None`` if that is no such list."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        return None
    return [{key: str(one.get(key, "")) for key in _TASK} for one in value]


def shown(value: object) -> str:
    """Return a text for a table: characters that would break its lines are escaped."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(value))


def names(minion: str) -> set[str]:
    """Return the possible host names of a minion: its ID, with and without the domain."""
    return {minion, minion.partition(".")[0]}


def sole(member: str, key: str, hostname: str | None, reports: dict, members: object) -> str:
    """
    Return the key of a member's node; raise an error if another member may have the same node.

    key
        Its node ID, or the address of its engine, as the member reports it or by its host name.

    hostname
        The name of the node in the managers' list, ``None`` if they do not list it.
    """
    owners = {
        name
        for name, one in reports.items()
        if name != member and isinstance(one, dict) and one["endpoint"] == key
    }
    for name in members:
        exact = hostname == name
        if name != member and (
            exact or (hostname in names(name) and hostname not in names(member))
        ):
            owners.add(name)
    if owners:
        raise swarm_errors.SwarmError(
            f"{member} was not removed: its node {key} is also that of {', '.join(sorted(owners))}."
            " Maybe the ID is misspelt, one disk is a copy of the other, or one of them lies: look"
            " at both ('docker info')"
        )
    return key
