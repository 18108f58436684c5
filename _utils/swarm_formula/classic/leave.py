"""
Remove the containers of services from an engine that leaves the swarm in classic mode.

They have the label of the formula and a name that it gives; all others are their owners'.
"""

from typing import Any

from swarm_formula.classic import service_containers, service_plan
from swarm_formula.docker import container_actions, engine_api


def own(client: Any) -> list[str]:
    """Return the containers of services on an engine, by its own API."""
    with engine_api.translated("containers of services"):
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
        if labels.get(service_containers.SERVICE)
        and service_plan.service_of(name) == labels[service_containers.SERVICE]
    )


def remove(client: Any, test: bool) -> dict[str, Any]:
    """Remove the containers of services from an engine; return what changed, by container."""
    names = own(client)
    for name in names if not test else ():
        with engine_api.translated(f"container {name}"):
            container = engine_api.container(client, name)
            if container is not None:
                container_actions.halt(client, container)
                container_actions.delete(client, container["Id"])
    return {name: {"old": "present", "new": "absent"} for name in names}
