"""
List the containers of a service in classic mode as the tasks of builtin mode are: node, state, log.

Works through a manager, whatever node they run on.
"""

from typing import Any

from swarm_formula.classic import service_plan, watch
from swarm_formula.classic.service_plan import Listed
from swarm_formula.core import errors, faults
from swarm_formula.docker import container_actions, engine_api


def of_service(client: Any, name: str) -> dict[str, Listed]:
    """Return the containers of a service; raise an error if the swarm has none of this name."""
    listed = service_plan.look(client)
    known = {one.service for one in listed.values()} - {""}
    if name not in known:
        hint = faults.suggest(name, known)
        raise errors.SwarmError(f"the swarm has no service {name}{hint}")
    own = {one: listed[one] for one in service_plan.containers_of(name, listed)}
    return dict(sorted(own.items(), key=lambda pair: (len(pair[0]), pair[0])))


def rows(client: Any, name: str) -> list[dict[str, Any]]:
    """Return the containers of a service, by their numbers."""
    return [_row(client, one, about) for one, about in of_service(client, name).items()]


def logs(client: Any, name: str, lines: int) -> list[dict[str, Any]]:
    """Return the containers of a service with the last lines of their logs."""
    return [
        {**_row(client, one, about), "log": _log(client, one, about, lines)}
        for one, about in of_service(client, name).items()
    ]


def _row(client: Any, name: str, about: Listed) -> dict[str, Any]:
    found = None
    if not about.down:
        with engine_api.translated(f"container {name}"):
            found = engine_api.container(client, name)
    if found is None:
        why = (
            "its engine does not answer the managers" if about.down else "it has just been removed"
        )
        empty = {"exit code": 0, "wanted": "running", "since": "", "image": ""}
        return {"task": f"{name} on {about.node}", "state": "unknown", "error": why, **empty}
    state = found["State"]
    ended = container_actions.status(found) in {"exited", "dead"}
    return {
        "task": watch.title(found),
        "state": container_actions.status(found),
        "exit code": state["ExitCode"],
        "error": state["Error"],
        "wanted": "running",
        "since": (state.get("FinishedAt" if ended else "StartedAt") or "")[:19],
        "image": found["Config"]["Image"],
    }


def _log(client: Any, name: str, about: Listed, lines: int) -> list[str]:
    if about.down or not lines:
        return []
    return container_actions.logs(client, name, lines).splitlines()
