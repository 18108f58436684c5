"""
Deploy stacks: refuse, change, prune, and remove what a compose file names.

Objects that do not belong to the stack are never changed or removed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from swarm_formula.compose.file import Stack
from swarm_formula.core import errors
from swarm_formula.docker import networks as docker_networks
from swarm_formula.salt.dry_run import Pending
from swarm_formula.service import api, apply, content_options, secrets_configs
from swarm_formula.service.apply import Run
from swarm_formula.spec import option_table, service_spec
from swarm_formula.stack import changes as stack_changes
from swarm_formula.stack.changes import Changes
from swarm_formula.stack.file import Wanted
from swarm_formula.stack.objects import Cluster


def deploy(client: Any, wanted: list[Wanted], run: Run) -> dict[str, dict[str, Any]]:
    """
    Ensure stacks are as their files say, and their services run; return what changed.

    Nothing is changed if one of them is refused. The result is ``{stack: {kind: {name: ...}}}``.
    """
    cluster = Cluster(client)
    stacks = [one.stack for one in wanted]
    option_table.refuse([fault for one in stacks for fault in cluster.strangers(one)])
    run = run._replace(pending=_pending(stacks, run.pending))
    services = {
        name: service_spec.whole(cluster.services[name]["Spec"], options)
        if name in cluster.services
        else options
        for one in stacks
        for name, options in one.services.items()
    }
    apply.check(client, services, run)
    changes = Changes(stacks)
    _objects(client, stacks, changes, test=True)
    if not run.test:
        changes = Changes(stacks)
    pruned = [one.stack for one in wanted if one.prune]
    with changes.told():
        if not run.test:
            _objects(client, stacks, changes, test=False)
        _prune(cluster, pruned, changes, run, ("services",))
        changes.applied(lambda: apply.apply(client, services, run), run.test)
        _prune(cluster, pruned, changes, run, ("networks", *content_options.KINDS))
    return changes.found()


def _pending(stacks: list[Stack], pending: Pending) -> Pending:
    """Return the names that exist once the networks, secrets and configs of stacks are made."""
    networks = {name for one in stacks for name in one.networks}
    versions = {
        kind: {**pending.versions.get(kind, {}), **stack_changes.versions(stacks, kind)}
        for kind in content_options.KINDS
    }
    return pending._replace(networks=pending.networks | networks, versions=versions)


def _objects(client: Any, stacks: list[Stack], changes: Changes, test: bool) -> None:
    for one in stacks:
        for name, settings in one.networks.items():
            found = docker_networks.apply(client, name, settings, test)
            changes.add(one.name, "networks", name, found)
        for file in one.files:
            found = secrets_configs.apply(client, file, test)
            changes.add(one.name, file.kind, file.name, found)


def _prune(
    cluster: Cluster, stacks: list[Stack], changes: Changes, run: Run, kinds: tuple[str, ...]
) -> None:
    for one in stacks:
        for kind in kinds:
            found = cluster.unnamed(one, kind)
            for name in _remove(cluster, one.name, kind, found, run):
                changes.removed(one.name, kind, name)


def _remove(
    cluster: Cluster, stack: str, kind: str, found: Mapping[str, dict[str, Any]], run: Run
) -> Iterator[str]:
    """Remove those objects of a stack that no service of others uses; yield the name of each."""
    free = found if kind == "services" else cluster.free(stack, kind, found)
    if kind in content_options.KINDS and not run.test:
        yield from secrets_configs.discard(cluster.client, kind, list(free.values()))
        return
    for name in sorted(free):
        if run.test:
            pass
        elif kind == "services":
            api.remove(cluster.client, name, run.timeout)
        else:
            docker_networks.remove(cluster.client, name)
        yield name


def remove(client: Any, name: str, timeout: float, test: bool = False) -> dict[str, dict[str, Any]]:
    """Remove all objects of a stack, and wait until its tasks are gone; return what changed."""
    cluster, run = Cluster(client), Run(timeout, test=test)
    changes = Changes([])
    with changes.told():
        for kind in ("services", "networks", *content_options.KINDS):
            _remove_all(cluster, name, kind, changes, run)
    return changes.found().get(name, {})


def _remove_all(cluster: Cluster, stack: str, kind: str, changes: Changes, run: Run) -> None:
    found = cluster.of(stack, kind)
    left = set(found)
    for one in _remove(cluster, stack, kind, found, run):
        changes.removed(stack, kind, one)
        left.discard(one)
    if left:
        raise errors.SwarmError(
            f"stack {stack}: other services use its {kind} {', '.join(sorted(left))}. Take them out"
            " of their options, and apply again"
        )
