"""
Save the Raft state of a manager, whose engine is stopped meanwhile.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import swarm_archive
import swarm_dockerd
import swarm_errors
import swarm_membership
import swarm_mode
import swarm_node_quorum
import swarm_nodes


def save(salt: Mapping[str, Callable], settings: dict, path: str | None, force: bool) -> Path:
    """Write the Raft state and facts about it to a new file; return its path."""
    name = f"builtin-{settings['id']}-{swarm_archive.stamp(time.time())}.tar.gz"
    place = swarm_archive.place(path, name)
    with swarm_mode.connect(salt) as client, swarm_mode.alone():
        state, facts = _to_save(client, settings, force)
        with swarm_dockerd.stopped(salt, settings["engine"]["service"], settings["timeout"]):
            swarm_archive.pack(state, place, facts)
    swarm_archive.read(place)
    # The next manager may be stopped only when this one is unlocked and a manager again.
    salt["swarm_builtin.apply"]()
    salt["swarm_builtin.wait_ready"]()
    return place


def _to_save(client: Any, settings: dict, force: bool) -> tuple[Path, dict]:
    """Return the folder of the Raft state and facts about it; raise an error if refused."""
    info = client.info()
    swarm = info.get("Swarm") or {}
    if not swarm_membership.manager(swarm):
        raise swarm_errors.SwarmError(
            f"{settings['id']} is no manager, and only these have the cluster's state:"
            " salt-run swarm.backup chooses one"
        )
    nodes, cluster = swarm_mode.nodes(client), client.inspect_swarm()
    facts = {
        "address": swarm_nodes.raft_address(swarm_nodes.only(nodes, swarm["NodeID"])),
        "cluster": cluster["ID"],
        "engine": info["ServerVersion"],
        "locked": cluster["Spec"]["EncryptionConfig"]["AutoLockManagers"],
        "managers": len(swarm_nodes.managers(nodes)),
        "minion": settings["id"],
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    refused = unrestorable(facts) or swarm_node_quorum.pause_refusal(nodes, swarm["NodeID"])
    if refused and not force:
        raise swarm_errors.SwarmError(f"no backup was made: {refused}; or force=True")
    return Path(info["DockerRootDir"]) / "swarm", facts


def unrestorable(facts: Mapping) -> str | None:
    """Return why no engine can restore a backup with these facts, ``None`` if one can."""
    if not facts["locked"] or facts["managers"] == 1:
        return None
    return (
        "the cluster locks its managers, and then no engine makes a new cluster of the state of"
        " one of several (moby#36852): apply swarm:builtin:cluster:autolock: False, back up, and"
        " lock it again"
    )
