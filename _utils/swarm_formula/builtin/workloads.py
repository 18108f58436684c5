"""
Find the users' workloads in a swarm mode cluster, so that it is not ended by mistake.
"""

from collections.abc import Callable, Mapping
from typing import Any

from swarm_formula.cluster import membership, raft_lock
from swarm_formula.docker import engine_api

_SERVICE = "com.docker.swarm.service.name"

_KINDS: Mapping[str, Callable[[Any], list[dict[str, Any]]]] = {
    "service": lambda client: client.services(),
    "secret": lambda client: client.secrets(),
    "config": lambda client: client.configs(),
}


def find(client: Any, swarm: dict[str, Any]) -> dict[str, list[str]]:
    """
    Return the names of what would be lost, or moved, if all nodes left this node's cluster.

    ``{"service": [...], "secret": [...], "config": [...], "task": [...]}``, without empty lists.
    A manager lists the objects of the cluster; a worker lists the services of its own tasks.
    Networks contain no data and do not count.
    """
    if not membership.manager(swarm):
        return _kept({"task": _tasks(client)})
    with engine_api.translated("what the cluster has"):
        found = {kind: _names(ask(client)) for kind, ask in _KINDS.items()}
    found["config"].discard(raft_lock.NAME)
    return _kept({kind: sorted(names) for kind, names in found.items()})


def _kept(found: dict[str, list[str]]) -> dict[str, list[str]]:
    return {kind: names for kind, names in found.items() if names}


def _names(things: list[dict[str, Any]]) -> set[str]:
    return {one["Spec"]["Name"] for one in things}


def _tasks(client: Any) -> list[str]:
    with engine_api.translated("tasks on this node"):
        running = client.containers(filters={"label": _SERVICE})
    return sorted({one["Labels"][_SERVICE] for one in running})


_END = """salt '*' state.apply swarm.clean pillar='{"swarm_clean": {"lose_cluster": true}}'"""


def refusal(me: str, found: Mapping[str, list[str]]) -> str:
    """Return why a node does not leave together with all others, and the alternatives."""
    said = [
        f"{'tasks of' if kind == 'task' else kind + 's' * (len(names) > 1)} {', '.join(names)}"
        for kind, names in found.items()
    ]
    return (
        f"{me} has not left its cluster, nothing was changed. There would be lost, if all nodes"
        f" left: {'; '.join(said)}. To take out this node alone, its tasks go elsewhere before:"
        f" salt-run swarm.remove {me}. To end the cluster with all that it has: {_END}"
    )
