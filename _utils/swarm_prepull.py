"""
Have the images of services on a node before its tasks start: pulled, or loaded from an archive.

Swarm mode only: in classic mode, the old container runs on while the new image is pulled.
"""

import socket
from collections.abc import Callable, Mapping
from typing import Any

import swarm_errors
import swarm_images
import swarm_member_rules
import swarm_nodes
import swarm_unplaced
from swarm_images import Archive

_CHANGE = {"old": "absent", "new": "present"}


def wanted(settings: Mapping[str, Any], info: Mapping[str, Any]) -> dict[str, Archive | None]:
    """
    Return the images that this node gets, each with its archive if it is not pulled.

    info
        ``/info`` of this host's engine; empty on a bare host.
    """
    node = _node(settings, info)
    return {
        one["image"]: swarm_images.archive(one.get("image_source"), None)
        for _, one in sorted(settings["services"].items())
        if one.get("image") and (one.get("prepull") or one.get("image_source"))
        if all(swarm_unplaced.satisfies(node, each) for each in one.get("constraints") or [])
    }


def _node(settings: Mapping[str, Any], info: Mapping[str, Any]) -> dict:
    """Return this node as the managers list it, by the pillar: workers cannot ask for it."""
    labels = swarm_member_rules.settings_of(settings["id"], settings["nodes"])["labels"]
    role = swarm_nodes.MANAGER if settings["is_manager"] else swarm_nodes.WORKER
    own = swarm_nodes.label_texts(settings["labels"])
    return {
        "ID": (info.get("Swarm") or {}).get("NodeID") or "",
        "Spec": {"Role": role, "Labels": swarm_nodes.label_texts(labels)},
        "Description": {
            "Hostname": info.get("Name") or socket.gethostname(),
            "Platform": {"OS": info.get("OSType") or "linux"},
            "Engine": {
                "Labels": dict(one.partition("=")[::2] for one in info.get("Labels") or []) or own
            },
        },
    }


def promised(images: Mapping[str, Archive | None]) -> dict[str, dict]:
    """Return the changes that will be made on a bare host."""
    return dict.fromkeys(images, _CHANGE)


def apply(
    client: Any,
    images: Mapping[str, Archive | None],
    fetch: Callable,
    timeout: float,
    test: bool = False,
) -> dict[str, dict]:
    """Ensure images are on this host; return what changed. Those that fail stop no others."""
    missing = {name: one for name, one in images.items() if not swarm_images.local(client, name)}
    changes, failures = promised(missing), []
    for name, archive in missing.items() if not test else ():
        try:
            swarm_images.ensure(client, name, archive, fetch, timeout)
        except swarm_errors.SwarmError as err:
            failures.append(str(err))
            del changes[name]
    if failures:
        raise swarm_errors.RolloutError("; ".join(failures), changes)
    return changes
