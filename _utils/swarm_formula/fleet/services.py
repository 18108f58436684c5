"""
Ask the managers of the swarms under one master about their services.
"""

from typing import Any

from swarm_formula.core import errors
from swarm_formula.fleet import status, swarms
from swarm_formula.fleet.swarms import Swarm
from swarm_formula.salt import minion_reports
from swarm_formula.salt.runner import Master


def rows(master: Master, swarm: str | None = None) -> list[dict[str, Any]]:
    """Return the services of all swarms; raise an error if no manager of a swarm lists them."""
    found, silent = [], []
    for one in status.swarms(master, swarm):
        listed = _listed(master, one)
        found += listed or []
        silent += [one.name] if listed is None else []
    found = minion_reports.plain(found)
    if silent:
        raise errors.SwarmError(
            f"no manager lists the services of {' and '.join(silent)}: see salt-run swarm.status"
        )
    return found


def _managers(swarm: Swarm) -> list[str]:
    return [name for name in swarm.managers if name in swarm.members]


def _listed(master: Master, swarm: Swarm) -> list[dict[str, Any]] | None:
    """Return the services of a swarm; ``None`` if no manager answers with a list."""
    for manager in _managers(swarm):
        said = master.ask([manager], "swarm_service.status").get(manager)
        if (found := minion_reports.read_services(said, swarm.name)) is not None:
            return found
    return None


def tasks(master: Master, service: str, swarm: str | None = None) -> list[dict[str, Any]]:
    """Return the tasks of a service."""
    answer = of_service(master, service, swarm, "swarm_service.tasks", service)
    found = minion_reports.read_tasks(answer)
    if found is None:
        raise errors.SwarmError(f"no manager lists the tasks of {service}")
    return found


def logs(
    master: Master, service: str, lines: int = 20, swarm: str | None = None
) -> list[dict[str, Any]]:
    """Return the last lines of the log of each task of a service."""
    answer = of_service(master, service, swarm, "swarm_service.logs", service, lines=lines)
    found = minion_reports.read_logs(answer)
    if found is None:
        raise errors.SwarmError(f"no manager has the logs of {service}")
    return found


def log_text(found: list[dict[str, Any]]) -> str:
    """Return the logs of tasks as a text, with the task before each line."""
    return "\n".join(
        f"{minion_reports.shown(one.get('task'))}  {minion_reports.shown(line)}"
        for one in found
        for line in one.get("log") or []
    )


def of_service(
    master: Master, service: str, swarm: str | None, function: str, *args: object, **kwargs: object
) -> dict[str, Any] | list[Any]:
    """Return what the managers of the swarm that has a service answer, as it may be shown."""
    having = [
        one
        for one in status.swarms(master, swarm)
        if any(row["service"] == service for row in _listed(master, one) or [])
    ]
    if not having:
        raise errors.SwarmError(f"no swarm has a service {service}: salt-run swarm.services")
    one = swarms.only(having, f"service {service}")
    return minion_reports.plain(_first_answer(master, one, function, *args, **kwargs))


def export(master: Master, swarm: str | None = None) -> dict[str, Any] | list[Any]:
    """Return the pillar of a swarm in builtin mode."""
    one = swarms.only(status.swarms(master, swarm), "nothing was exported")
    found = _first_answer(master, one, "swarm_service.export")
    # In YAML it becomes pillar again, and Salt escapes there what a terminal would obey.
    return found if master.opts.get("output") == "yaml" else minion_reports.plain(found)


def _first_answer(
    master: Master, swarm: Swarm, function: str, *args: object, **kwargs: object
) -> dict[str, Any] | list[Any]:
    """Ask a swarm's managers one by one, until one answers; the others have no answer."""
    said = "none of them answers"
    for manager in _managers(swarm):
        answer = master.ask([manager], function, *args, **kwargs).get(manager)
        if isinstance(answer, dict | list):
            return answer
        said = answer or said
    why = minion_reports.shown(said)
    raise errors.SwarmError(f"{function} by the managers {swarm.name}: {why}")
