"""
Find out whether the managers still list this node, and in which state. Pure.

An engine is not notified when its node is removed (``docker node rm --force``): it stays ``active``
and becomes ``pending`` after its next start. It stays ``active`` as well while the managers take it
for down. Only they know; they are asked through the master.
"""

import zlib
from typing import Any

from swarm_formula.cluster import node_info
from swarm_formula.cluster.membership import cluster_id, manager, remote_managers
from swarm_formula.core.settings_types import Settings

# States in which an engine considers itself a node of a cluster.
_BELIEVES = {"active", "pending"}


def is_doubtful(swarm: dict[str, Any], records: dict[str, dict[str, Any]]) -> bool:
    """
    Check whether the managers in the pillar must be asked how they list this node.

    A manager that has a leader has the list itself. A manager without a leader may have been
    demoted and removed before its engine learned of either. A node that knows none of the managers
    in the pillar may belong to another cluster; the managers are not asked about it.
    """
    known = {one.get("node") for one in records.values()}
    return (
        swarm.get("LocalNodeState") in _BELIEVES
        and bool(swarm.get("NodeID"))
        and not (manager(swarm) and cluster_id(swarm))
        and not known.isdisjoint(remote_managers(swarm))
    )


def is_left_behind(swarm: dict[str, Any], records: dict[str, dict[str, Any]]) -> bool:
    """
    Check whether a worker knows only managers that are none any more, or of another cluster.

    A node that was removed before its managers were replaced is not told of either. The list of a
    manager in the pillar shows which it is: see ``cluster.membership.is_removed``.
    """
    known = {one.get("node") for one in records.values()}
    remote = remote_managers(swarm)
    worker = swarm.get("LocalNodeState") == "active" and not manager(swarm)
    return worker and bool(remote) and bool(known) and known.isdisjoint(remote)


def to_ask(
    swarm: dict[str, Any], settings: Settings, records: dict[str, dict[str, Any]]
) -> list[str]:
    """
    Return the managers in the order to ask them; the node's ID decides where it starts.

    These are managers in the pillar. If they are not in the cluster yet, it is led by former ones,
    and a node that becomes a manager asks them: see ``former``.
    """
    names = [name for name in settings["managers"] if name in records and name != settings["id"]]
    names = names or former(swarm, settings, records)
    start = zlib.crc32(settings["id"].encode()) % len(names) if names else 0
    return names[start:] + names[:start]


def former(
    swarm: dict[str, Any], settings: Settings, records: dict[str, dict[str, Any]]
) -> list[str]:
    """
    Return the members outside the pillar's managers that may be managers of this node's cluster:
    those that its engine knows as such. An engine that has failed knows none.

    Only a node that is to be a manager, and was none, asks them: it accepts their records as well,
    see ``cluster.donors``. Leaving by their answer costs no more than its own tasks.
    """
    me, state = settings["id"], swarm.get("LocalNodeState")
    if not settings["is_manager"] or me in records or manager(swarm):
        return []
    outside = records.keys() - settings["managers"].keys()
    if state == "error":
        return sorted(outside)
    known = remote_managers(swarm) if state in _BELIEVES else set()
    return sorted(name for name in outside if records[name]["node"] in known)


def answer(returns: object, name: str) -> str | None:
    """
    Return a manager's answer from ``publish``, ``None`` if there is no valid answer.

    An older release answers only whether it lists the node.
    """
    said = returns.get(name) if isinstance(returns, dict) else None
    if isinstance(said, bool):
        return node_info.READY if said else ""
    return said if said in {*node_info.STATES, ""} else None
