"""
Ask the managers of the swarms under one master about their services.
"""

import swarm_errors
import swarm_fleet
import swarm_fleet_status
import swarm_report
from swarm_fleet import Swarm
from swarm_master import Master


def rows(master: Master, swarm: str | None = None) -> list[dict]:
    """Return the services of all swarms; raise an error if no manager of a swarm lists them."""
    found, silent = [], []
    for one in swarm_fleet_status.swarms(master, swarm):
        listed = _listed(master, one)
        found += listed or []
        silent += [one.name] if listed is None else []
    found = swarm_report.plain(found)
    if silent:
        raise swarm_errors.SwarmError(
            f"no manager lists the services of {' and '.join(silent)}: see salt-run swarm.status"
        )
    return found


def _managers(swarm: Swarm) -> list[str]:
    return [name for name in swarm.managers if name in swarm.members]


def _listed(master: Master, swarm: Swarm) -> list[dict] | None:
    """Return the services of a swarm; ``None`` if no manager answers with a list."""
    for manager in _managers(swarm):
        said = master.ask([manager], "swarm_service.status").get(manager)
        if (found := swarm_report.read_services(said, swarm.name)) is not None:
            return found
    return None


def tasks(master: Master, service: str, swarm: str | None = None) -> list[dict]:
    """Return the tasks of a service."""
    answer = of_service(master, service, swarm, "swarm_service.tasks", service)
    found = swarm_report.read_tasks(answer)
    if found is None:
        raise swarm_errors.SwarmError(f"no manager lists the tasks of {service}")
    return found


def logs(master: Master, service: str, lines: int = 20, swarm: str | None = None) -> list[dict]:
    """Return the last lines of the log of each task of a service."""
    answer = of_service(master, service, swarm, "swarm_service.logs", service, lines=lines)
    found = swarm_report.read_logs(answer)
    if found is None:
        raise swarm_errors.SwarmError(f"no manager has the logs of {service}")
    return found


def log_text(found: list[dict]) -> str:
    """Return the logs of tasks as a text, with the task before each line."""
    return "\n".join(
        f"{swarm_report.shown(one.get('task'))}  {swarm_report.shown(line)}"
        for one in found
        for line in one.get("log") or []
    )


def of_service(
    master: Master, service: str, swarm: str | None, function: str, *args: object, **kwargs: object
) -> dict | list:
    """Return what the managers of the swarm that has a service answer, as it may be shown."""
    having = [
        one
        for one in swarm_fleet_status.swarms(master, swarm)
        if any(row["service"] == service for row in _listed(master, one) or [])
    ]
    if not having:
        raise swarm_errors.SwarmError(f"no swarm has a service {service}: salt-run swarm.services")
    one = swarm_fleet.only(having, f"service {service}")
    return swarm_report.plain(_first_answer(master, one, function, *args, **kwargs))


def export(master: Master, swarm: str | None = None) -> dict | list:
    """Return the pillar of a swarm in builtin mode."""
    one = swarm_fleet.only(swarm_fleet_status.swarms(master, swarm), "nothing was exported")
    found = _first_answer(master, one, "swarm_service.export")
    # In YAML it becomes pillar again, and Salt escapes there what a terminal would obey.
    return found if master.opts.get("output") == "yaml" else swarm_report.plain(found)


def _first_answer(
    master: Master, swarm: Swarm, function: str, *args: object, **kwargs: object
) -> dict | list:
    """Ask a swarm's managers one by one, until one answers; the others have no answer."""
    said = "none of them answers"
    for manager in _managers(swarm):
        answer = master.ask([manager], function, *args, **kwargs).get(manager)
        if isinstance(answer, dict | list):
            return answer
        said = answer or said
    why = swarm_report.shown(said)
    raise swarm_errors.SwarmError(f"{function} by the managers {swarm.name}: {why}")
