"""
A lock in the swarm mode cluster itself: its holder has the turn to restart an engine.

The lock is a swarm config with a fixed name, because Raft accepts no second config of that name.
Its labels name the holder. It is removed by its ID, so that only the lock that was inspected can be
removed. The managers determine its age by their clocks.
"""

import base64
import json
import math
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from swarm_formula.cluster import node_info
from swarm_formula.core import errors, normalize
from swarm_formula.core.settings_types import Settings
from swarm_formula.docker import engine_api

NAME = "swarm-formula-turn"
_HOLDER, _LEASE = "swarm-formula.holder", "swarm-formula.lease"
FREE, OWN, EXPIRED, HELD = "free", "own", "expired", "held"


class Turn(NamedTuple):
    """The lock's holder, the time when it was taken, and what ran at that time."""

    id: str
    holder: str
    since: float
    lease: float  # seconds after which it expires
    # {"node": its ID, "tasks": [IDs on it], "services": {ID: number of tasks}}
    before: dict[str, Any]


def lease(settings: Settings) -> float:
    """Return the seconds after which the holder of a turn is considered lost."""
    # Longer than any turn lasts: each wait in a turn is limited by swarm:timeout.
    return (4 + settings["engine"]["drain"]) * settings["timeout"] + 300


def verdict(turn: Turn | None, me: str, now: float) -> str:
    """Return the state of a turn for ``me``: free, own (an earlier run's), expired or held."""
    if turn is None:
        return FREE
    if turn.holder == me:
        return OWN
    return EXPIRED if now - turn.since > turn.lease else HELD


def waiting(turn: Turn, me: str) -> str:
    """Return whose turn ``me`` waits for, as a sentence that differs for each turn."""
    since = time.strftime("%H:%M:%S", time.gmtime(turn.since))
    return f"{me} waits for its turn to restart its engine: {turn.holder} has it since {since} UTC"


def _parsed(config: dict[str, Any]) -> Turn:
    spec, since = config["Spec"], normalize.stamp(config["CreatedAt"])
    labels = spec.get("Labels") or {}
    if _HOLDER not in labels:
        # The formula did not create it: leave it alone.
        return Turn(config["ID"], f"somebody's own config {NAME}", since, math.inf, {})
    before = json.loads(base64.b64decode(spec.get("Data") or "") or b"{}")
    return Turn(config["ID"], labels[_HOLDER], since, float(labels.get(_LEASE, 0)), before)


def find(client: Any) -> Turn | None:
    """Return the current turn in the cluster, ``None`` if there is none."""
    with engine_api.translated("whose turn it is"):
        # Docker's filter matches the beginning of a name.
        found = client.configs(filters={"name": NAME})
    return next((_parsed(one) for one in found or [] if one["Spec"]["Name"] == NAME), None)


def _create(client: Any, holder: str, seconds: float, before: dict[str, Any]) -> str:
    labels = {_HOLDER: holder, _LEASE: f"{seconds:g}"}
    data = json.dumps(before, separators=(",", ":"))
    with engine_api.translated("taking the turn"):
        return str(client.create_config(NAME, data, labels=labels)["ID"])


def remove(client: Any, turn: str) -> None:
    """End the turn with this ID, if it has not ended yet."""
    with engine_api.translated("ending the turn"):
        engine_api.found(client.remove_config, turn)


def take(client: Any, holder: str, node: str, seconds: float) -> tuple[Turn | None, str]:
    """Try to take the turn; return it, or ``None`` and the reason. Works only on managers."""
    turn, now = find(client), time.time()
    if turn and verdict(turn, holder, now) == HELD:
        return None, waiting(turn, holder)
    before = running(client, node)
    if turn:
        remove(client, turn.id)
    try:
        made = _create(client, holder, seconds, before)
    except errors.ApiError:
        faster = find(client)
        if faster is None or faster.holder == holder:
            raise
        return None, waiting(faster, holder)
    return Turn(made, holder, now, seconds, before), ""


# ---- tasks before and after a restart


def running(client: Any, node: str) -> dict[str, Any]:
    """Return the tasks on a node, and the total number of tasks of each service that runs there."""
    tasks = _tasks(client)
    here = [one for one in tasks if one.get("NodeID") == node]
    services = {one["ServiceID"] for one in here}
    counts = {
        service: sum(one["ServiceID"] == service for one in tasks) for service in sorted(services)
    }
    return {"node": node, "tasks": sorted(one["ID"] for one in here), "services": counts}


def _tasks(client: Any) -> list[dict[str, Any]]:
    """Return the tasks that run and should run, of services that are not jobs."""
    with engine_api.translated("tasks of the cluster"):
        lasting = {one["ID"] for one in client.services() if _lasts(one)}
        tasks = client.tasks(filters={"desired-state": "running"})
    return [
        one
        for one in tasks
        if one.get("ServiceID") in lasting and one["Status"]["State"] == "running"
    ]


def _lasts(service: dict[str, Any]) -> bool:
    return bool({"Replicated", "Global"} & (service["Spec"].get("Mode") or {}).keys())


def unsettled(client: Any, before: dict[str, Any]) -> str | None:
    """Return what is still missing after a restart of the node as a sentence, or ``None``."""
    tasks = _tasks(client)
    if gone := {one["ID"] for one in tasks} & set(before.get("tasks", ())):
        # The restart has ended each of them, but the managers have not noticed it yet.
        return f"{len(gone)} task(s) of before are still said to run"
    return _fewer(tasks, before.get("services", {}))


def _fewer(tasks: Iterable[dict[str, Any]], counts: Mapping[str, int]) -> str | None:
    have = [one["ServiceID"] for one in tasks]
    lacking = [service for service, count in counts.items() if have.count(service) < count]
    return f"{len(lacking)} service(s) run fewer tasks than before" if lacking else None


def back(nodes: list[dict[str, Any]], node: str) -> str | None:
    """Return why a node is not back yet according to the managers, ``None`` if it is."""
    found = node_info.by_id(nodes).get(node)
    if found is None or node_info.status(found) in {"Ready", "Pause", "Drain"}:
        # A node that was removed in the meantime is not waited for.
        return None
    return f"{node_info.title(found)} is {node_info.status(found)} to the managers"
