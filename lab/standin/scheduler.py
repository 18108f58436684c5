"""
Choose the node for a container: filters first, then a strategy ranks what is left.
"""

import random
from dataclasses import dataclass

from . import filters
from .expr import ExpressionError
from .filters import Node, NoNodeError

FULL = 100
# Health (0 to 100) times this outweighs the scores of processors and memory together.
HEALTH_FACTOR = 10


@dataclass(frozen=True)
class Scheduler:
    """A strategy and the filters in the order they are applied."""

    strategy: str
    chosen: tuple[str, ...]

    def select(self, nodes: list[Node], config: dict) -> list[Node]:
        """Return the nodes that may run the container, best first; raises ``NoNodeError``."""
        try:
            return self._select(nodes, config, soft=True)
        except (NoNodeError, ExpressionError):
            return self._select(nodes, config, soft=False)

    def _select(self, nodes: list[Node], config: dict, soft: bool) -> list[Node]:
        accepted = filters.apply(list(self.chosen), config, nodes, soft)
        if not accepted:
            raise NoNodeError("No nodes available in the cluster")
        return rank(self.strategy, config, accepted)


def rank(strategy: str, config: dict, nodes: list[Node]) -> list[Node]:
    """Order ``nodes`` for ``strategy``; raises ``NoNodeError`` when all are too small or full."""
    nodes = random.sample(nodes, len(nodes))
    if strategy == "random":
        return nodes
    sign = 1 if strategy == "binpack" else -1
    weighed = []
    for node in nodes:
        load = _load(config, node)
        if load is not None:
            weighed.append((load + sign * HEALTH_FACTOR * node.health, len(node.containers), node))
    if not weighed:
        raise NoNodeError("no resources available to schedule container")
    ordered = sorted(weighed, key=lambda item: item[:2], reverse=strategy == "binpack")
    return [node for _, _, node in ordered]


def _load(config: dict, node: Node) -> int | None:
    host = config.get("HostConfig") or {}
    memory, cpus = host.get("Memory") or 0, host.get("CpuShares") or 0
    if node.total_memory < memory or node.total_cpus < cpus:
        return None
    cpu_score = (node.used_cpus + cpus) * FULL // node.total_cpus if cpus > 0 else FULL
    memory_score = (node.used_memory + memory) * FULL // node.total_memory if memory > 0 else FULL
    return cpu_score + memory_score if cpu_score <= FULL and memory_score <= FULL else None
