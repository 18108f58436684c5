"""
Bring one container to the wanted state: look, decide, act, look again.

What an interrupted recreation leaves behind is put right from the names and states alone.
"""

import contextlib
import functools
import logging
from typing import Any, NamedTuple

import swarm_actions
import swarm_docker
import swarm_errors
import swarm_spec
from swarm_actions import REPLACED, Trial, status

log = logging.getLogger(__name__)

# Nothing can be done with such a container but to get rid of it.
_LOST = {"dead", "removing"}


class Plan(NamedTuple):
    """What is wanted, what is there, and what differs."""

    name: str
    wanted: dict
    current: dict | None
    leftover: dict | None
    image: dict | None
    changes: dict
    kept: dict | None  # which of the two goes on


def plan(client: Any, name: str, wanted: dict) -> Plan:
    """Look at the container and tell what has to change."""
    container, leftover = (swarm_docker.container(client, one) for one in (name, name + REPLACED))
    wanted = _with_ids(client, wanted)
    image = swarm_docker.found(client.inspect_image, wanted["image"])
    changes = differences(wanted, container, image, _image_of(client, container))
    kept = survivor(container, leftover, changes)
    if kept is not container:
        changes = differences(wanted, kept, image, _image_of(client, kept))
    if leftover:
        changes["leftover"] = {"old": name + REPLACED, "new": None}
    return Plan(name, wanted, container, leftover, image, changes, kept)


def survivor(container: dict | None, leftover: dict | None, changes: dict) -> dict | None:
    """
    Tell which of the two containers of an interrupted recreation is kept.

    The one of before, which is known to work; unless the new one runs and is what is wanted.

    changes
        What differs between the wanted container and the new one.
    """
    return container if leftover is None or (container and not changes) else leftover


def differences(
    wanted: dict, container: dict | None, image: dict | None, base: dict | None = None
) -> dict:
    """
    Return what differs between the wanted and the present container.

    image
        The local image that ``wanted`` names, if it is there.

    base
        The image that the present container was made of.
    """
    if container is None:
        changes = {key: {"old": None, "new": value} for key, value in wanted.items()}
        return {"state": {"old": "absent", "new": "running"}, **changes}
    settings = {key: value for key, value in wanted.items() if key != "image"}
    changes = swarm_spec.diff(
        swarm_spec.beyond_image(swarm_spec.current(container), base),
        swarm_spec.beyond_image(settings, base),
    )
    if image is None or image["Id"] != container["Image"]:
        new = f"{wanted['image']} ({_short(image['Id'])})" if image else wanted["image"]
        old = f"{container['Config']['Image']} ({_short(container['Image'])})"
        changes["image"] = {"old": old, "new": new}
    if status(container) != "running":
        changes["state"] = {"old": status(container), "new": "running"}
    return changes


def execute(client: Any, plan: Plan, image: dict, trial: Trial | None = None) -> None:
    """
    Make the planned changes, and check that they came about.

    trial
        Gives what a container is started within; its error undoes a replacement. Defaults to seeing
        the container stay up.
    """
    container = _repaired(client, plan)
    base = _image_of(client, container)
    todo = action(container, differences(plan.wanted, container, image, base))
    log.info("container %s: %s", plan.name, todo)
    if container and trial:
        container = _meant_to_run(container)
    _act(client, plan, todo, container, trial or _settled(client, plan.name))
    _check(client, plan, image)


def _settled(client: Any, name: str) -> Trial:
    return functools.partial(swarm_actions.settled, client, name)


def _act(client: Any, plan: Plan, todo: str | None, container: dict | None, trial: Trial) -> None:
    if todo == "recreate":
        swarm_actions.recreate(client, plan.name, plan.wanted, container, trial)
    elif plan.leftover and plan.kept is plan.current:
        swarm_actions.confirm(client, plan.name, _meant_to_run(plan.leftover), trial)
    elif todo:
        tried = todo in swarm_actions.STARTING
        with trial() if tried else contextlib.nullcontext():
            swarm_actions.BY_NAME[todo](client, plan.name, plan.wanted, container)


def action(container: dict | None, changes: dict) -> str | None:
    """Tell what brings the changes about with the least disturbance."""
    if container is None:
        return "create"
    settings = {key: value for key, value in changes.items() if key != "state"}
    if settings and not swarm_spec.in_place(settings) and status(container) not in _LOST:
        return "recreate"
    return {
        "running": "update" if settings else None,
        "paused": "unpause",
        "restarting": "restart",
    }.get(status(container), "replace" if status(container) in _LOST else "start")


def _repaired(client: Any, plan: Plan) -> dict | None:
    """Put right what an interrupted recreation left, and return the container that is kept."""
    if plan.kept is plan.current:
        return plan.current
    if plan.current:
        swarm_actions.delete(client, plan.current["Id"])
    client.rename(plan.kept["Id"], plan.name)
    return _meant_to_run(plan.kept)


def _meant_to_run(container: dict) -> dict:
    """Return a container as one that is started if it has to come back, whatever its state is."""
    return {**container, "State": {**container["State"], "Running": True}}


def _check(client: Any, plan: Plan, image: dict) -> None:
    """Look again: a difference that stays would have the container recreated on every run."""
    container = swarm_docker.container(client, plan.name)
    # Whether it runs was seen above, or is seen by those who wait for what it does.
    still = differences(plan.wanted, container, image, image).keys() - {"state"}
    if still:
        raise swarm_errors.ApiError(
            f"container {plan.name}: after the change, Docker still has other values for "
            f"{', '.join(sorted(still))}: this engine cannot take what is wanted"
        )


def _image_of(client: Any, container: dict | None) -> dict | None:
    return container and swarm_docker.found(client.inspect_image, container["Image"])


def _with_ids(client: Any, wanted: dict) -> dict:
    """Name the container whose network is shared by its ID, as Docker does."""
    kind, _, name = wanted.get("network_mode", "").partition(":")
    other = kind == "container" and swarm_docker.container(client, name)
    return {**wanted, "network_mode": f"container:{other['Id']}"} if other else wanted


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]
