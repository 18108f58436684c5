"""
Make the spec of a service from its options, and read its options from a spec. Pure.
"""

import copy
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from swarm_formula.spec import option_table
from swarm_formula.spec.service_options import FILES, OPTIONS, RERUN

# Changes elsewhere in the spec start and stop no task.
_OF_TASKS = {"TaskTemplate", "EndpointSpec", "Mode"}


def forced(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec that starts the tasks of a service again, and changes nothing else."""
    task = spec["TaskTemplate"]
    return {**spec, "TaskTemplate": {**task, "ForceUpdate": task.get("ForceUpdate", 0) + 1}}


def with_names(spec: Mapping[str, Any], networks: Mapping[str, str]) -> dict[str, Any]:
    """Return a spec with the names of its networks in place of their IDs."""
    result = copy.deepcopy(dict(spec))
    for one in result.get("TaskTemplate", {}).get("Networks") or []:
        one["Target"] = networks.get(one["Target"], one["Target"])
    return result


def network_ids(spec: Mapping[str, Any]) -> set[str]:
    """Return the IDs of a service's networks."""
    found = (spec.get("TaskTemplate") or {}).get("Networks") or []
    return {one["Target"] for one in found}


def versioned(
    wanted: Mapping[str, Any], versions: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """
    Return the wanted options with the names that secrets and configs have in Docker.

    versions
        ``{"secrets": {name in pillar: name in Docker}, "configs": ...}``; others keep their name.
    """
    result = dict(wanted)
    for key in FILES.keys() & wanted.keys():
        current = versions[key]
        renamed = [{**one, "name": current.get(one["name"], one["name"])} for one in wanted[key]]
        result[key] = FILES[key].normal(renamed)
    return result


def body(
    name: str, wanted: Mapping[str, Any], ids: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return the spec of a new service; ``ids`` is as for ``update``."""
    base = {
        "Name": name,
        "TaskTemplate": {"ContainerSpec": {}},
        "Mode": {"Replicated": {"Replicas": 1}},
    }
    return update(base, wanted, wanted, ids)


def update(
    spec: Mapping[str, Any],
    wanted: Mapping[str, Any],
    names: Collection[str],
    ids: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """
    Return a service's spec with the wanted values of some options, all else as it is.

    ids
        ``{"secrets": {name in Docker: ID}, "configs": ...}``.
    """
    result = option_table.merged(spec, wanted, names, OPTIONS)
    for key, files in FILES.items():
        *_, last = OPTIONS[key].path
        container = result["TaskTemplate"]["ContainerSpec"]
        if key in names and container.get(last):
            container[last] = files.with_ids(container[last], ids[key])
    return result


def diff(spec: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the differences between a service, with names of its networks, and the options."""
    return option_table.diff(spec, wanted, OPTIONS)


def options_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the options of a service that differ from Docker's defaults, by their dotted names.

    What the formula has no option for is left out.
    """
    result = {}
    for name, option in OPTIONS.items():
        if not option.path or option.shape is option_table.SECTION:
            continue
        value = option_table.current(found, option)
        if value != option.default and option_table.is_normal(option, value):
            result[name] = value
    if labels := result.pop("labels", {}):
        result["labels"] = {key: one for key, one in labels.items() if key != RERUN}
    return {name: one for name, one in result.items() if one != {}}


def whole(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the wanted options as all that a service may have: others get Docker's default.

    Its number of tasks stays, if it is not wanted.
    """
    there = options_of(found)
    result = dict(wanted)
    for name in there.keys() - wanted.keys():
        section = name.partition(".")[0]
        if OPTIONS[name].required or name == "rerun":
            continue
        if section in OPTIONS and not any(one.startswith(f"{section}.") for one in wanted):
            name = section  # noqa: PLW2901  the section as a whole
        result[name] = OPTIONS[name].default
    for name, option in OPTIONS.items():
        if option.by_key:
            result[name] = {**dict.fromkeys(there.get(name, {})), **wanted.get(name, {})}
    return result


def created(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes of a service that does not exist yet."""
    options = {key: one for key, one in wanted.items() if OPTIONS[key].path}
    changes = {key: {"old": None, "new": one} for key, one in options.items()}
    return {"state": {"old": "absent", "new": "running"}, **changes}


def shown(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes with a short hash in place of each value that looks secret."""
    return option_table.shown(changes, OPTIONS)


def moves_tasks(changes: Iterable[str]) -> bool:
    """Check whether changes of these options start or stop tasks."""
    return any(key not in OPTIONS or OPTIONS[key].path[0] in _OF_TASKS for key in changes)


def monitor(spec: Mapping[str, Any]) -> float:
    """Return the seconds that new tasks of a service must run to count as good."""
    raw: Any = (spec.get("UpdateConfig") or {}).get("Monitor")
    return raw / 1e9 if raw else 5.0
