"""
The order of the tests on hosts: each folder has one lab, which one module leaves to the next.
"""

from collections.abc import Mapping

# From bare hosts to removal; what needs other labs than the folder's comes at the end.
ORDER: Mapping[str, tuple[str, ...]] = {
    "integration": (
        # Makes the swarm that the others use.
        "converge",
        "labels",
        "failover",
        "faults",
        "rolling",
        "servers",
        "topologies",
        "overlay",
        "services",
        "stacks",
        "workloads",
        "store",
        "join",
        "acl",
        "kills",
        "tls",
        "firewall",
        "registry",
        "own_registry",
        "troubles",
        "adoption",
        "hosts",
        "matrix",
        "wrong_pillar",
        # Takes the swarm away, and makes it anew.
        "clean",
        "suites",
    ),
    "builtin": (
        "cluster",
        "changes",
        "overlay",
        "disaster",
        "matrix",
        "tokens",
        "walk",
        "clean",
        "managers",
        "troubles",
        "two_swarms",
        "masters",
        "adoption",
        "attacks",
        "hosts",
        "haproxy",
        "registry",
        "services",
        "stacks",
        "upgrade",
        "offline",
    ),
}


def position(module: str) -> int:
    """Return the place of a test module, such as ``tests.builtin.test_cluster``, in its folder."""
    folder, _, name = module.removeprefix("tests.").rpartition(".")
    return ORDER[folder].index(name.removeprefix("test_")) if folder in ORDER else 0
