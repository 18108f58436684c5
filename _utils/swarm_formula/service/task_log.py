"""
Read the logs of tasks through a manager, whatever node they run or ran on.
"""

from typing import Any

from swarm_formula.core import errors
from swarm_formula.docker import engine_api
from swarm_formula.service import rollout

# A node that is down does not answer; Docker would wait for it.
_SILENCE = 10
_HEADER = 8


def rows(
    client: Any,
    service: dict[str, Any],
    tasks: list[dict[str, Any]],
    nodes: list[dict[str, Any]],
    lines: int,
) -> list[dict[str, Any]]:
    """Return a row for each of these tasks of a service, with the last lines of its log."""
    return [
        {
            **rollout.task_row(service, one, nodes),
            "log": last_lines(client, one, lines),
        }
        for one in tasks
    ]


def last_lines(client: Any, task: dict[str, Any], lines: int) -> list[str]:
    """Return the last lines of a task's log; if it cannot be read, the reason in its place."""
    path = f"/tasks/{task['ID']}/logs?stdout=1&stderr=1&tail={lines}"
    try:
        with engine_api.translated("its log"):
            raw = engine_api.get(client, path, timeout=_SILENCE).content
    except errors.SwarmError as err:
        return [f"(cannot be read: {err})"]
    has_terminal = (task["Spec"].get("ContainerSpec") or {}).get("TTY")
    text = (raw if has_terminal else payload(raw)).decode(errors="replace")
    return text.splitlines()[-lines:] if lines else []


def payload(raw: bytes) -> bytes:
    """Return what was written, without the headers that tell the standard output and error."""
    found = b""
    while len(raw) >= _HEADER:
        size = int.from_bytes(raw[4:_HEADER], "big")
        found += raw[_HEADER : _HEADER + size]
        raw = raw[_HEADER + size :]
    return found
