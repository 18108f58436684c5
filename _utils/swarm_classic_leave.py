"""
Remove the containers of services from an engine that leaves the swarm in classic mode.

They have the label of the formula and a name that it gives; all others are their owners'.
"""

from typing import Any

import swarm_actions
import swarm_classic_plan as planning
import swarm_classic_spec
import swarm_docker


def own(client: Any) -> list[str]:
    """Return the containers of services on an engine, by its own API."""
    with swarm_docker.translated("containers of services"):
        found = client.containers(all=True)
    names = {
        # Links give a container more names, with more slashes.
        min(one["Names"], key=lambda name: name.count("/")).lstrip("/"): one.get("Labels") or {}
        for one in found
        if one.get("Names")
    }
    return sorted(
        name
        for name, labels in names.items()
        if labels.get(swarm_classic_spec.SERVICE)
        and planning.service_of(name) == labels[swarm_classic_spec.SERVICE]
    )


def remove(client: Any, test: bool) -> dict:
    """Remove the containers of services from an engine; return what changed, by container."""
    names = own(client)
    for name in names if not test else ():
        with swarm_docker.translated(f"container {name}"):
            container = swarm_docker.container(client, name)
            if container is not None:
                swarm_actions.halt(client, container)
                swarm_actions.delete(client, container["Id"])
    return {name: {"old": "present", "new": "absent"} for name in names}
