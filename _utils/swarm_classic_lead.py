"""
Act on the services of classic mode on one host: the one whose manager is the primary.

Any manager would answer, for the others forward to the primary. Only one host acts, so that two do
not change the same containers.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import swarm_certs
import swarm_classic_options
import swarm_classic_services as services
import swarm_docker
import swarm_errors
import swarm_roles

LEADS, FOUNDS, IDLE = "leads", "founds", "idle"


def role(salt: Mapping[str, Callable], settings: dict, test: bool) -> str:
    """
    Return whether this node's manager is the primary, after a wait for one.

    ``founds``: in a dry run, no manager is primary yet, and this is the first one in the pillar.
    """
    if settings["id"] not in settings["managers"]:
        return IDLE
    if not test:
        salt["swarm_classic.wait_primary"]()
    roles = {name: said.get("role") for name, said in salt["swarm_classic.managers"]().items()}
    if roles.get(settings["id"]) == "primary":
        return LEADS
    first = next(iter(settings["managers"])) == settings["id"]
    return FOUNDS if test and first and "primary" not in roles.values() else IDLE


def leads(salt: Mapping[str, Callable], settings: dict, test: bool) -> bool:
    """Check whether this node acts, or would after the earlier states of a dry run."""
    return role(salt, settings, test) != IDLE


def apply(
    salt: Mapping[str, Callable], settings: dict, wanted: Mapping[str, dict], test: bool
) -> dict:
    """Ensure services have the wanted options, and run; return what changed, by service."""
    who = role(salt, settings, test) if wanted else IDLE
    if who == IDLE:
        return {}
    if who == FOUNDS:
        return services.promised(wanted)
    limits = [one.get("timeout") or settings["timeout"] for one in wanted.values()]
    run = services.Run(settings["timeout"], settings["networks"] if test else (), test)
    with connect(settings, max(limits)) as client:
        return services.apply(client, wanted, run)


def apply_one(
    salt: Mapping[str, Callable], settings: dict, name: str, spec: dict, test: bool
) -> dict:
    """Ensure a service has these options, as a user writes them; return what changed."""
    wanted = swarm_classic_options.parsed(spec, f"service {name}")
    return apply(salt, settings, {name: wanted}, test).get(name, {})


def scale(salt: Mapping[str, Callable], settings: dict, name: str, replicas: int) -> dict | None:
    """Set the number of containers of a service; ``None`` if this node does not act."""
    if not leads(salt, settings, False):
        return None
    with connect(settings, settings["timeout"]) as client:
        return services.scale(client, name, replicas, services.Run(settings["timeout"]))


def remove(salt: Mapping[str, Callable], settings: dict, name: str, test: bool) -> dict:
    """Remove the containers of a service; return what changed."""
    if role(salt, settings, test) != LEADS:
        return {}
    with connect(settings, settings["timeout"]) as client:
        return services.remove_service(client, name, test)


def status(settings: dict) -> list[dict] | None:
    """Return the services of the swarm; ``None`` on a node without a manager."""
    if settings["id"] not in settings["managers"]:
        return None
    with connect(settings) as client:
        return services.rows(client)


@contextlib.contextmanager
def connect(settings: dict, timeout: float = 60) -> Iterator[Any]:
    """Yield a client of this node's manager."""
    endpoint = swarm_roles.manager_endpoints(settings)[settings["id"]]
    tls = swarm_roles.manager_tls(settings, swarm_certs.NODE.current())
    what = f"the manager {endpoint}"
    try:
        with swarm_docker.connect(f"tcp://{endpoint}", timeout, what, tls) as client:
            yield client
    except swarm_errors.EngineUnreachableError as err:
        raise swarm_errors.ApiError(
            f"{what} does not answer, or not within {timeout:g} s: {err}"
        ) from err
