"""
Read, create, update and remove services of swarm mode by the API of a manager.
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from swarm_formula.cluster import swarm_api
from swarm_formula.core import errors, faults, normalize, wait
from swarm_formula.docker import engine_api
from swarm_formula.spec import service_spec


class Cluster(NamedTuple):
    """What services refer to, and the services and tasks themselves."""

    services: dict[str, dict[str, Any]]  # by name
    tasks: list[dict[str, Any]]
    nodes: list[dict[str, Any]]


class Plan(NamedTuple):
    """A service, its wanted options, and what differs."""

    name: str
    wanted: dict[str, Any]
    service: dict[str, Any] | None
    changes: dict[str, Any]


def look(client: Any) -> Cluster:
    """Return the services, tasks and nodes of the cluster."""
    with engine_api.translated("services of the cluster"):
        services = {one["Spec"]["Name"]: one for one in client.services()}
        return Cluster(services, client.tasks() if services else [], client.nodes())


def networks(client: Any, cluster: Cluster) -> dict[str, str]:
    """Return ``{ID: name}`` of the networks that services may have."""
    return {one["Id"]: one["Name"] for one in described(client, cluster)}


def described(client: Any, cluster: Cluster) -> list[dict[str, Any]]:
    """Return the networks that services may have, as Docker describes them."""
    with engine_api.translated("networks of the cluster"):
        found = {one["Id"]: one for one in client.networks() if one.get("Scope") == "swarm"}
        used = {
            one
            for each in cluster.services.values()
            for one in service_spec.network_ids(each["Spec"])
        }
        for one in used - found.keys():
            # The cluster's own networks `host` and `bridge` are in no list.
            network = engine_api.found(client.inspect_network, one)
            if network and network["Id"] == one:
                found[one] = network
    return list(found.values())


def write(client: Any, plan: Plan, ids: Mapping[str, Mapping[str, str]]) -> float:
    """Create or update a service; return the time of that by the leader's clock."""
    with engine_api.translated(f"service {plan.name}"):
        if plan.service is None:
            body = service_spec.body(plan.name, plan.wanted, ids)
            _post(client, "/services/create", body)
            return _updated_at(client, plan.name)

    names = plan.changes.keys() & plan.wanted.keys()
    return update(
        client, plan.service, lambda now: service_spec.update(now, plan.wanted, names, ids)
    )


def update(
    client: Any,
    service: dict[str, Any],
    edit: Callable[[dict[str, Any]], dict[str, Any]],
    query: str = "",
) -> float:
    """
    Update a service to what ``edit`` makes of its spec; return the time by the leader's clock.

    query
        More parameters of the API call.
    """
    name = service["Spec"]["Name"]

    def change() -> None:
        with engine_api.translated(f"service {name}"):
            now = client.inspect_service(service["ID"])
            path = f"/services/{now['ID']}/update?version={now['Version']['Index']}{query}"
            _post(client, path, edit(now["Spec"]))

    swarm_api.retried(change)
    return _updated_at(client, name)


def force(client: Any, service: dict[str, Any]) -> float:
    """Start the tasks of a service again with the same spec; return the time of the update."""
    return update(client, service, service_spec.forced)


def find(client: Any, name: str) -> dict[str, Any]:
    """Return a service; raise an error if the cluster has none of this name."""
    services: dict[str, dict[str, Any]] = {one["Spec"]["Name"]: one for one in client.services()}
    if name not in services:
        hint = faults.suggest(name, services)
        raise errors.SwarmError(f"the cluster has no service {name}{hint}")
    return services[name]


def _updated_at(client: Any, name: str) -> float:
    """Return when a service was written; if that cannot be read, this host's time."""
    with contextlib.suppress(errors.ApiError), engine_api.translated(f"service {name}"):
        return normalize.stamp(client.inspect_service(name)["UpdatedAt"])
    # The service has been written: an error would have it reported as not changed.
    return time.time()


def _post(client: Any, path: str, body: dict[str, Any]) -> None:
    image = body["TaskTemplate"]["ContainerSpec"]["Image"]
    # The managers pass the login on to the nodes that pull the image.
    headers = engine_api.registry_login(client, image)
    engine_api.post(client, path, json=body, headers=headers)


def remove(client: Any, name: str, timeout: float, test: bool = False) -> dict[str, Any]:
    """Remove a service, and wait until its tasks are gone; return what changed."""
    with engine_api.translated(f"service {name}"):
        found = [one for one in client.services() if one["Spec"]["Name"] == name]
        if not found or test:
            return {"state": {"old": "present", "new": "absent"}} if found else {}
        engine_api.found(client.remove_service, found[0]["ID"])

        def probe() -> str | None:
            left = [one for one in client.tasks() if one["ServiceID"] == found[0]["ID"]]
            return f"service {name}: {len(left)} of its tasks are still there" if left else None

        wait.until(probe, timeout)
    return {"state": {"old": "present", "new": "absent"}}
