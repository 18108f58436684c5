"""
Describe the swarm as ``/info`` does.
"""

from .cluster import Cluster
from .engine import Engine
from .golang import bytes_size, natural_key, rfc3339


def swarm_status(cluster: Cluster) -> list[list[str]]:
    """Return the lines of SystemStatus that follow the role."""
    engines = sorted(cluster.all_engines(), key=lambda engine: natural_key(engine.name))
    lines = [
        ["Strategy", cluster.scheduler.strategy],
        ["Filters", ", ".join(cluster.scheduler.chosen)],
        ["Nodes", str(len(engines))],
    ]
    return lines + [line for engine in engines for line in engine_status(engine)]


def engine_status(engine: Engine) -> list[list[str]]:
    """Return the lines about one engine in ``/info``'s SystemStatus."""
    cache = engine.cache
    memory = f"{bytes_size(cache.used('Memory'))} / {bytes_size(engine.total_memory)}"
    facts = [
        ("ID", engine.id),
        ("Status", engine.state),
        ("Containers", _count(engine)),
        ("Reserved CPUs", f"{cache.used('CpuShares')} / {engine.total_cpus}"),
        ("Reserved Memory", memory),
        ("Labels", ", ".join(sorted(f"{key}={value}" for key, value in engine.labels.items()))),
        ("Error", engine.error),
        ("UpdatedAt", rfc3339(engine.updated)),
        ("ServerVersion", engine.version),
    ]
    lines = [[f"  └ {key}", value] for key, value in facts if key != "Error" or value]
    return [[f" {engine.name or '(unknown)'}", engine.address], *lines]


def _count(engine: Engine) -> str:
    states = [item.state for item in list(engine.cache.containers.values())]
    if not engine.healthy:
        return str(len(states))
    paused = sum(bool(state.get("Paused")) for state in states)
    running = sum(bool(state.get("Running")) and not state.get("Paused") for state in states)
    stopped = len(states) - paused - running
    return f"{len(states)} ({running} Running, {paused} Paused, {stopped} Stopped)"
