"""
Have the images of services on a node before its tasks start: pulled, or loaded from an archive.

Swarm mode only: in classic mode, the old container runs on while the new image is pulled.
"""

import socket
from collections.abc import Callable, Mapping
from typing import Any, Literal

from swarm_formula.cluster import node_info
from swarm_formula.core import errors, member_rules
from swarm_formula.core.settings_types import Settings
from swarm_formula.docker import images as docker_images
from swarm_formula.docker.images import Archive
from swarm_formula.service import unplaced

_CHANGE = {"old": "absent", "new": "present"}


def wanted(settings: Settings, info: Mapping[str, Any]) -> dict[str, Archive | None]:
    """
    Return the images that this node gets, each with its archive if it is not pulled.

    info
        ``/info`` of this host's engine; empty on a bare host.
    """
    node = _node(settings, info)
    return {
        one["image"]: docker_images.archive(one.get("image_source"), None)
        for _, one in sorted(settings["services"].items())
        if one.get("image") and (one.get("prepull") or one.get("image_source"))
        if all(unplaced.satisfies(node, each) for each in one.get("constraints") or [])
    }


def _node(settings: Settings, info: Mapping[str, Any]) -> dict[str, Any]:
    """Return this node as the managers list it, by the pillar: workers cannot ask for it."""
    labels = member_rules.settings_of(settings["id"], settings["nodes"])["labels"]
    role = node_info.MANAGER if settings["is_manager"] else node_info.WORKER
    own = node_info.label_texts(settings["labels"])
    return {
        "ID": (info.get("Swarm") or {}).get("NodeID") or "",
        "Spec": {"Role": role, "Labels": node_info.label_texts(labels)},
        "Description": {
            "Hostname": info.get("Name") or socket.gethostname(),
            "Platform": {"OS": info.get("OSType") or "linux"},
            "Engine": {
                "Labels": dict(one.partition("=")[::2] for one in info.get("Labels") or []) or own
            },
        },
    }


def promised(images: Mapping[str, Archive | None]) -> dict[str, dict[str, Any]]:
    """Return the changes that will be made on a bare host."""
    return dict.fromkeys(images, _CHANGE)


def apply(
    client: Any,
    images: Mapping[str, Archive | None],
    fetch: Callable[[str], str | Literal[False]],
    timeout: float,
    test: bool = False,
) -> dict[str, dict[str, Any]]:
    """Ensure images are on this host; return what changed. Those that fail stop no others."""
    missing = {name: one for name, one in images.items() if not docker_images.local(client, name)}
    changes, failures = promised(missing), []
    for name, archive in missing.items() if not test else ():
        try:
            docker_images.ensure(client, name, archive, fetch, timeout)
        except errors.SwarmError as err:
            failures.append(str(err))
            del changes[name]
    if failures:
        raise errors.RolloutError("; ".join(failures), changes)
    return changes
