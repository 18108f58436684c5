"""
Whether the managers still list this node, and what follows. Pure.

An engine whose node was removed (``docker node rm --force``) is not told: it stays ``active``, and
after its next start ``pending``. Only the managers know, and they are asked through the master.
"""

import zlib

from swarm_membership import cluster_id, manager, remote_managers

# States in which an engine believes to be a node of a cluster.
_BELIEVES = {"active", "pending"}


def is_doubtful(swarm: dict, records: dict) -> bool:
    """
    Say whether the managers of pillar should be asked if they list this node.

    A manager that has a leader has the list itself. One that has none may have been demoted and
    removed before its engine heard of either. A node that knows none of the managers of pillar may
    be one of another cluster, in which nobody asks.
    """
    known = {one.get("node") for one in records.values()}
    return (
        swarm.get("LocalNodeState") in _BELIEVES
        and bool(swarm.get("NodeID"))
        and not (manager(swarm) and cluster_id(swarm))
        and not known.isdisjoint(remote_managers(swarm))
    )


def to_ask(settings: dict, records: dict) -> list[str]:
    """Return the managers to ask one after the other; each node begins with another one."""
    names = [name for name in settings["managers"] if name in records and name != settings["id"]]
    start = zlib.crc32(settings["id"].encode()) % len(names) if names else 0
    return names[start:] + names[:start]


def answer(returns: object, name: str) -> bool | None:
    """Return what a manager answered by ``publish``, ``None`` if it cannot tell."""
    said = returns.get(name) if isinstance(returns, dict) else None
    return said if isinstance(said, bool) else None


def removed(settings: dict, swarm: dict) -> str:
    """Return why a node that no manager lists joins again."""
    return (
        f"the managers do not list its node {swarm['NodeID']}: it was removed, and"
        f" {settings['id']} joins again as a new node"
    )
