"""
Ask the managers of classic mode, and wait until they report what is due.
"""

import time
from collections.abc import Callable
from typing import Any

from swarm_formula.classic import container, relayed
from swarm_formula.core import errors, wait
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.daemon import daemon_json
from swarm_formula.standalone import containers, manager_info, registration
from swarm_formula.tls import cert_files

# Seconds that the managers have to pick up new labels before the engine is reloaded.
_NUDGE = 5


def managers(salt: Salt, settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the answer of every manager in the pillar, or the error if it does not answer."""
    return manager_info.plain_answers(_ask(salt, settings))


def listing(settings: Settings, address: object) -> dict[str, dict[str, Any]]:
    """Return what ``managers`` does with one node only, empty if this node is no manager."""
    if not settings["is_manager"] or not isinstance(address, str):
        return {}
    return manager_info.plain_answers(manager_info.about(_ask_directly(settings), address))


def _ask(salt: Salt, settings: Settings) -> manager_info.Answers:
    return relayed.ask(salt, settings) if relayed.is_due(settings) else _ask_directly(settings)


def _until(probe: Callable[[], str | None], settings: Settings, limit: float) -> None:
    wait.until(probe, limit, slow=relayed.SLOW if relayed.is_due(settings) else 1)


def _ask_directly(settings: Settings) -> manager_info.Answers:
    found = manager_info.Answers({}, {})
    tls = containers.manager_tls(settings, cert_files.NODE.current())
    for name, endpoint in containers.manager_endpoints(settings).items():
        try:
            found.managers[name] = manager_info.fetch(endpoint, tls)
        except errors.ApiError as err:
            found.errors[name] = str(err)
    return found


def wait_primary(salt: Salt, settings: Settings, timeout: float | None) -> str:
    """Wait until a manager is primary; return its address."""
    primary = ""

    def probe() -> str | None:
        nonlocal primary
        said = _ask(salt, settings)
        primary = manager_info.primary(said) or ""
        if primary:
            return None
        return container.unless_fallen(salt, settings, manager_info.no_primary(said))

    _until(probe, settings, settings["timeout"] if timeout is None else timeout)
    return primary


def _own_silence(settings: Settings, said: manager_info.Answers) -> str | None:
    """Return that this node's manager does not answer, which the primary does not notice."""
    own = said.errors.get(settings["id"])
    return f"the manager on {settings['id']} does not answer: {own}" if own is not None else None


def wait_healthy(salt: Salt, settings: Settings, timeout: float | None) -> None:
    """
    Wait until the primary reports this node as ``Healthy``, with its labels from the pillar, and
    the manager of this node answers, if it has one.
    """
    mine = containers.engine_endpoint(settings)
    labels = set(daemon_json.label_list(settings["labels"]))
    limit = settings["timeout"] if timeout is None else timeout
    last = [time.monotonic()]
    renewed: list[str] = []

    def unhealthy() -> str | None:
        return manager_info.unhealthy(_ask(salt, settings), mine)

    def probe() -> str | None:
        said = _ask(salt, settings)
        if missing := manager_info.unhealthy(said, mine) or _own_silence(settings, said):
            if limit and not renewed and registration.is_due(settings, missing):
                renewed.append(missing)
                registration.renew(salt, settings, unhealthy)
            return container.unless_fallen(salt, settings, missing)
        lacking = manager_info.unknown_labels(said, mine, labels)
        if lacking and time.monotonic() - last[0] > _NUDGE:
            # Managers read the labels after the engine's reload event. A manager that was
            # disconnected then, as after a restart of the engine, reads them only minutes later.
            salt["swarm_engine.reload"]()
            last[0] = time.monotonic()
        return lacking

    _until(probe, settings, limit)
