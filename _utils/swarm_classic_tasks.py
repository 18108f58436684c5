"""
List the containers of a service in classic mode as the tasks of builtin mode are: node, state, log.

Works through a manager, whatever node they run on.
"""

from typing import Any

import swarm_actions
import swarm_classic_plan as planning
import swarm_classic_watch
import swarm_docker
import swarm_errors
import swarm_fault
from swarm_classic_plan import Listed


def of_service(client: Any, name: str) -> dict[str, Listed]:
    """Return the containers of a service; raise an error if the swarm has none of this name."""
    listed = planning.look(client)
    known = {one.service for one in listed.values()} - {""}
    if name not in known:
        hint = swarm_fault.suggest(name, known)
        raise swarm_errors.SwarmError(f"the swarm has no service {name}{hint}")
    own = {one: about for one, about in listed.items() if about.service == name}
    return dict(sorted(own.items(), key=lambda pair: (len(pair[0]), pair[0])))


def rows(client: Any, name: str) -> list[dict]:
    """Return the containers of a service, by their numbers."""
    return [_row(client, one, about) for one, about in of_service(client, name).items()]


def logs(client: Any, name: str, lines: int) -> list[dict]:
    """Return the containers of a service with the last lines of their logs."""
    return [
        {**_row(client, one, about), "log": _log(client, one, about, lines)}
        for one, about in of_service(client, name).items()
    ]


def _row(client: Any, name: str, about: Listed) -> dict:
    found = None
    if not about.down:
        with swarm_docker.translated(f"container {name}"):
            found = swarm_docker.container(client, name)
    if found is None:
        why = (
            "its engine does not answer the managers" if about.down else "it has just been removed"
        )
        empty = {"exit code": 0, "wanted": "running", "since": "", "image": ""}
        return {"task": f"{name} on {about.node}", "state": "unknown", "error": why, **empty}
    state = found["State"]
    ended = swarm_actions.status(found) in {"exited", "dead"}
    return {
        "task": swarm_classic_watch.title(found),
        "state": swarm_actions.status(found),
        "exit code": state["ExitCode"],
        "error": state["Error"],
        "wanted": "running",
        "since": (state.get("FinishedAt" if ended else "StartedAt") or "")[:19],
        "image": found["Config"]["Image"],
    }


def _log(client: Any, name: str, about: Listed, lines: int) -> list[str]:
    if about.down or not lines:
        return []
    return swarm_actions.logs(client, name, lines).splitlines()
