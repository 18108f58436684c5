"""
Bring services of swarm mode to the wanted state: compare, refuse, change, wait until they run.

Works on managers. All services of a call are changed first and then watched together.
"""

import logging
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, NamedTuple

from swarm_formula.core import errors, faults
from swarm_formula.core.faults import Fault
from swarm_formula.docker import engine_api
from swarm_formula.salt import dry_run
from swarm_formula.salt.dry_run import NOTHING_PENDING, Pending
from swarm_formula.service import api, rollout, secrets_configs
from swarm_formula.service import digests as service_digests
from swarm_formula.service.api import Plan
from swarm_formula.service.secrets_configs import Objects
from swarm_formula.service.watch import Watched, watch
from swarm_formula.spec import option_table, service_modes, service_options, service_spec

_log = logging.getLogger(__name__)
_UPDATE = "update"


def pending(
    salt: Mapping[str, Callable[..., Any]], context: MutableMapping[str, Any], test: bool
) -> Pending:
    """Return what earlier states of a dry run would have made, from the pillar and besides it."""
    if not test:
        return NOTHING_PENDING
    versions = {
        "secrets": salt["swarm_secret.planned"](),
        "configs": salt["swarm_config.planned"](),
    }
    of_pillar = Pending(set(salt["swarm_settings.get"]()["networks"]), versions)
    return dry_run.merged(dry_run.noted(context, test), of_pillar)


def noting(context: MutableMapping[str, Any], key: str) -> Callable[[str], None]:
    """Return a function that logs a warning, and keeps it in ``__context__`` for the states."""

    def warn(text: str) -> None:
        _log.warning(text)
        context.setdefault(key, []).append(text)

    return warn


class Run(NamedTuple):
    """How services are applied."""

    timeout: float  # seconds to wait for tasks of a service that has no `timeout` of its own
    pending: Pending = NOTHING_PENDING
    test: bool = False
    warn: Callable[[str], None] = _log.warning  # called with each warning


def apply(client: Any, wanted: Mapping[str, dict[str, Any]], run: Run) -> dict[str, dict[str, Any]]:
    """
    Ensure services have the wanted options, and run; return what changed, by service.

    Raise an error that names each service that does not run, and why; nothing is changed if one of
    them cannot be.

    wanted
        ``{name: options in their canonical form}``.
    """
    cluster = api.look(client)
    files = {kind: secrets_configs.objects(client, kind) for kind in service_options.FILES}
    plans = _plans(client, cluster, wanted, files, run)
    changes = {one.name: service_spec.shown(one.changes) for one in plans if one.changes}
    if run.test:
        _report_waits(cluster, plans, changes)
        return changes
    ids = {kind: {name: one["ID"] for name, one in found.items()} for kind, found in files.items()}
    failures: dict[str, str] = {}
    watched = []
    for plan in plans:
        try:
            since = api.write(client, plan, ids) if plan.changes else 0.0
        except errors.SwarmError as err:
            failures[plan.name] = str(err)
            changes.pop(plan.name)
            continue
        limit = plan.wanted.get("timeout") or run.timeout
        watched.append(Watched(plan, limit, bool(plan.changes), since))
    failures |= watch(client, watched)
    if failures:
        text = "; ".join(f"service {name}: {why}" for name, why in sorted(failures.items()))
        raise errors.RolloutError(text, changes)
    return changes


def restart(client: Any, name: str, timeout: float, test: bool = False) -> dict[str, Any]:
    """Start the tasks of a service again with the same spec, and wait; return what changed."""
    with engine_api.translated(f"service {name}"):
        service = api.find(client, name)
    changes = {"tasks": {"old": "running", "new": "started again"}}
    if test:
        return changes
    since = api.force(client, service)
    plan = Plan(name, {}, service, {"state": changes["tasks"]})
    failures = watch(client, [Watched(plan, timeout, True, since)])
    if failures:
        raise errors.RolloutError(f"service {name}: {failures[name]}", changes)
    return changes


def scale(client: Any, name: str, replicas: int, timeout: float) -> dict[str, Any]:
    """Set the number of tasks of a replicated service, and wait; return what changed."""
    with engine_api.translated(f"service {name}"):
        service = api.find(client, name)
    wanted = service_modes.parsed({"replicas": replicas}, f"service {name}")
    option_table.refuse([*service_modes.misfits(rollout.mode(service), wanted, f"service {name}")])
    run = Run(timeout)
    # Nothing but this number is looked at: the image need not be asked for.
    return apply(client, {name: wanted}, run).get(name, {})


def rollback(client: Any, name: str, timeout: float) -> dict[str, Any]:
    """Return a service to its previous spec, and wait; return what changed, by option."""
    with engine_api.translated(f"service {name}"):
        service = api.find(client, name)
    if not (before := service.get("PreviousSpec")):
        raise errors.SwarmError(
            f"service {name} has no previous spec: it has not been updated since it was created"
        )
    old, new = service_spec.options_of(service["Spec"]), service_spec.options_of(before)
    changes = {
        key: {"old": old.get(key), "new": new.get(key)}
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    } or {"tasks": {"old": "running", "new": "started again"}}
    changes = service_spec.shown(changes)
    since = api.update(client, service, lambda now: now, "&rollback=previous")
    # Not as one that was written: a rollback that Docker reports is what was asked for.
    failures = watch(client, [Watched(Plan(name, {}, service, {}), timeout, False, since)])
    if failures:
        raise errors.RolloutError(f"service {name}: {failures[name]}", changes)
    return changes


def promised(
    wanted: Mapping[str, dict[str, Any]], versions: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, Any]]:
    """Return the changes that will be made in a cluster that does not exist yet."""
    return {
        name: service_spec.shown(service_spec.created(service_spec.versioned(options, versions)))
        for name, options in wanted.items()
    }


# ---- what has to be done


def check(client: Any, wanted: Mapping[str, dict[str, Any]], run: Run) -> None:
    """Raise an error if Docker would refuse services, or take them for something else."""
    files = {kind: secrets_configs.objects(client, kind) for kind in service_options.FILES}
    cluster = api.look(client)
    networks = {*api.networks(client, cluster).values(), *run.pending.networks}
    _refuse(cluster, wanted, networks, files, _versions(files, run))


def _versions(files: Mapping[str, Objects], run: Run) -> dict[str, dict[str, str]]:
    return {
        kind: {**secrets_configs.current(found), **run.pending.versions.get(kind, {})}
        for kind, found in files.items()
    }


def _plans(
    client: Any,
    cluster: api.Cluster,
    wanted: Mapping[str, dict[str, Any]],
    files: Mapping[str, Objects],
    run: Run,
) -> list[Plan]:
    names = api.networks(client, cluster)
    versions = _versions(files, run)
    _refuse(cluster, wanted, {*names.values(), *run.pending.networks}, files, versions)
    digests = service_digests.Resolver(client)
    plans = []
    for name, options in wanted.items():
        there = cluster.services.get(name)
        full = digests.options(service_spec.versioned(options, versions), there)
        plans.append(_plan(name, full, there, names, cluster))
    for text in digests.warnings():
        run.warn(text)
    return plans


def _plan(
    name: str,
    wanted: dict[str, Any],
    service: dict[str, Any] | None,
    names: dict[str, str],
    cluster: api.Cluster,
) -> Plan:
    if service is None:
        return Plan(name, wanted, None, service_spec.created(wanted))
    changes = service_spec.diff(service_spec.with_names(service["Spec"], names), wanted)
    found = rollout.view(service, cluster.tasks, cluster.nodes)
    if not changes and found.missing and found.update in rollout.PAUSED:
        # The managers do nothing more about it until somebody updates the service.
        changes[_UPDATE] = {"old": found.update, "new": "resumed"}
    return Plan(name, wanted, service, changes)


def _refuse(
    cluster: api.Cluster,
    wanted: Mapping[str, dict[str, Any]],
    networks: set[str],
    files: Mapping[str, Objects],
    versions: Mapping[str, Mapping[str, str]],
) -> None:
    known = {
        "networks": {*networks, "host", "bridge", "none"},
        **{kind: {*files[kind], *versions[kind], *versions[kind].values()} for kind in files},
    }
    found = [_faults(name, one, cluster.services.get(name), known) for name, one in wanted.items()]
    option_table.refuse([fault for each in found for fault in each], unchanged=True)


def _faults(
    name: str, wanted: dict[str, Any], service: dict[str, Any] | None, known: Mapping[str, set[str]]
) -> list[Fault]:
    """Return what Docker would refuse, or would do to another effect, as the cluster is now."""
    path, found = f"service {name}", []
    if service is None and "image" not in wanted:
        want = "the name of an image: the cluster has no service of this name yet"
        found.append(Fault(f"{path}:image", None, want))
    mode = rollout.mode(service) if service else wanted.get("mode", "replicated")
    if service and wanted.get("mode", mode) != mode:
        want = f"{mode}: Docker cannot change it; remove the service first (swarm_service.absent)"
        found.append(Fault(f"{path}:mode", wanted["mode"], want))
    else:
        found += service_modes.misfits(mode, wanted, path)
    for key, names in known.items():
        used = wanted.get(key) or []
        for one in (one["name"] if isinstance(one, dict) else one for one in used):
            if one not in names:
                hint = faults.suggest(one, names)
                found.append(Fault(f"{path}:{key}", one, f"one that the cluster has{hint}"))
    return found


def _report_waits(
    cluster: api.Cluster, plans: list[Plan], changes: dict[str, dict[str, Any]]
) -> None:
    """In a dry run with nothing to change, raise an error if services do not run."""
    waits = [
        f"service {plan.name}: {missing}"
        for plan in plans
        if plan.service
        and (missing := rollout.view(plan.service, cluster.tasks, cluster.nodes).missing)
    ]
    if waits and not changes:
        raise errors.WaitTimeoutError("; ".join(waits))
