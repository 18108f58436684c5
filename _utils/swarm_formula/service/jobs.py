"""
Run the jobs of swarm mode: services whose tasks end.

Docker runs a job when it is created and whenever it is updated, and counts these iterations.
"""

from typing import Any

from swarm_formula.core import errors
from swarm_formula.docker import engine_api
from swarm_formula.service import api, rollout, task_log, watch


def run(client: Any, name: str, timeout: float, lines: int) -> dict[str, Any]:
    """
    Run a job again and wait until it ends; return whether it has completed, and its tasks.

    timeout
        Seconds to wait. A job that takes longer continues.

    lines
        Number of lines of the log of each task.
    """
    with engine_api.translated(f"job {name}"):
        service = api.find(client, name)
    _refuse_others(service)
    since = api.force(client, service)
    plan = api.Plan(name, {}, service, {})
    watched = watch.Watched(plan, timeout, True, since)
    failures = watch.watch(client, [watched])
    with engine_api.translated(f"job {name}"):
        service, tasks, nodes = api.find(client, name), client.tasks(), client.nodes()
    of_run = rollout.of_iteration(service, tasks)
    return {
        "job": name,
        "completed": not failures,
        "why not": failures.get(name, ""),
        "tasks": task_log.rows(client, service, of_run, nodes, lines),
    }


def check(client: Any, name: str) -> dict[str, Any]:
    """Return what a run will return, without the result; raise an error if it is no job."""
    service = api.look(client).services.get(name)
    if service:
        _refuse_others(service)
    return promised(name)


def promised(name: str) -> dict[str, Any]:
    """Return what the run of a job will return, without the result."""
    return {"job": name, "completed": None, "why not": "", "tasks": []}


def _refuse_others(service: dict[str, Any]) -> None:
    if not rollout.is_job(service):
        raise errors.SettingsError(
            f"service {service['Spec']['Name']} is no job, but {rollout.mode(service)}: to"
            " start its tasks again, use swarm_service.restart"
        )
