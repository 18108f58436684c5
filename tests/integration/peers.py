"""
Containers that are to reach each other over an overlay network, one on each host; in both modes.
"""

import contextlib
import itertools

NETWORK = "backend"


def start(cluster, host: str, name: str) -> None:
    """Start one more container in the network."""
    given = ["--restart", "always", "--net", NETWORK]
    cluster.docker(host, "run", "-d", "--name", name, *given, "busybox:lab", "sleep", "36000")


def _answers(cluster, host: str, name: str, other: str) -> bool:
    """Say whether another container answers one of this host, by its name."""
    ask = ["ping", "-c", "1", "-W", "2", other]
    return "1 packets received" in cluster.docker(host, "exec", name, *ask, check=False)


def cut_off(cluster, peers: dict[str, str]) -> list[tuple[str, str]]:
    """Return the pairs of ``{container: host}`` of which one does not reach the other."""
    pairs = itertools.permutations(sorted(peers.items()), 2)
    return [
        (one, other) for (one, host), (other, _) in pairs if not _answers(cluster, host, one, other)
    ]


def await_all(cluster, peers: dict[str, str], limit: float = 240) -> None:
    """Wait until all reach all; fail with the pairs that do not."""
    with contextlib.suppress(AssertionError):
        cluster.wait(lambda: not cut_off(cluster, peers), limit, pause=3)
        return
    assert cut_off(cluster, peers) == []


def started(cluster, peers: dict[str, str]) -> dict[str, str]:
    """Return when each container was started."""
    ask = ["inspect", "-f", "{{.State.StartedAt}}"]
    return {name: cluster.docker(host, *ask, name) for name, host in peers.items()}


@contextlib.contextmanager
def running(cluster):
    """Give ``{container: host}`` of containers that run on each host, and reach each other."""
    found = {f"peer-{host}": host for host in cluster.lab.hosts()}
    try:
        for name, host in found.items():
            start(cluster, host, name)
        await_all(cluster, found)
        yield found
    finally:
        cluster.switch_on()
        for name, host in found.items():
            cluster.docker(host, "rm", "-f", name, check=False)
