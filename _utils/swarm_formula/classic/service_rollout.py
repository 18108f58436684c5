"""
Create, replace, start and remove the containers of a service in classic mode, one by one.

The old container is kept, renamed, until the new one has run for long enough. It runs on while the
manager places the new one and the node pulls its image, and is put back if the new one fails.
"""

import time
from typing import Any, NamedTuple

from swarm_formula.classic import probe, service_containers, watch
from swarm_formula.classic.watch import Patience
from swarm_formula.core import errors
from swarm_formula.docker import container_actions, engine_api
from swarm_formula.docker.container_actions import status

# What the managers say if no node may have a container now.
_UNPLACED = (
    "Unable to find a node",
    "no resources available",
    "No nodes available",
    "No healthy node",
    "No node with enough open slots",
)
_PAUSE = 2
_LOST = {"dead", "removing"}


class Seat(NamedTuple):
    """One container of a service: what is there, what stays of it, and what it lacks."""

    name: str
    current: dict[str, Any] | None
    leftover: dict[str, Any] | None  # the former container, if a replacement was interrupted
    kept: dict[str, Any] | None  # which of the two stays
    options: dict[str, Any]  # differences of its options
    spec: dict[str, Any]  # that it is to have


class Rollout(NamedTuple):
    """How the containers of one service are brought to their state."""

    client: Any
    service: str
    patience: Patience
    delay: float  # seconds between two containers
    done: list[str]  # containers that were changed


def carry_out(rollout: Rollout, seats: list[Seat], surplus: list[str]) -> None:
    """Remove containers that are too many, and bring the others to their state one by one."""
    for name in surplus:
        with engine_api.translated(f"container {name}"):
            container_actions.remove(rollout.client, name)
        rollout.done.append(name)
    moved = False
    for seat in seats:
        if moved:
            time.sleep(rollout.delay)
        with engine_api.translated(f"container {seat.name}"):
            recovered = _recover(rollout.client, seat)
            moved = _act(rollout, seat) or recovered
        if moved:
            rollout.done.append(seat.name)


def _recover(client: Any, seat: Seat) -> bool:
    """Undo or complete a replacement that was interrupted."""
    if seat.leftover is None:
        return False
    if seat.kept is seat.leftover:
        container_actions.put_back(client, seat.name, container_actions.as_running(seat.kept))
    else:
        container_actions.delete(client, seat.leftover["Id"])
    return True


def _act(rollout: Rollout, seat: Seat) -> bool:
    client, kept = rollout.client, seat.kept
    trial = watch.trial(client, seat.name, rollout.patience)
    if kept is None:
        _create(rollout, seat)
    elif status(kept) in _LOST:
        container_actions.delete(client, kept["Id"])
        _create(rollout, seat)
    elif seat.options:
        _replace(rollout, seat, kept)
    elif kept is seat.leftover or status(kept) == "running":
        if seat.leftover or watch.unsteady(kept, rollout.patience.monitor):
            watch.watch(client, seat.name, rollout.patience)
        return False
    else:
        with trial():
            _start(client, kept)
    return True


def _start(client: Any, container: dict[str, Any]) -> None:
    start = {"paused": client.unpause, "restarting": client.restart}
    start.get(status(container), client.start)(container["Id"])


def _make(rollout: Rollout, spec: dict[str, Any]) -> container_actions.Make:
    """Return what creates a container of this spec through the manager."""
    body = service_containers.body(rollout.service, spec)

    def make(client: Any, name: str) -> str:
        what = _title(name, body.create)
        new = _post(client, name, service_containers.numbered(body.create, name), what)
        with container_actions.undo(name, lambda: container_actions.delete(client, new)):
            for network in body.more:
                names = service_containers.aliases(rollout.service, network)
                client.connect_container_to_network(new, network["Target"], aliases=names)
            _refuse_dropped(name, body.create, client.inspect_container(new))
        return new

    return make


def _title(name: str, body: dict[str, Any]) -> str:
    memory = body["HostConfig"].get("Memory")
    more = f", {memory >> 20} MiB of memory" if memory else ""
    return f"container {name}, image {body['Image']}{more}"


def _post(client: Any, name: str, body: dict[str, Any], what: str) -> str:
    path = f"/containers/create?name={name}"
    limit = f"gave up after {client.timeout:g} s (timeout): its node may still be pulling the image"
    with engine_api.translated(what), engine_api.patience(f"{what}: {limit}"):
        # The node that pulls the image gets the login from the manager.
        headers = engine_api.registry_login(client, body["Image"])
        made: str = engine_api.post(client, path, json=body, headers=headers).json()["Id"]
    return made


def _refuse_dropped(name: str, body: dict[str, Any], container: dict[str, Any]) -> None:
    """Raise an error if the node's engine has not kept what was asked for."""
    config, host = container.get("Config") or {}, container.get("HostConfig") or {}
    asked = {key: one for key, one in body.items() if key not in {"HostConfig", "NetworkingConfig"}}
    dropped = [key for key, one in asked.items() if one and not config.get(key)]
    dropped += [key for key, one in body["HostConfig"].items() if one and not host.get(key)]
    if dropped:
        raise errors.ApiError(
            f"container {name}: Docker has not kept {', '.join(sorted(dropped))}: the engine on its"
            " node cannot take what is wanted"
        )


def _create(rollout: Rollout, seat: Seat) -> None:
    """Create a container and wait until it runs; remove it again if it does not."""
    client, make = rollout.client, _make(rollout, seat.spec)
    trial = watch.trial(client, seat.name, rollout.patience)
    end = time.monotonic() + rollout.patience.limit
    while True:
        try:
            new = make(client, seat.name)
            break
        except errors.ApiError as err:
            # Nodes may register only now, or another container may go.
            if not _is_unplaced(err) or time.monotonic() >= end:
                raise
        time.sleep(_PAUSE)
    with container_actions.undo(seat.name, lambda: container_actions.delete(client, new)), trial():
        client.start(new)


def _is_unplaced(err: Exception) -> bool:
    return any(text in str(err) for text in _UNPLACED)


def _replace(rollout: Rollout, seat: Seat, kept: dict[str, Any]) -> None:
    client = rollout.client
    old = container_actions.as_running(kept) if seat.leftover else kept
    make, trial = _make(rollout, seat.spec), watch.trial(client, seat.name, rollout.patience)
    try:
        container_actions.recreate(client, seat.name, make, old, trial)
    except errors.ApiError as err:
        if not _is_unplaced(err):
            raise
        if why := _why_not_without(rollout, seat, kept):
            raise errors.ApiError(f"{err}{why}") from err
        _swap(rollout, seat, old)


def _why_not_without(rollout: Rollout, seat: Seat, kept: dict[str, Any]) -> str:
    """
    Return why a container could not be placed even without the old one, empty if it could.

    The managers count the ports, the memory and the labels of the old one even when it is stopped.
    """
    client, name = rollout.client, seat.name + probe.SUFFIX
    node = (kept.get("Node") or {}).get("Name")
    if not (node and service_containers.spec_of(kept)):
        return "; the old container is not removed: it could not be created again"
    create = service_containers.body(rollout.service, seat.spec).create
    trial = probe.request(create, kept, client.containers(all=True))
    try:
        new = _post(client, name, trial, _title(seat.name, create))
        try:
            _refuse_dropped(seat.name, trial, client.inspect_container(new))
        finally:
            container_actions.delete(client, new)
    except errors.ApiError as err:
        return f"; nor without the old container on {node}: {err}"
    return ""


def _swap(rollout: Rollout, seat: Seat, old: dict[str, Any]) -> None:
    """Remove the old container before the new one is created; create it anew if that fails."""
    client = rollout.client
    trial = watch.trial(client, seat.name, rollout.patience)

    def back() -> None:
        container_actions.delete(client, seat.name)
        client.start(_make(rollout, service_containers.spec_of(old))(client, seat.name))

    container_actions.halt(client, old)
    container_actions.delete(client, old["Id"])
    with container_actions.undo(seat.name, back), trial():
        client.start(_make(rollout, seat.spec)(client, seat.name))
