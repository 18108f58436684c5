"""
Ask the managers of classic mode, and wait until they report what is due.
"""

import time
from collections.abc import Callable, Mapping

import swarm_certs
import swarm_classic_container
import swarm_daemon
import swarm_errors
import swarm_info
import swarm_registration
import swarm_roles
import swarm_wait

Salt = Mapping[str, Callable]

# Seconds that the managers have to pick up new labels before the engine is reloaded.
_NUDGE = 5


def managers(settings: dict) -> dict[str, dict]:
    """Return the answer of every manager in the pillar, or the error if it does not answer."""
    return {
        name: swarm_info.plain(said) if isinstance(said, swarm_info.Manager) else {"error": said}
        for name, said in _ask(settings).items()
    }


def _ask(settings: dict) -> dict[str, swarm_info.Manager | str]:
    found, tls = {}, swarm_roles.manager_tls(settings, swarm_certs.NODE.current())
    for name, endpoint in swarm_roles.manager_endpoints(settings).items():
        try:
            found[name] = swarm_info.fetch(endpoint, tls)
        except swarm_errors.ApiError as err:
            found[name] = str(err)
    return found


def wait_primary(salt: Salt, settings: dict, timeout: float | None) -> str:
    """Wait until a manager is primary; return its address."""
    found = {}

    def probe() -> str | None:
        said = _ask(settings)
        found["primary"] = swarm_info.primary(said)
        if found["primary"]:
            return None
        return swarm_classic_container.unless_fallen(salt, settings, swarm_info.no_primary(said))

    swarm_wait.until(probe, settings["timeout"] if timeout is None else timeout)
    return found["primary"]


def _own_silence(settings: dict, said: dict) -> str | None:
    """Return that this node's manager does not answer, which the primary does not notice."""
    own = said.get(settings["id"])
    return (
        f"the manager on {settings['id']} does not answer: {own}" if isinstance(own, str) else None
    )


def wait_healthy(salt: Salt, settings: dict, timeout: float | None) -> None:
    """
    Wait until the primary reports this node as ``Healthy``, with its labels from the pillar, and
    the manager of this node answers, if it has one.
    """
    mine = swarm_roles.engine_endpoint(settings)
    labels = set(swarm_daemon.label_list(settings["labels"]))
    limit = settings["timeout"] if timeout is None else timeout
    last, renewed = [time.monotonic()], []

    def unhealthy() -> str | None:
        return swarm_info.unhealthy(_ask(settings), mine)

    def probe() -> str | None:
        said = _ask(settings)
        if missing := swarm_info.unhealthy(said, mine) or _own_silence(settings, said):
            if limit and not renewed and swarm_registration.is_due(settings, missing):
                renewed.append(missing)
                swarm_registration.renew(salt, settings, unhealthy)
            return swarm_classic_container.unless_fallen(salt, settings, missing)
        lacking = swarm_info.unknown_labels(said, mine, labels)
        if lacking and time.monotonic() - last[0] > _NUDGE:
            # Managers read the labels after the engine's reload event. A manager that was
            # disconnected then, as after a restart of the engine, reads them only minutes later.
            salt["swarm_engine.reload"]()
            last[0] = time.monotonic()
        return lacking

    swarm_wait.until(probe, limit)
