"""
Wait until a container of classic mode has proved that it runs, through the manager.
"""

import contextlib
import functools
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from swarm_formula.core import errors, normalize
from swarm_formula.docker import container_actions, engine_api
from swarm_formula.docker.container_actions import Trial

_PAUSE = 0.5


class Patience(NamedTuple):
    """How long a container must run to count as good, and how long that may take, in seconds."""

    monitor: float
    limit: float


def trial(client: Any, name: str, patience: Patience) -> Trial:
    """Return what gives the context in which a container starts; it fails if that does not run."""
    return functools.partial(_proved, client, name, patience)


@contextlib.contextmanager
def _proved(client: Any, name: str, patience: Patience) -> Iterator[None]:
    yield
    watch(client, name, patience)


def watch(client: Any, name: str, patience: Patience) -> None:
    """Wait until a container has run for long enough and is healthy; raise an error if not."""
    begun, restarts, missing = time.monotonic(), None, ""
    while True:
        elapsed = time.monotonic() - begun
        try:
            data = _inspected(client, name)
        except errors.ApiError as err:
            # While managers come and go, there may be no primary for a moment.
            missing = str(err)
        else:
            missing = _flaw(data)
            restarts = data["RestartCount"] if restarts is None else restarts
            if container_actions.status(data) != "running" or data["RestartCount"] > restarts:
                raise container_actions.fallen(client, title(data), data)
            if health(data) == "unhealthy":
                raise errors.NotRunningError(missing)
            if not missing and elapsed >= patience.monitor:
                return
        if elapsed >= max(patience.limit, patience.monitor):
            limit = f"gave up after {patience.limit:g} s (timeout)"
            raise errors.WaitTimeoutError(f"container {name}: {limit}: {missing}")
        time.sleep(_PAUSE)


def confirm(client: Any, name: str, patience: Patience) -> None:
    """Raise an error if a container does not run, or, if it was just restarted, does not go on."""
    data = _inspected(client, name)
    if container_actions.status(data) != "running" or unsteady(data, patience.monitor):
        watch(client, name, patience)


def _inspected(client: Any, name: str) -> dict[str, Any]:
    with engine_api.translated(f"container {name}"):
        data = engine_api.container(client, name)
    if data is None:
        raise errors.NoContainerError(f"container {name}: somebody has removed it")
    return data


def title(data: dict[str, Any]) -> str:
    """Return the name of an inspected container with that of its node."""
    node, name = (data.get("Node") or {}).get("Name"), data["Name"].lstrip("/")
    return f"{name} on {node}" if node else name


def health(data: dict[str, Any]) -> str:
    """Return the health of an inspected container; empty if it has no check."""
    found = (data["State"].get("Health") or {}).get("Status") or ""
    return "" if found == "none" else found


def _flaw(data: dict[str, Any]) -> str:
    """Return why a container that runs is not good, empty if it is."""
    if health(data) in {"", "healthy"}:
        return ""
    log = (data["State"]["Health"].get("Log") or [{}])[-1] or {}
    said = (log.get("Output") or "").strip()
    return f"container {title(data)} is {health(data)}{said and ': ' + said}"


def unsteady(data: dict[str, Any], monitor: float) -> str:
    """Return why a container that runs has yet to prove it, empty if it has."""
    if flaw := _flaw(data):
        return flaw
    since = time.time() - normalize.stamp(data["State"]["StartedAt"])
    if data["RestartCount"] and since < monitor:
        return f"container {title(data)} has just been restarted, {data['RestartCount']} time(s)"
    return ""
