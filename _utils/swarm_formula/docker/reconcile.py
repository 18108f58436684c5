"""
Bring one container to the wanted state: inspect, decide, act, inspect again.

The leftovers of an interrupted recreation are repaired from the names and states alone.
"""

import contextlib
import functools
import logging
from typing import Any, NamedTuple

from swarm_formula.core import errors
from swarm_formula.docker import container_actions, engine_api
from swarm_formula.docker.container_actions import REPLACED, Trial, status
from swarm_formula.spec import container_options

log = logging.getLogger(__name__)

# A container in one of these states can only be removed.
_LOST = {"dead", "removing"}
_USERNS = "userns_mode"


class Plan(NamedTuple):
    """The wanted state, the current state and the differences."""

    name: str
    wanted: dict[str, Any]
    current: dict[str, Any] | None
    leftover: dict[str, Any] | None
    image: dict[str, Any] | None
    changes: dict[str, Any]
    kept: dict[str, Any] | None  # which of the two containers stays


def plan(client: Any, name: str, wanted: dict[str, Any]) -> Plan:
    """Inspect the container, and return what has to change."""
    container, leftover = (engine_api.container(client, one) for one in (name, name + REPLACED))
    info = client.info() if _USERNS in wanted else {}
    wanted = effective(_with_ids(client, wanted), info)
    image = engine_api.found(client.inspect_image, wanted["image"])
    changes = differences(wanted, container, image, _image_of(client, container))
    kept = survivor(container, leftover, changes)
    if kept is not container:
        changes = differences(wanted, kept, image, _image_of(client, kept))
    if leftover:
        changes["leftover"] = {"old": name + REPLACED, "new": None}
    return Plan(name, wanted, container, leftover, image, changes, kept)


def effective(wanted: dict[str, Any], info: dict[str, Any]) -> dict[str, Any]:
    """
    Return the settings that mean something to an engine: without ``userns-remap``, there are no
    user namespaces to leave, and a container that was created without the setting stays.

    info
        The answer of the engine's ``/info``; empty without an engine.
    """
    options = info.get("SecurityOptions") or []
    if any(one.partition(",")[0] == "name=userns" for one in options):
        return wanted
    return {key: value for key, value in wanted.items() if key != _USERNS}


def survivor(
    container: dict[str, Any] | None, leftover: dict[str, Any] | None, changes: dict[str, Any]
) -> dict[str, Any] | None:
    """
    Return which of the two containers of an interrupted recreation is kept.

    This is the old one, which is known to work, unless the new one runs and matches what is wanted.

    changes
        Differences between the wanted container and the new one.
    """
    return container if leftover is None or (container and not changes) else leftover


def differences(
    wanted: dict[str, Any],
    container: dict[str, Any] | None,
    image: dict[str, Any] | None,
    base: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """
    Return the differences between the wanted and the current container.

    image
        The local image that ``wanted`` names, if it exists.

    base
        The image that the current container was created from.
    """
    if container is None:
        changes = {key: {"old": None, "new": value} for key, value in wanted.items()}
        return {"state": {"old": "absent", "new": "running"}, **changes}
    settings = {key: value for key, value in wanted.items() if key != "image"}
    changes = container_options.diff(
        container_options.beyond_image(container_options.current(container), base),
        container_options.beyond_image(settings, base),
    )
    if image is None or image["Id"] != container["Image"]:
        new = f"{wanted['image']} ({_short(image['Id'])})" if image else wanted["image"]
        old = f"{container['Config']['Image']} ({_short(container['Image'])})"
        changes["image"] = {"old": old, "new": new}
    if status(container) != "running":
        changes["state"] = {"old": status(container), "new": "running"}
    return changes


def execute(client: Any, plan: Plan, image: dict[str, Any], trial: Trial | None = None) -> None:
    """
    Make the planned changes, and verify the result.

    trial
        Returns the context in which a container is started; its error rolls a replacement back.
        Defaults to checking that the container stays up.
    """
    container = _repaired(client, plan)
    base = _image_of(client, container)
    todo = action(container, differences(plan.wanted, container, image, base))
    log.info("container %s: %s", plan.name, todo)
    if container and trial:
        container = container_actions.as_running(container)
    _act(client, plan, todo, container, trial or _settled(client, plan.name))
    _check(client, plan, image)


def _settled(client: Any, name: str) -> Trial:
    return functools.partial(container_actions.settled, client, name)


def _act(
    client: Any, plan: Plan, todo: str | None, container: dict[str, Any] | None, trial: Trial
) -> None:
    if container and todo == "recreate":
        container_actions.recreate(client, plan.name, plan.wanted, container, trial)
    elif plan.leftover and plan.kept is plan.current:
        container_actions.confirm(
            client, plan.name, container_actions.as_running(plan.leftover), trial
        )
    elif todo:
        tried = todo in container_actions.STARTING
        with trial() if tried else contextlib.nullcontext():
            container_actions.BY_NAME[todo](client, plan.name, plan.wanted, container)


def action(container: dict[str, Any] | None, changes: dict[str, Any]) -> str | None:
    """Return the action that makes the changes with the least disruption."""
    if container is None:
        return "create"
    settings = {key: value for key, value in changes.items() if key != "state"}
    if settings and not container_options.in_place(settings) and status(container) not in _LOST:
        return "recreate"
    return {
        "running": "update" if settings else None,
        "paused": "unpause",
        "restarting": "restart",
    }.get(status(container), "replace" if status(container) in _LOST else "start")


def _repaired(client: Any, plan: Plan) -> dict[str, Any] | None:
    """Repair an interrupted recreation, and return the container that is kept."""
    if plan.kept is None or plan.kept is plan.current:
        return plan.current
    if plan.current:
        container_actions.delete(client, plan.current["Id"])
    client.rename(plan.kept["Id"], plan.name)
    return container_actions.as_running(plan.kept)


def _check(client: Any, plan: Plan, image: dict[str, Any]) -> None:
    """Inspect again: a remaining difference would recreate the container on every run."""
    container = engine_api.container(client, plan.name)
    # The trial has checked that it runs, or the callers that wait for its work check it.
    still = differences(plan.wanted, container, image, image).keys() - {"state"}
    if still:
        raise errors.ApiError(
            f"container {plan.name}: after the change, Docker still has other values for "
            f"{', '.join(sorted(still))}: this engine cannot take what is wanted"
        )


def _image_of(client: Any, container: dict[str, Any] | None) -> dict[str, Any] | None:
    return container and engine_api.found(client.inspect_image, container["Image"])


def _with_ids(client: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    """Replace the name of the container whose network is shared by its ID, as Docker does."""
    kind, _, name = wanted.get("network_mode", "").partition(":")
    other = kind == "container" and engine_api.container(client, name)
    return {**wanted, "network_mode": f"container:{other['Id']}"} if other else wanted


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]
