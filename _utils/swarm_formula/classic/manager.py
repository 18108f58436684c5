"""
Run the manager of classic mode on a host; another one is primary before it stops.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from swarm_formula.classic import container
from swarm_formula.consul import agent_api, config_file, restart_lock
from swarm_formula.core import errors
from swarm_formula.core import wait as core_wait
from swarm_formula.core.settings_types import Settings
from swarm_formula.standalone import container_names, containers, manager_info
from swarm_formula.tls import cert_files

Salt = Mapping[str, Callable[..., Any]]

# Seconds that another manager has to become primary. A replica that did not reach the store on its
# last attempt, as during a restart of Consul on its host, retries after 10 s.
_SUCCESSION = 15


def apply(salt: Salt, settings: Settings, test: bool) -> dict[str, Any]:
    """Ensure a manager runs here if the pillar lists this minion as one, and none otherwise."""
    renamed = container_names.rename(settings, salt, "manager", test)
    if renamed and test:
        return renamed
    if not settings["is_manager"]:
        return container_names.remove(settings, salt, "manager", test)
    return {**renamed, **_apply(salt, settings, test)}


def _apply(salt: Salt, settings: Settings, test: bool) -> dict[str, Any]:
    name = settings["manager"]["container"]
    spec = containers.manager_container(settings, cert_files.NODE.due(test))
    changes: dict[str, Any] = salt["swarm_container.apply"](name, spec, test=True)
    if test or not changes:
        return changes
    if "state" in changes:
        # ``wait_healthy`` also checks a new container.
        return container.start(salt, settings, "manager", spec)
    if len(settings["managers"]) == 1:
        return container.replace(salt, settings, "manager", spec, _wait_answer)
    with _turn(salt, settings) as led:
        wait = _wait_led if led else _wait_answer
        return container.replace(salt, settings, "manager", spec, wait)


@contextlib.contextmanager
def _turn(salt: Salt, settings: Settings) -> Iterator[bool]:
    """Hold this manager's turn to stop, if Consul has a leader; yield whether it does."""
    if not salt["swarm_consul.has_leader"]():
        # The store is external or has no leader: there is nothing that could hold a turn.
        yield False
        return
    limit = 3 * settings["timeout"]
    with restart_lock.turn(lambda: config_file.connect(settings), settings["id"], limit):
        hand_over(settings)
        yield True


def _wait_answer(salt: Salt, settings: Settings) -> None:
    """Wait until this manager answers; ``wait_primary`` waits for a primary."""
    mine = containers.manager_endpoints(settings)[settings["id"]]
    tls = containers.manager_tls(settings, cert_files.NODE.current())

    def probe() -> str | None:
        try:
            manager_info.fetch(mine, tls)
        except errors.ApiError as err:
            return container.unless_fallen(salt, settings, str(err), "manager")
        return None

    core_wait.until(probe, settings["timeout"])


def _wait_led(salt: Salt, settings: Settings) -> None:
    """
    Wait until this manager answers and any manager is primary.

    Checks the lock instead of querying the other managers: their port may be what changes.
    """
    mine = containers.manager_endpoints(settings)[settings["id"]]
    tls = containers.manager_tls(settings, cert_files.NODE.current())

    def probe() -> str | None:
        try:
            leads = manager_info.fetch(mine, tls).role == "primary"
            # Otherwise, a lock of this host is stale: the stopped manager acquired it too late
            # for the hand-over to see it.
            led = leads or agent_api.hand_over(config_file.connect(settings), mine)
        except errors.SwarmError as err:
            return container.unless_fallen(salt, settings, str(err), "manager")
        return None if led else "no manager has the lock"

    core_wait.until(probe, settings["timeout"])


def hand_over(settings: Settings) -> bool:
    """
    Make another manager primary and wait until one is; return whether one is.

    This manager keeps serving until another one is primary.
    """
    mine = containers.manager_endpoints(settings)[settings["id"]]

    def probe() -> str | None:
        try:
            leader = agent_api.hand_over(config_file.connect(settings), mine)
        except errors.StoreError as err:
            return str(err)
        return None if leader else "no other manager has taken the lead"

    try:
        core_wait.until(probe, _SUCCESSION)
    except errors.WaitTimeoutError:
        # No worse than a plain stop: the other managers wait until this one's session ends.
        return False
    return True
