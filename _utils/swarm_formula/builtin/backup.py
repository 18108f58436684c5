"""
Save the Raft state of a manager, whose engine is stopped meanwhile.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from swarm_formula.cluster import membership, node_info, node_quorum, swarm_api
from swarm_formula.core import archive, errors
from swarm_formula.core.settings_types import Settings
from swarm_formula.daemon import dockerd


def save(
    salt: Mapping[str, Callable[..., Any]], settings: Settings, path: str | None, force: bool
) -> Path:
    """Write the Raft state and facts about it to a new file; return its path."""
    name = f"builtin-{settings['id']}-{archive.stamp(time.time())}.tar.gz"
    place = archive.place(path, name)
    with swarm_api.connect(salt) as client, swarm_api.alone():
        state, facts = _to_save(client, settings, force)
        with dockerd.stopped(salt, settings["engine"]["service"], settings["timeout"]):
            archive.pack(state, place, facts)
    archive.read(place)
    # The next manager may be stopped only when this one is unlocked and a manager again.
    salt["swarm_builtin.apply"]()
    salt["swarm_builtin.wait_ready"]()
    return place


def _to_save(client: Any, settings: Settings, force: bool) -> tuple[Path, dict[str, Any]]:
    """Return the folder of the Raft state and facts about it; raise an error if refused."""
    info = client.info()
    swarm = info.get("Swarm") or {}
    if not membership.manager(swarm):
        raise errors.SwarmError(
            f"{settings['id']} is no manager, and only these have the cluster's state:"
            " salt-run swarm.backup chooses one"
        )
    nodes, cluster = swarm_api.nodes(client), client.inspect_swarm()
    facts = {
        "address": node_info.raft_address(node_info.only(nodes, swarm["NodeID"])),
        "cluster": cluster["ID"],
        "engine": info["ServerVersion"],
        "locked": cluster["Spec"]["EncryptionConfig"]["AutoLockManagers"],
        "managers": len(node_info.managers(nodes)),
        "minion": settings["id"],
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    refused = unrestorable(facts) or node_quorum.pause_refusal(nodes, swarm["NodeID"])
    if refused and not force:
        raise errors.SwarmError(f"no backup was made: {refused}; or force=True")
    return Path(info["DockerRootDir"]) / "swarm", facts


def unrestorable(facts: Mapping[str, Any]) -> str | None:
    """Return why no engine can restore a backup with these facts, ``None`` if one can."""
    if not facts["locked"] or facts["managers"] == 1:
        return None
    return (
        "the cluster locks its managers, and then no engine makes a new cluster of the state of"
        " one of several (moby#36852): apply swarm:builtin:cluster:autolock: False, back up, and"
        " lock it again"
    )
