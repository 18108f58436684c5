"""
Tell whether the tasks of a service run as its spec says, and if not, why. Pure.

A service in swarm mode is only a wish: the managers start its tasks later, and an update may be
paused or rolled back. The managers restore the old spec before a rollback is complete, so comparing
specs is not enough.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from swarm_formula.cluster import node_info
from swarm_formula.core import normalize
from swarm_formula.service import unplaced
from swarm_formula.spec import service_values

RUNNING, COMPLETE = "running", "complete"
# States of an update in which the managers do nothing more, and words for them.
GIVEN_UP = {
    "paused": "paused the update",
    "rollback_paused": "paused the rollback",
    "rollback_completed": "rolled the service back to its previous spec",
}
PAUSED = {"paused", "rollback_paused"}
_UNDER_WAY = {"updating", "rollback_started"}
# Task keys that may differ although the task is the one that is wanted: constraints that it still
# satisfies, and a key that only the service has.
_IRRELEVANT = {"Placement", "Runtime"}
_MOST = 4  # causes that a message lists


class View(NamedTuple):
    """The tasks of a service at one moment."""

    wanted: int
    running: Mapping[str, float]  # ID of each wanted task that runs: since when, by the leader
    update: str  # state of its update, empty if there is none
    said: str  # what the managers say about the update
    missing: str  # why not all tasks run as wanted, empty if they do
    over: bool = False  # a job has failed: its tasks are not started again


def view(service: dict[str, Any], tasks: list[dict[str, Any]], nodes: list[dict[str, Any]]) -> View:
    """
    Return how the tasks of a service are; ``tasks`` may include those of other services.

    Those of a job count as running if they have completed.
    """
    if is_job(service):
        return _view_of_job(service, tasks, nodes)
    own = [one for one in tasks if one["ServiceID"] == service["ID"]]
    due = [one for one in own if is_due(one)]
    current = [one for one in due if _is_current(one, service)]
    running = {
        one["ID"]: normalize.stamp(one["UpdatedAt"])
        for one in current
        if one["DesiredState"] == one["Status"]["State"] == RUNNING
    }
    status = service.get("UpdateStatus") or {}
    update = status.get("State") or ""
    wanted = _wanted(service, due)
    missing = ""
    if (
        len(running) < wanted
        # After a service was scaled down, Docker has yet to stop the others.
        or len(due) > wanted
        or len(current) < len(due)
        or update in _UNDER_WAY
        or _is_empty(service, due)
    ):
        count = f"{len(running)} of {wanted} task(s) run with the wanted spec"
        missing = "; ".join([count, *causes(service, tasks, nodes, running)])
    return View(wanted, running, update, status.get("Message") or "", missing)


def is_due(task: dict[str, Any]) -> bool:
    """Check whether a task runs or is to run."""
    return task["DesiredState"] in {RUNNING, "ready", "accepted"}


def mode(service: dict[str, Any]) -> str:
    """Return the mode of a service: ``replicated``, ``global``..."""
    return service_values.mode_found(service["Spec"]["Mode"])


def is_job(service: dict[str, Any]) -> bool:
    """Check whether the tasks of a service are to end."""
    return mode(service) in service_values.JOBS


def of_iteration(service: dict[str, Any], tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the tasks of the latest run of a job."""
    number = _iteration(service.get("JobStatus"))
    return [one for one in tasks if one["ServiceID"] == service["ID"] and _iteration(one) == number]


def _iteration(thing: dict[str, Any] | None) -> int:
    # Docker leaves a zero out.
    number: int = ((thing or {}).get("JobIteration") or {}).get("Index", 0)
    return number


def _view_of_job(
    service: dict[str, Any], tasks: list[dict[str, Any]], nodes: list[dict[str, Any]]
) -> View:
    own = of_iteration(service, tasks)
    done = {
        one["ID"]: normalize.stamp(one["UpdatedAt"])
        for one in own
        if one["Status"]["State"] == COMPLETE
    }
    job = service["Spec"]["Mode"].get("ReplicatedJob")
    places = list(_places(own, service))
    wanted = len(places) if job is None else job.get("TotalCompletions", 1)
    if len(done) >= wanted and (places or job is not None):
        return View(wanted, done, "", "", "")
    count = f"{len(done)} of {wanted} task(s) have completed"
    missing = "; ".join([count, *_causes(service, own, nodes, done, tasks)])
    return View(wanted, done, "", "", missing, _is_over(service, own))


def _is_over(service: dict[str, Any], tasks: list[dict[str, Any]]) -> bool:
    """Check whether a job has failed: no task is due, or one has failed that is not to restart."""
    policy = service["Spec"]["TaskTemplate"].get("RestartPolicy") or {}
    # The managers fill the place of a failed task again, whatever the policy says.
    if policy.get("Condition") == "none" and any(
        one["Status"]["State"] in {"failed", "rejected"} for one in tasks
    ):
        return True
    return bool(tasks) and not any(_may_complete(one) for one in tasks)


def _may_complete(task: dict[str, Any]) -> bool:
    return task["Status"]["State"] not in unplaced.ENDED and task["DesiredState"] in {
        COMPLETE,
        RUNNING,
        "ready",
        "accepted",
    }


def _wanted(service: dict[str, Any], due: list[dict[str, Any]]) -> int:
    replicated = service["Spec"]["Mode"].get("Replicated")
    if replicated is not None:
        count: int = replicated.get("Replicas", 1)
        return count
    # The managers create a task for each node that may run it.
    return len({one.get("NodeID") for one in due})


def _is_empty(service: dict[str, Any], due: list[dict[str, Any]]) -> bool:
    return mode(service) == "global" and not due


def _is_current(task: dict[str, Any], service: dict[str, Any]) -> bool:
    return _essence(task["Spec"]) == _essence(service["Spec"]["TaskTemplate"])


def _essence(spec: dict[str, Any]) -> dict[str, Any]:
    return {key: _filled(one) for key, one in spec.items() if key not in _IRRELEVANT and one}


def _filled(value: object) -> object:
    if isinstance(value, dict):
        return {key: _filled(one) for key, one in value.items() if one or one is False}
    return [_filled(one) for one in value] if isinstance(value, list) else value


def causes(
    service: dict[str, Any],
    tasks: list[dict[str, Any]],
    nodes: list[dict[str, Any]],
    running: Mapping[str, float] = {},
) -> list[str]:
    """
    Return why tasks of a service do not run: their own errors, with the names of their nodes.

    tasks
        Those of all services.
    """
    own = [one for one in tasks if one["ServiceID"] == service["ID"]]
    return _causes(service, own, nodes, running, tasks)


def _causes(
    service: dict[str, Any],
    own: list[dict[str, Any]],
    nodes: list[dict[str, Any]],
    running: Mapping[str, float],
    every: list[dict[str, Any]],
) -> list[str]:
    found: dict[str, list[str]] = {}
    for place in _places(own, service):
        if not any(one["ID"] in running for one in place):
            task, text = _told(place, service)
            found.setdefault(text, []).append(_title(service, task, nodes))
    texts = [f"{_joined(titles)}: {text}" for text, titles in found.items()]
    more = [f"and {len(texts) - _MOST} other causes"] if len(texts) > _MOST else []
    return [*texts[:_MOST], *more, *unplaced.reasons(service, own, every, nodes)]


def errors(
    service: dict[str, Any], tasks: list[dict[str, Any]], nodes: list[dict[str, Any]], since: float
) -> list[str]:
    """Return the errors of tasks that were created after ``since``, whatever spec they had."""
    failed = [
        one
        for one in tasks
        if one["ServiceID"] == service["ID"]
        and one["Status"].get("Err")
        and normalize.stamp(one["CreatedAt"]) >= since
    ]
    return _causes(service, failed, nodes, {}, tasks) if failed else []


def _places(tasks: list[dict[str, Any]], service: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """Yield the tasks of each slot, or of each node for a global service, the newest first."""
    slots: dict[object, list[dict[str, Any]]] = {}
    for task in sorted(tasks, key=lambda one: one["CreatedAt"], reverse=True):
        key = task.get("NodeID") if mode(service).startswith("global") else task.get("Slot", 0)
        slots.setdefault(key, []).append(task)
    for slot in slots.values():
        if slot[0]["DesiredState"] != "remove":
            yield slot


def _told(place: list[dict[str, Any]], service: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the task of a slot that tells most about its state, and what it tells."""
    # The error of a task with a former spec has nothing to do with how the wanted one starts.
    current = [one for one in place if _is_current(one, service)]
    failed = next((one for one in current or place if one["Status"].get("Err")), None)
    if failed:
        return failed, failed["Status"]["Err"]
    if not current:
        return place[0], "still has the former spec"
    return current[0], f"is {current[0]['Status']['State']} ({current[0]['Status'].get('Message')})"


def _title(service: dict[str, Any], task: dict[str, Any], nodes: list[dict[str, Any]]) -> str:
    name = service["Spec"]["Name"]
    name += f".{task['Slot']}" if task.get("Slot") else ""
    node = node_info.by_id(nodes).get(task.get("NodeID") or "")
    return f"{name} on {node['Description'].get('Hostname') or node['ID']}" if node else name


def _joined(titles: list[str]) -> str:
    shown = ", ".join(titles[:_MOST])
    return f"{shown} and {len(titles) - _MOST} more" if len(titles) > _MOST else shown


def task_row(
    service: dict[str, Any], task: dict[str, Any], nodes: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return a task for a list: its name and node, state, exit code, and error."""
    status = task["Status"]
    return {
        "task": _title(service, task, nodes),
        "state": status["State"],
        "exit code": (status.get("ContainerStatus") or {}).get("ExitCode", 0),
        "error": status.get("Err", ""),
    }


def newest(service: dict[str, Any], tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the newest task of each slot, or of each node."""
    tasks = [one for one in tasks if one["ServiceID"] == service["ID"]]
    return [place[0] for place in _places(tasks, service)]


def history(
    service: dict[str, Any], tasks: list[dict[str, Any]], nodes: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return all tasks of a service for a list, by their slots, the newest first."""
    tasks = [one for one in tasks if one["ServiceID"] == service["ID"]]
    return [
        {
            **task_row(service, one, nodes),
            "wanted": one["DesiredState"],
            "since": one["Status"].get("Timestamp", "")[:19],
            "image": one["Spec"]["ContainerSpec"]["Image"],
        }
        for place in _places(tasks, service)
        for one in place
    ]


def row(
    service: dict[str, Any], tasks: list[dict[str, Any]], nodes: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return a service for a list: mode, image, tasks wanted and running, why not all run."""
    found = view(service, tasks, nodes)
    return {
        "service": service["Spec"]["Name"],
        "mode": mode(service),
        "image": service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"],
        "wanted": found.wanted,
        "running": len(found.running),
        "update": found.update,
        "since": _since(service, tasks),
        "why not": found.missing,
    }


def _since(service: dict[str, Any], tasks: list[dict[str, Any]]) -> str:
    """Return when a task of a service last changed its state, or else the service itself."""
    found = [one["Status"].get("Timestamp") or one["UpdatedAt"] for one in newest(service, tasks)]
    latest: str = max(found, default=service["UpdatedAt"])
    return latest[:19]
