"""
Act on the services of classic mode on one host: the one whose manager is the primary.

Any manager would answer, for the others forward to the primary. Only one host acts, so that two do
not change the same containers.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from swarm_formula.classic import kept_options, services
from swarm_formula.classic import tasks as classic_tasks
from swarm_formula.cluster.leading import FOUNDS, IDLE, LEADS
from swarm_formula.core import errors
from swarm_formula.core.settings_types import Settings
from swarm_formula.docker import engine_api
from swarm_formula.salt.dry_run import Pending
from swarm_formula.standalone import containers
from swarm_formula.tls import cert_files


def role(salt: Mapping[str, Callable[..., Any]], settings: Settings, test: bool) -> str:
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


def leads(salt: Mapping[str, Callable[..., Any]], settings: Settings, test: bool) -> bool:
    """Check whether this node acts, or would after the earlier states of a dry run."""
    return role(salt, settings, test) != IDLE


def apply(
    salt: Mapping[str, Callable[..., Any]],
    settings: Settings,
    wanted: Mapping[str, dict[str, Any]],
    test: bool,
    pending: Pending,
) -> dict[str, dict[str, Any]] | None:
    """
    Ensure services have the wanted options, and run; return what changed, by service.

    ``None`` if this node does not act.
    """
    who = role(salt, settings, test)
    if who == IDLE:
        return None
    if who == FOUNDS:
        return services.promised(wanted)
    limits = [one.get("timeout") or settings["timeout"] for one in wanted.values()]
    networks = {*pending.networks, *settings["networks"]} if test else ()
    run = services.Run(settings["timeout"], networks, test)
    with connect(settings, max(limits)) as client:
        return services.apply(client, wanted, run)


def apply_one(  # noqa: PLR0913, PLR0917
    salt: Mapping[str, Callable[..., Any]],
    settings: Settings,
    name: str,
    spec: dict[str, Any],
    test: bool,
    pending: Pending,
) -> dict[str, dict[str, Any]] | None:
    """Ensure a service has these options, as a user writes them, as ``apply`` does."""
    wanted = kept_options.parsed(spec, f"service {name}")
    return apply(salt, settings, {name: wanted}, test, pending)


def scale(
    salt: Mapping[str, Callable[..., Any]], settings: Settings, name: str, replicas: int
) -> dict[str, Any] | None:
    """Set the number of containers of a service; ``None`` if this node does not act."""
    if not leads(salt, settings, False):
        return None
    with connect(settings, settings["timeout"]) as client:
        return services.scale(client, name, replicas, services.Run(settings["timeout"]))


def remove(
    salt: Mapping[str, Callable[..., Any]], settings: Settings, name: str, test: bool
) -> dict[str, Any] | None:
    """Remove the containers of a service; return what changed, ``None`` if this node is idle."""
    who = role(salt, settings, test)
    if who != LEADS:
        return None if who == IDLE else {}
    with connect(settings, settings["timeout"]) as client:
        return services.remove_service(client, name, test)


def status(settings: Settings) -> list[dict[str, Any]] | None:
    """Return the services of the swarm; ``None`` on a node without a manager."""
    if settings["id"] not in settings["managers"]:
        return None
    with connect(settings) as client:
        return services.rows(client)


def tasks(settings: Settings, name: str) -> list[dict[str, Any]] | None:
    """Return the containers of a service; ``None`` on a node without a manager."""
    if settings["id"] not in settings["managers"]:
        return None
    with connect(settings) as client:
        return classic_tasks.rows(client, name)


def logs(settings: Settings, name: str, lines: int) -> list[dict[str, Any]] | None:
    """Return the last lines of the logs of a service; ``None`` on a node without a manager."""
    if settings["id"] not in settings["managers"]:
        return None
    with connect(settings) as client:
        return classic_tasks.logs(client, name, lines)


@contextlib.contextmanager
def connect(settings: Settings, timeout: float = 60) -> Iterator[Any]:
    """Yield a client of this node's manager."""
    endpoint = containers.manager_endpoints(settings)[settings["id"]]
    tls = containers.manager_tls(settings, cert_files.NODE.current())
    what = f"the manager {endpoint}"
    try:
        with engine_api.connect(f"tcp://{endpoint}", timeout, what, tls) as client:
            yield client
    except errors.EngineUnreachableError as err:
        raise errors.ApiError(
            f"{what} does not answer, or not within {timeout:g} s: {err}"
        ) from err
