"""
Act on the services of builtin mode on one host: the leader of the cluster.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from swarm_formula.cluster import leading, membership, swarm_api
from swarm_formula.salt import dry_run, secret_store
from swarm_formula.salt.dry_run import Pending
from swarm_formula.salt.execution import Minion
from swarm_formula.service import api, rollout, task_log
from swarm_formula.service import apply as service_apply
from swarm_formula.spec import env_files, service_modes

# The key of the warnings in ``__context__``, for the states.
WARNINGS = "swarm_service.warnings"


def leads(minion: Minion, test: bool) -> bool:
    """Check whether this node acts, or would after the earlier states of a dry run."""
    return leading.role(minion.salt, test) != leading.IDLE


def status(minion: Minion) -> list[dict[str, Any]] | None:
    """Return the services of the cluster; ``None`` on a node that is no manager."""
    with swarm_api.connect(minion.salt) as client:
        if not membership.manager(swarm_api.swarm(client)):
            return None
        found = api.look(client)
    services = sorted(found.services.items())
    return [rollout.row(one, found.tasks, found.nodes) for _, one in services]


def apply(minion: Minion, wanted: Mapping[str, dict[str, Any]], test: bool) -> Any:
    """
    Ensure services have the wanted options, and run; return what changed, by service.

    ``None`` if this node does not act.
    """
    pending = functools.partial(service_apply.pending, minion.salt, minion.context, test)
    return _apply(minion, wanted, pending, test)


def apply_one(minion: Minion, name: str, spec: dict[str, Any], test: bool) -> Any:
    """Ensure a service has these options, as a user writes them, as ``apply`` does."""
    wanted = {name: service_modes.parsed(spec, f"service {name}")}
    return _apply(minion, wanted, lambda: dry_run.noted(minion.context, test), test)


def _apply(
    minion: Minion,
    wanted: Mapping[str, dict[str, Any]],
    find_pending: Callable[[], Pending],
    test: bool,
) -> Any:
    """Apply services; only a node that acts looks for what is pending."""
    who = leading.role(minion.salt, test)
    if who == leading.IDLE:
        return None
    load = functools.partial(secret_store.content, minion.salt)
    wanted = env_files.filled(load, wanted)
    pending = find_pending()
    if who == leading.FOUNDS:
        return service_apply.promised(wanted, pending.versions)
    timeout = minion.settings()["timeout"]
    warn = service_apply.noting(minion.context, WARNINGS)
    with swarm_api.connect(minion.salt) as client:
        return service_apply.apply(client, wanted, service_apply.Run(timeout, pending, test, warn))


def restart(minion: Minion, name: str, test: bool) -> dict[str, Any] | None:
    """Start the tasks of a service again; ``None`` if this node does not act."""
    return _led(minion, service_apply.restart, name, test=test)


def tasks(minion: Minion, name: str) -> list[dict[str, Any]] | None:
    """Return the tasks of a service; ``None`` on a node that is no manager."""
    return _seen(minion, name, rollout.history)


def logs(minion: Minion, name: str, lines: int) -> list[dict[str, Any]] | None:
    """Return the last lines of the logs of a service; ``None`` on a node that is no manager."""

    def read(service: Any, tasks: Any, nodes: Any) -> list[dict[str, Any]]:
        newest = rollout.newest(service, tasks)
        with swarm_api.connect(minion.salt) as client:
            return task_log.rows(client, service, newest, nodes, lines)

    return _seen(minion, name, read)


def _seen(
    minion: Minion, name: str, read: Callable[..., list[dict[str, Any]]]
) -> list[dict[str, Any]] | None:
    with swarm_api.connect(minion.salt) as client:
        if not membership.manager(swarm_api.swarm(client)):
            return None
        service, found = api.find(client, name), api.look(client)
    return read(service, found.tasks, found.nodes)


def scale(minion: Minion, name: str, replicas: int) -> dict[str, Any] | None:
    """Set the number of tasks of a service; ``None`` if this node does not act."""
    return _led(minion, service_apply.scale, name, replicas)


def rollback(minion: Minion, name: str) -> dict[str, Any] | None:
    """Return a service to its previous spec; ``None`` if this node does not act."""
    return _led(minion, service_apply.rollback, name)


def remove(minion: Minion, name: str, test: bool) -> dict[str, Any] | None:
    """Remove a service; return what changed, ``None`` if this node is idle."""
    changes = _led(minion, api.remove, name, test=test)
    if changes is None and leads(minion, test):
        # The node that will create the cluster: there is nothing to remove.
        return {}
    return changes


def remove_local(_minion: Minion, _test: bool) -> dict[str, Any]:
    """Change nothing: tasks are removed when the node leaves the cluster."""
    return {}


def _led(
    minion: Minion, function: Callable[..., dict[str, Any]], *args: Any, **options: Any
) -> dict[str, Any] | None:
    """Return what a function of the services changes; ``None`` on a node that does not lead."""
    if not minion.salt["swarm_leader.leads"]():
        return None
    timeout = minion.settings()["timeout"]
    with swarm_api.connect(minion.salt) as client:
        return function(client, *args, timeout, **options)
