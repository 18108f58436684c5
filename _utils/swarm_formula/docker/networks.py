"""
Create, change or remove one network.

An overlay network of classic Swarm is stored in the key-value store: every engine of the cluster
sees it, and several minions create it at the same time. Exactly one must remain.
"""

import time
from collections.abc import Callable, Container
from typing import Any

from swarm_formula.core import errors
from swarm_formula.docker import engine_api, network_spec, stale_endpoints

# Seconds until every engine sees in the store what another engine has written.
SETTLE = 1.0
# Seconds that another minion may need to finish the network that blocks the creation of this one.
_RIVAL = 3.0
# Timeout in seconds: if two engines remove the same network from the store, one of them may never
# answer (seen with 20.10.5).
_REMOVAL = 10.0
_REMOVALS = 3
# Seconds that tasks of a removed service have to end.
_LEAVING = 30


def find(client: Any, name: str) -> list[dict[str, Any]]:
    """Return all networks of exactly this name, starting with the network to keep."""
    # Docker's filter matches parts of names.
    found = [one for one in client.networks(names=[name]) if one["Name"] == name]
    if len(found) > 1:
        # All engines must choose the same network: clocks differ, IDs do not.
        found.sort(key=lambda one: (not users(client, one), one["Id"]))
    return found


def users(client: Any, network: dict[str, Any]) -> list[str]:
    """Return the names of the containers that use a network, on this or another engine."""
    details = engine_api.found(client.inspect_network, network["Id"]) or {}
    found = details.get("Containers") or {}
    # In swarm mode, a host with tasks has an endpoint of the load balancer, which goes with them.
    names = {one["Name"] for key, one in found.items() if key != f"lb-{network['Name']}"}
    for container in client.containers(all=True):
        for name, end in (container["NetworkSettings"]["Networks"] or {}).items():
            # A container that never ran has only the network's name; Docker's filter misses it.
            if (end.get("NetworkID") or name) in {network["Id"], network["Name"]}:
                names.add(container["Names"][0].lstrip("/"))
    return sorted(names)


Judge = Callable[[dict[str, Any]], stale_endpoints.Verdict]


def apply(
    client: Any, name: str, settings: dict[str, Any], test: bool = False, judge: Judge | None = None
) -> dict[str, Any]:
    """Ensure exactly one network has this name, with these settings; return what changed."""
    present = find(client, name)
    kept = present[0] if present else None
    changes = network_spec.differences(settings, kept)
    if kept and changes:
        what = f"cannot be changed ({', '.join(sorted(changes))})"
        _release(client, kept, what, test, judge)
    if present[1:]:
        changes["duplicates"] = {"old": [one["Id"] for one in present[1:]], "new": []}
    if changes and not test:
        _execute(client, name, settings, present)
    return changes


def remove(
    client: Any,
    name: str,
    test: bool = False,
    judge: Judge | None = None,
    gone: Container[str] = (),
) -> dict[str, Any]:
    """
    Ensure there is no network of this name; return what changed.

    judge
        Returns which users of a network no longer exist on any host.

    gone
        Services that earlier states of a dry run would have removed.
    """
    present = find(client, name)
    for network in present:
        _remove(client, network, test, judge, gone)
    return {"state": {"old": "present", "new": "absent"}} if present else {}


def _remove(
    client: Any, network: dict[str, Any], test: bool, judge: Judge | None, gone: Container[str]
) -> None:
    """Remove a network; wait for tasks that end, because their service was removed just now."""
    end = time.monotonic() + (0 if test else _LEAVING)
    while True:
        try:
            _release(client, network, "cannot be removed", test, judge)
            if test:
                _refuse_used(client, network, gone)
            else:
                _delete(client, network["Name"], network)
        except errors.SwarmError:
            if not _is_being_left(client, network, gone):
                raise
            if test:
                return
            if time.monotonic() > end:
                raise
            time.sleep(0.5)
        else:
            return


def _refuse_used(client: Any, network: dict[str, Any], gone: Container[str]) -> None:
    """In a dry run, refuse what Docker would: tasks of a service may run on other nodes only."""
    if names := _services(client, network, gone):
        raise errors.ApiError(
            f"network {network['Name']} cannot be removed while services have it:"
            f" {', '.join(sorted(names))}. Take it out of their options first"
        )


def _is_being_left(client: Any, network: dict[str, Any], gone: Container[str]) -> bool:
    """Check whether only tasks use a network, and no service has it any more."""
    if _services(client, network, gone) != set():
        return False
    tasks = client.containers(all=True, filters={"label": "com.docker.swarm.task.id"})
    names = {one["Names"][0].lstrip("/") for one in tasks}
    return names.issuperset(users(client, network))


def _services(client: Any, network: dict[str, Any], gone: Container[str]) -> set[str] | None:
    """Return the services that have a network; ``None`` if this node is no manager."""
    try:
        with engine_api.translated("services"):
            specs = [one["Spec"] for one in client.services()]
    except errors.SwarmError:
        return None
    which = {network["Id"], network["Name"]}
    return {
        spec.get("Name", "")
        for spec in specs
        if spec.get("Name") not in gone
        and not which.isdisjoint(
            one["Target"]
            for one in (spec["TaskTemplate"].get("Networks") or spec.get("Networks") or ())
        )
    }


def _execute(
    client: Any, name: str, settings: dict[str, Any], present: list[dict[str, Any]]
) -> None:
    for duplicate in present[1:]:
        if not users(client, duplicate):
            _delete(client, name, duplicate)
    kept = present[0] if present else None
    if kept is None:
        _create(client, name, settings)
    elif network_spec.differences(settings, kept):
        _recreate(client, name, settings, kept)
    still = network_spec.differences(settings, next(iter(find(client, name)), None))
    if still:
        raise errors.ApiError(
            f"network {name}: after the change, Docker still has other values for "
            f"{', '.join(sorted(still))}: this engine cannot take what is wanted"
        )


def _create(client: Any, name: str, settings: dict[str, Any]) -> None:
    """Create a network; if another minion was faster, use its network."""
    what = f"network {name}"
    try:
        with engine_api.translated(what):
            answer = engine_api.post(
                client, "/networks/create", json=network_spec.body(name, settings)
            )
    except errors.ApiError as err:
        if not _appears(client, name):
            raise errors.ApiError(f"{err}{_cure(settings)}") from err
        return
    if settings.get("driver") == "overlay":
        time.sleep(SETTLE)
        mine = answer.json()["Id"]
        for duplicate in find(client, name)[1:]:
            if duplicate["Id"] == mine:
                _delete(client, name, duplicate)


def _appears(client: Any, name: str) -> bool:
    """Check whether a network of this name exists, or appears within ``_RIVAL`` seconds."""
    end = time.monotonic() + _RIVAL
    while not find(client, name):
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def _recreate(client: Any, name: str, settings: dict[str, Any], old: dict[str, Any]) -> None:
    _delete(client, name, old)
    try:
        _create(client, name, settings)
    except errors.SwarmError:
        engine_api.post(
            client, "/networks/create", json=network_spec.body(name, network_spec.current(old))
        )
        raise


def _delete(client: Any, name: str, network: dict[str, Any]) -> None:
    """Remove a network that other minions may be removing at the same time."""
    patience, client.timeout = client.timeout, _REMOVAL
    try:
        for left in reversed(range(_REMOVALS)):
            failure = _failed_delete(client, name, network)
            if failure is None:
                return
            if not left:
                raise failure
    finally:
        client.timeout = patience


def _failed_delete(client: Any, name: str, network: dict[str, Any]) -> errors.SwarmError | None:
    """Try to remove a network; return the error if it still exists."""
    try:
        with engine_api.translated(f"network {name}"):
            engine_api.found(client.remove_network, network["Id"])
    except errors.SwarmError as err:
        time.sleep(0.5)
        if network["Id"] in {one["Id"] for one in find(client, name)}:
            return err
    return None


def _release(
    client: Any, network: dict[str, Any], what: str, test: bool, judge: Judge | None
) -> None:
    """Free a network from containers that no longer exist; raise an error if it has others."""
    used_by = users(client, network)
    verdict = judge(network) if judge and used_by else stale_endpoints.Verdict(set(), [])
    if left := sorted(set(used_by) - verdict.gone):
        raise stale_endpoints.refusal(network["Name"], what, left, verdict)
    if not test:
        stale_endpoints.free(client, network, verdict.gone & set(used_by))


def _cure(settings: dict[str, Any]) -> str:
    if settings.get("driver") != "overlay":
        return ""
    return (
        ": an overlay network needs an engine with a cluster-store (swarm:overlay: true, "
        "Docker before 23.0) or a manager of the built-in swarm mode"
    )
