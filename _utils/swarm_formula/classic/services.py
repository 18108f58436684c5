"""
Bring services of classic mode to the wanted state: compare, change, wait until they run.

Works through the manager that is the primary. One service is changed after the other.
"""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from swarm_formula.classic import service_containers, service_plan, tasks, watch
from swarm_formula.classic.service_plan import COUNT, STATE, Plan
from swarm_formula.classic.service_rollout import Rollout, carry_out
from swarm_formula.classic.watch import Patience
from swarm_formula.core import errors, wait
from swarm_formula.docker import engine_api
from swarm_formula.docker.container_actions import remove, status
from swarm_formula.standalone import manager_info


class Run(NamedTuple):
    """How services are applied."""

    timeout: float  # seconds to wait for a container, but for the `timeout` of its service
    networks: Iterable[str] = ()  # that exist only after earlier states of a dry run
    test: bool = False


def apply(client: Any, wanted: Mapping[str, dict[str, Any]], run: Run) -> dict[str, dict[str, Any]]:
    """
    Ensure services have the wanted options, and run; return what changed, by service.

    Raise an error that names each service that does not run, and why; nothing is changed if one of
    them cannot be.

    wanted
        ``{name: options in their canonical form}``, without faults of classic mode.
    """
    service_plan.refuse(client, wanted, service_plan.look(client), run.networks)
    plans = _plans(client, wanted, 0 if run.test else run.timeout)
    changes = {one.name: service_containers.shown(one.changes) for one in plans if one.changes}
    if run.test:
        _report(plans, changes)
        return changes
    if any(seat.kept is None for plan in plans for seat in plan.seats):
        _wait_for_nodes(client, run.timeout)
    failures: dict[str, str] = {}
    for plan in plans:
        done: list[str] = []
        try:
            _carry_out(client, plan, run, done)
        except errors.SwarmError as err:
            failures[plan.name] = _told(plan, done, err)
            if not done:
                changes.pop(plan.name, None)
    _look_again(client, plans, run, failures)
    if failures:
        text = "; ".join(f"service {name}: {why}" for name, why in sorted(failures.items()))
        raise errors.RolloutError(text, changes)
    return changes


def _plans(client: Any, wanted: Mapping[str, dict[str, Any]], timeout: float) -> list[Plan]:
    """Return what has to be done; wait for nodes that do not answer, as while engines restart."""
    plans: list[Plan] = []

    def probe() -> str | None:
        listed = service_plan.look(client)
        plans[:] = [service_plan.plan(client, name, one, listed) for name, one in wanted.items()]
        return "; ".join(one.unreachable for one in plans if one.unreachable) or None

    with contextlib.suppress(errors.WaitTimeoutError):
        wait.until(probe, timeout)
    return plans


def scale(client: Any, name: str, replicas: int, run: Run) -> dict[str, Any]:
    """Set the number of containers of a service, and wait until they run; return what changed."""
    tasks.of_service(client, name)
    return apply(client, {name: {COUNT: replicas}}, run).get(name, {})


def remove_service(client: Any, name: str, test: bool = False) -> dict[str, Any]:
    """Remove all containers of a service that the formula has created; return what changed."""
    listed = service_plan.look(client)
    own = service_plan.containers_of(name, listed)
    if down := [one for one in own if listed[one].down]:
        raise errors.SwarmError(
            f"service {name}: {service_plan.lost(down, listed)}. Nothing was changed"
        )
    own = sorted(service_plan.existing(client, own))
    if not own:
        return {}
    changes = {STATE: {"old": "present", "new": "absent"}, "containers": {"old": own, "new": []}}
    if not test:
        for one in own:
            with engine_api.translated(f"container {one}"):
                remove(client, one)
    return changes


def rows(client: Any) -> list[dict[str, Any]]:
    """Return the services for a list: image, containers wanted and running, why not all run."""
    listed = service_plan.look(client)
    names = sorted({one.service for one in listed.values()} - {""})
    plans = [service_plan.plan(client, name, {}, listed) for name in names]
    # Of a service that has just been removed, nothing is there any more.
    return [_row(one) for one in plans if one.unreachable or any(seat.kept for seat in one.seats)]


def _row(plan: Plan) -> dict[str, Any]:
    kept = [one.kept for one in plan.seats if one.kept]
    running = [one for one in kept if status(one) == "running"]
    lacking = service_plan.states(plan.seats)
    return {
        "service": plan.name,
        "mode": "replicated",
        "image": kept[0]["Config"]["Image"] if kept else "",
        "wanted": len(plan.seats),
        "running": len(running),
        "update": "",
        "since": max((one["State"].get("StartedAt", "") for one in kept), default="")[:19],
        "why not": plan.unreachable or ", ".join(f"{key} is {one}" for key, one in lacking.items()),
    }


def promised(wanted: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the changes that will be made in a swarm that does not exist yet."""
    plans = [service_plan.plan(None, name, options, {}) for name, options in wanted.items()]
    return {one.name: service_containers.shown(one.changes) for one in plans if one.changes}


# ---- doing it


def _patience(plan: Plan, run: Run) -> Patience:
    return Patience(
        service_plan.seconds(plan.wanted, service_plan.MONITOR),
        plan.wanted.get("timeout") or run.timeout,
    )


def _carry_out(client: Any, plan: Plan, run: Run, done: list[str]) -> None:
    if plan.unreachable:
        raise errors.SwarmError(plan.unreachable)
    delay = service_plan.seconds(plan.wanted, service_plan.DELAY)
    rollout = Rollout(client, plan.name, _patience(plan, run), delay, done)
    carry_out(rollout, plan.seats, plan.surplus)


def _told(plan: Plan, done: list[str], err: Exception) -> str:
    if not done:
        return f"{err}. Its containers are as they were"
    return f"{err}. Changed before: {', '.join(done)}; the others are as they were"


def _look_again(client: Any, plans: list[Plan], run: Run, failures: dict[str, str]) -> None:
    """Note services of which a container ended after it had proved to run."""
    for plan in plans:
        if plan.name in failures or not plan.changes:
            continue
        try:
            for seat in plan.seats:
                watch.confirm(client, seat.name, _patience(plan, run))
        except errors.SwarmError as err:
            failures[plan.name] = str(err)


def _report(plans: list[Plan], changes: dict[str, dict[str, Any]]) -> None:
    """In a dry run, raise an error for what cannot be changed, or has yet to prove that it runs."""
    lost = [f"service {one.name}: {one.unreachable}" for one in plans if one.unreachable]
    if lost:
        raise errors.SwarmError("; ".join(lost))
    flaws = [
        watch.unsteady(seat.kept, service_plan.seconds(plan.wanted, service_plan.MONITOR))
        for plan in plans
        for seat in plan.seats
        if seat.kept and status(seat.kept) == "running"
    ]
    if any(flaws) and not changes:
        raise errors.WaitTimeoutError("; ".join(filter(None, flaws)))


def _wait_for_nodes(client: Any, timeout: float) -> None:
    """Wait until the manager has looked at all nodes: it may not know yet what runs there."""

    def probe() -> str | None:
        nodes = manager_info.parse(client.info()).nodes.values()
        pending = sorted(one.address for one in nodes if one.status == "Pending")
        return (
            f"the primary manager has not reached the engines at {', '.join(pending)}, which may"
            " have containers of a service: start them, or take them out with salt-run swarm.remove"
            if pending
            else None
        )

    wait.until(probe, timeout)
