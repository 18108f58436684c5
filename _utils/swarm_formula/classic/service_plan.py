"""
Find what has to be done with the services of classic mode; refuse what the managers would.

A service is its containers ``NAME.1``, ``NAME.2``, ... Only containers with the label of the
formula are its own.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from swarm_formula.classic import probe, service_containers
from swarm_formula.classic.kept_options import OWN_NETWORKS
from swarm_formula.classic.service_rollout import Seat
from swarm_formula.core import faults, shapes
from swarm_formula.core.faults import Fault
from swarm_formula.docker import compose_labels, engine_api, reconcile
from swarm_formula.docker.container_actions import REPLACED, status
from swarm_formula.spec import option_table, service_spec

MONITOR, DELAY = "update_config.monitor", "update_config.delay"
_SETTLED = {MONITOR: "5s", DELAY: "0s"}
_NUMBERED = re.compile(rf"(.+)\.([1-9][0-9]*)(?:{REPLACED}|{probe.SUFFIX})?")
STATE, COUNT = "state", "replicas"


class Listed(NamedTuple):
    """A container as the managers list it."""

    node: str
    service: str  # empty for one that the formula has not created
    down: bool  # its engine does not answer
    project: str = ""  # of docker-compose, unless it runs a single command in it


class Plan(NamedTuple):
    """A service, its wanted options, its containers, and what differs."""

    name: str
    wanted: dict[str, Any]
    seats: list[Seat]
    surplus: list[str]
    unreachable: str  # why its containers cannot be looked at, empty if they can
    changes: dict[str, Any]


def look(client: Any) -> dict[str, Listed]:
    """Return all containers of the swarm, by their names."""
    found = {}
    for one in client.containers(all=True):
        if not one.get("Names"):
            continue
        # Links give a container more names, with more slashes.
        _, node, name = min(one["Names"], key=lambda name: name.count("/")).split("/", 2)
        labels, down = one.get("Labels") or {}, one.get("Status") == "Host Down"
        service = labels.get(service_containers.SERVICE, "")
        single = labels.get(compose_labels.ONE_OFF) == "True"
        project = "" if single else labels.get(compose_labels.PROJECT, "")
        found[name] = Listed(node, service, down, project)
    return found


def whole(
    client: Any, name: str, wanted: dict[str, Any], listed: dict[str, Listed]
) -> dict[str, Any]:
    """Return the wanted options as all that a service may have: others get Docker's default."""
    for one, about in listed.items():
        if about.service != name or about.down:
            continue
        if container := engine_api.container(client, one):
            wanted = service_spec.whole(service_containers.spec_of(container), wanted)
    return wanted


def service_of(name: str) -> str:
    """Return the service that has a container of this name, empty if no service can have it."""
    match = _NUMBERED.fullmatch(name)
    return match[1] if match else ""


def refuse(
    client: Any,
    wanted: Mapping[str, dict[str, Any]],
    listed: dict[str, Listed],
    pending: Iterable[str],
) -> None:
    """
    Raise an error for what the managers would refuse, or do to another effect.

    pending
        Networks that exist only after earlier states of a dry run.
    """
    used = {one for options in wanted.values() for one in options.get("networks") or ()}
    known = {*OWN_NETWORKS, *pending, *(_networks(client) if used else ())}
    found: list[Fault] = []
    for name, options in wanted.items():
        found += _faults(name, options, listed, known)
    option_table.refuse(found, unchanged=True)


def _networks(client: Any) -> set[str]:
    # Those of one host have its name before theirs.
    return {one["Name"].rpartition("/")[2] for one in client.networks()}


def _faults(
    name: str, wanted: dict[str, Any], listed: dict[str, Listed], networks: set[str]
) -> Iterator[Fault]:
    path = f"service {name}"
    there = {one.service for one in listed.values()}
    if name not in there and "image" not in wanted and wanted.get(COUNT) != 0:
        want = "the name of an image: the swarm has no service of this name yet"
        yield Fault(f"{path}:image", None, want)
    for one, about in listed.items():
        if service_of(one) == name and about.service != name:
            want = (
                f"another name of the service: on {about.node}, there is a container {one} that the"
                " formula has not created. Or rename or remove that"
            )
            yield Fault(path, name, want)
    for one in wanted.get("networks") or ():
        if one not in networks:
            hint = faults.suggest(one, networks)
            yield Fault(f"{path}:networks", one, f"one that the swarm has{hint}")


def seconds(wanted: dict[str, Any], key: str) -> float:
    """Return a duration of ``update_config``, by default Docker's own."""
    return shapes.seconds(wanted.get(key) or _SETTLED[key])


def plan(client: Any, name: str, wanted: dict[str, Any], listed: dict[str, Listed]) -> Plan:
    """Return what has to be done with the containers of a service."""
    mine = {one: number for one in containers_of(name, listed) if (number := _number(name, one))}
    down = [one for one in mine if listed[one].down]
    if down:
        return Plan(name, wanted, [], [], lost(down, listed), {})
    there = existing(client, mine)
    numbers = sorted({mine[one] for one in there if not one.endswith(probe.SUFFIX)})
    count = wanted.get(COUNT)
    due = list(range(1, count + 1)) if count is not None else numbers or [1]
    surplus = [f"{name}.{one}" for one in numbers if one not in due]
    probes = [one for one in there if one.endswith(probe.SUFFIX)]
    seats = _seats(name, wanted, due, there)
    changes = _changes(seats, surplus, wanted)
    if probes:
        changes.setdefault("leftover", {"old": [], "new": None})["old"] += probes
    return Plan(name, wanted, seats, surplus + probes, "", changes)


def containers_of(name: str, listed: Mapping[str, Listed]) -> list[str]:
    """Return the names of the containers of a service, as the managers list them."""
    return [one for one, about in listed.items() if about.service == name]


def _number(service: str, container: str) -> int:
    match = _NUMBERED.fullmatch(container)
    return int(match[2]) if match and match[1] == service else 0


def existing(client: Any, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """
    Return the listed containers that exist, inspected.

    For a moment, a manager still lists a container that it has just removed: an event of before
    makes it look at that again.
    """
    found = {one: engine_api.container(client, one) for one in names}
    return {one: container for one, container in found.items() if container}


def _seats(
    name: str, wanted: dict[str, Any], due: list[int], there: dict[str, dict[str, Any]]
) -> list[Seat]:
    seats = [_seat(f"{name}.{one}", wanted, there) for one in due]
    # A new container is as its siblings, where pillar does not say otherwise.
    found = [one.spec for one in seats if one.kept]
    base = found[0] if found else service_containers.merged({}, wanted) if "image" in wanted else {}
    return [one if one.kept else one._replace(spec=base) for one in seats]


def _seat(name: str, wanted: dict[str, Any], found: dict[str, dict[str, Any]]) -> Seat:
    current, leftover = found.get(name), found.get(name + REPLACED)
    kept = reconcile.survivor(current, leftover, _differences(current, wanted))
    if kept is None:
        return Seat(name, current, leftover, None, {}, {})
    there = service_containers.spec_of(kept)
    due = service_containers.merged(there or service_containers.bare(kept), wanted)
    return Seat(name, current, leftover, kept, service_containers.diff(there, wanted), due)


def _differences(container: dict[str, Any] | None, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return what a container lacks; empty for one that runs with the wanted options."""
    if container is None:
        return {STATE: None}
    lacking = {} if status(container) == "running" else {STATE: None}
    return {**service_containers.diff(service_containers.spec_of(container), wanted), **lacking}


def _changes(seats: list[Seat], surplus: list[str], wanted: dict[str, Any]) -> dict[str, Any]:
    there = [one.name for one in seats if one.kept] + surplus
    if not there:
        count = {COUNT: {"old": None, "new": wanted[COUNT]}} if COUNT in wanted else {}
        new = {
            STATE: {"old": "absent", "new": "running"},
            **service_containers.created(wanted),
            **count,
        }
        return new if seats else {}
    changes: dict[str, Any] = {}
    for seat in seats:
        for key, one in seat.options.items():
            changes.setdefault(key, one)
    ended = {key: one for key, one in states(seats).items() if one != "absent"}
    if ended:
        changes[STATE] = {"old": ended, "new": "running"}
    if leftovers := [one.leftover["Name"].lstrip("/") for one in seats if one.leftover]:
        changes["leftover"] = {"old": leftovers, "new": None}
    due = [one.name for one in seats]
    if len(there) != len(due):
        changes[COUNT] = {"old": len(there), "new": len(due)}
    elif set(there) != set(due):
        changes["containers"] = {"old": sorted(there), "new": sorted(due)}
    return changes


def states(seats: list[Seat]) -> dict[str, str]:
    """Return the containers that do not run, and how they are."""
    found = {one.name: status(one.kept) if one.kept else "absent" for one in seats}
    return {name: one for name, one in found.items() if one != "running"}


def lost(names: list[str], listed: dict[str, Listed]) -> str:
    texts = [f"{one} is on {listed[one].node}" for one in names]
    return (
        f"{', '.join(texts)}, whose engine does not answer the managers: see there with `systemctl"
        " status docker`, or take the node out (salt-run swarm.remove NODE). With `reschedule:"
        " on-node-failure`, the managers create containers of a lost node on another one"
    )
