"""
Perform one action on one container: create, recreate, update, start, stop or remove it.

A recreation keeps the old container, stopped and renamed, until the new one is up.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from swarm_formula.core import errors, normalize
from swarm_formula.docker import engine_api
from swarm_formula.spec import container_options

log = logging.getLogger(__name__)

# Returns the context in which a new container starts; it raises an error if the container fails.
Trial = Callable[[], contextlib.AbstractContextManager[None]]

# Takes the client and the name of a container; creates it, and returns its ID.
Make = Callable[[Any, str], str]

REPLACED = "-replaced"
# Seconds within which a broken command line or configuration makes a process exit.
SETTLE = 0.7
# Seconds after which a container that Docker has started again counts as one that stays up; more
# than one, because its start is known to the second.
_FRESH = 2
# Number of restarts after which a container in a restart loop is reported as an error.
_TRIES = 3
_TAIL = 10


def status(container: dict[str, Any]) -> str:
    """Return the status of a container as Docker names it."""
    return str(container["State"]["Status"])


def logs(client: Any, container: str, lines: int = _TAIL) -> str:
    """Return the last lines of a container's log."""
    try:
        with engine_api.translated(f"container {container}"):
            text: bytes = client.logs(container, tail=lines)
            return text.decode(errors="replace").strip()
    except errors.ApiError as err:
        # Some log drivers do not support reading.
        return f"(none to be had: {err})"


def stop(client: Any, name: str) -> None:
    """Stop a container with its own stop timeout."""
    container = engine_api.container(client, name)
    if container is None:
        raise errors.ApiError(f"container {name}: there is none of this name")
    halt(client, container)


def remove(client: Any, name: str, test: bool = False) -> dict[str, Any]:
    """Stop and remove a container, its anonymous volumes and the leftover of a recreation."""
    changes = {}
    for key, one in (("state", name), ("leftover", name + REPLACED)):
        container = engine_api.container(client, one)
        if container is None:
            continue
        changes[key] = {"old": status(container), "new": "absent"}
        if not test:
            halt(client, container)
            delete(client, container["Id"])
    return changes


def create(client: Any, name: str, wanted: dict[str, Any], _container: None = None) -> None:
    """Create a container and start it; remove it again if Docker cannot start it."""
    new = _made(client, name, wanted)
    with undo(name, lambda: delete(client, new)):
        client.start(new)


def recreate(
    client: Any, name: str, wanted: dict[str, Any] | Make, container: dict[str, Any], trial: Trial
) -> None:
    """
    Replace a container with a new one; restore the old one if the trial fails.

    wanted
        The settings of the new container, or what creates it.
    """
    client.rename(container["Id"], name + REPLACED)
    with undo(name, lambda: put_back(client, name, container)), trial():
        new = wanted(client, name) if callable(wanted) else _made(client, name, wanted)
        halt(client, container)
        client.start(new)
    delete(client, container["Id"])


def confirm(client: Any, name: str, leftover: dict[str, Any], trial: Trial) -> None:
    """Repeat the interrupted trial of a new container; restore the previous one if it fails."""
    with undo(name, lambda: put_back(client, name, leftover)), trial():
        pass
    delete(client, leftover["Id"])


def replace(client: Any, name: str, wanted: dict[str, Any], container: dict[str, Any]) -> None:
    """Replace a container that cannot be repaired."""
    delete(client, container["Id"])
    create(client, name, wanted)


def update(client: Any, _name: str, wanted: dict[str, Any], container: dict[str, Any]) -> None:
    """Update the settings that Docker can change in place."""
    settings = {key: wanted[key] for key in container_options.IN_PLACE & wanted.keys()}
    different = container_options.diff(container_options.current(container), settings)
    if different:
        body = container_options.update_body({key: settings[key] for key in different})
        engine_api.post(client, f"/containers/{container['Id']}/update", json=body)


def update_by_name(client: Any, name: str, spec: dict[str, Any]) -> None:
    """Update the settings of the named container that Docker can change in place."""
    container = engine_api.container(client, name)
    if container is None:
        raise errors.ApiError(f"container {name}: there is none of this name")
    wanted = container_options.wanted(name, {"image": container["Image"], **spec})
    update(client, name, wanted, container)


def start(client: Any, name: str, wanted: dict[str, Any], container: dict[str, Any]) -> None:
    """Start a stopped container."""
    update(client, name, wanted, container)
    client.start(container["Id"])


def unpause(client: Any, name: str, wanted: dict[str, Any], container: dict[str, Any]) -> None:
    """Resume a paused container."""
    client.unpause(container["Id"])
    update(client, name, wanted, container)


def restart(client: Any, name: str, wanted: dict[str, Any], container: dict[str, Any]) -> None:
    """Restart a container in a restart loop at once."""
    update(client, name, wanted, container)
    client.restart(container["Id"])


def _made(client: Any, name: str, wanted: dict[str, Any]) -> str:
    """Create the container and return its ID."""
    body = container_options.body(wanted)
    return str(client.create_container_from_config(body, name)["Id"])


@contextlib.contextmanager
def settled(client: Any, name: str) -> Iterator[None]:
    """Wait until the container that is started in this context has proved to stay up."""
    yield
    end = time.monotonic() + SETTLE
    while True:
        data = client.inspect_container(name)
        if status(data) != "running" or data["RestartCount"]:
            raise fallen(client, name, data)
        if time.monotonic() > end:
            return
        time.sleep(0.1)


def stays(client: Any, name: str, data: dict[str, Any]) -> None:
    """
    Raise an error if a container that runs because Docker has just started it again ends again.

    data
        The container, inspected.
    """
    count = data["RestartCount"]
    while count and time.time() - normalize.stamp(data["State"]["StartedAt"]) < _FRESH:
        time.sleep(0.1)
        data = client.inspect_container(data["Id"])
        if status(data) != "running" or data["RestartCount"] != count:
            raise fallen(client, name, data)


def check(client: Any, name: str) -> None:
    """
    Raise an error if a container has exited or is in a restart loop.

    For callers that wait for the container to do its work. A single restart is not an error: a
    service that the container needs may have started after it.
    """
    data = engine_api.container(client, name)
    looping = data and status(data) == "restarting" and data["RestartCount"] >= _TRIES
    if data and (looping or status(data) in {"exited", "dead"}):
        raise fallen(client, name, data)


def fallen(client: Any, name: str, data: dict[str, Any]) -> errors.NotRunningError:
    """Return the error for an inspected container that does not stay up, with its last words."""
    data = _ended(client, data)
    state = data["State"]
    how = f"exit code {state['ExitCode']}"
    if status(data) == "running":
        how = f"started again {data['RestartCount']} time(s)"
    return errors.NotRunningError(
        f"container {name} does not stay up: {how}"
        f"{state['Error'] and ', ' + state['Error']}; "
        f"its last words: {logs(client, data['Id']) or '(none)'}"
    )


def _ended(client: Any, data: dict[str, Any]) -> dict[str, Any]:
    """Wait for the next end of a container in a restart loop: while it runs, its exit code is 0."""
    end = time.monotonic() + SETTLE
    while status(data) == "running" and time.monotonic() < end:
        time.sleep(0.05)
        data = client.inspect_container(data["Id"])
    return data


@contextlib.contextmanager
def undo(name: str, back: Callable[[], None]) -> Iterator[None]:
    """Roll back on any error in this context, and let the error propagate."""
    with contextlib.ExitStack() as stack:
        stack.callback(_quietly, name, back)
        yield
        stack.pop_all()


def _quietly(name: str, back: Callable[[], None]) -> None:
    """Roll back; a failure here must not hide the error that caused the rollback."""
    try:
        with engine_api.translated(f"container {name}"):
            back()
    except errors.SwarmError as err:
        log.error("cannot go back, the next run tries again: %s", err)


def as_running(container: dict[str, Any]) -> dict[str, Any]:
    """Return the container marked as running, so that a rollback starts it in any case."""
    return {**container, "State": {**container["State"], "Running": True}}


def put_back(client: Any, name: str, old: dict[str, Any]) -> None:
    """Restore the old container in place of the one that replaced it."""
    new = engine_api.container(client, name)
    if new and new["Id"] != old["Id"]:
        delete(client, new["Id"])
    client.rename(old["Id"], name)
    if old["State"]["Running"]:
        client.start(old["Id"])


def halt(client: Any, container: dict[str, Any]) -> None:
    """Stop an inspected container with its own stop timeout."""
    if status(container) == "paused":
        # A paused process does not receive signals.
        client.unpause(container["Id"])
    client.stop(container["Id"], timeout=container_options.current(container)["stop_timeout"])


def delete(client: Any, container: str) -> None:
    """Remove a container and its anonymous volumes, if it still exists."""
    engine_api.found(client.remove_container, container, v=True, force=True)


# Actions that start a container; the others change a running one.
STARTING = {"create", "replace", "start", "restart"}
BY_NAME: dict[str, Callable[..., None]] = {
    "create": create,
    "replace": replace,
    "update": update,
    "start": start,
    "unpause": unpause,
    "restart": restart,
}
