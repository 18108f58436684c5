"""
Start Consul before its state, while the engine restarts with its settings.

With ``live-restore``, which the engine has reloaded by then, the container survives the restart.
"""

import logging
from typing import Any

from swarm_formula.consul import config_file, wanted
from swarm_formula.consul.change import Change
from swarm_formula.core import errors
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt.execution import Minion

log = logging.getLogger(__name__)

_KEY = "swarm_consul_early"


def begin(minion: Minion) -> None:
    """
    Start Consul on a host that has none, and wait for nothing: ``taken`` tells its state of it.

    If that fails, the state of Consul, which comes later, does it again and reports why.
    """
    settings = minion.settings()
    try:
        if _is_due(minion, settings):
            minion.context[_KEY] = _begun(minion, settings)
    except errors.SwarmError as err:
        log.info("Consul of %s is started after the engine: %s", settings["id"], err)


def taken(minion: Minion) -> dict[str, Any]:
    """Return what ``begin`` has changed in this run, once."""
    found: dict[str, Any] = minion.context.pop(_KEY, {})
    return found


def _is_due(minion: Minion, settings: Settings) -> bool:
    """Check whether Consul has to be started, and needs nothing that comes after the engine."""
    consul = settings["consul"]
    # With ACLs, the CA may have to tell the token first.
    if not settings["managed_store"] or consul["acl"] or config_file.proven() is not None:
        return False
    # A registry may ask for a login.
    here = consul["image_source"] or minion.salt["swarm_image.get"](consul["image"])
    absent = minion.salt["swarm_container.get"](consul["container"]) is None
    return bool(here) and absent


def _begun(minion: Minion, settings: Settings) -> dict[str, Any]:
    change = Change(settings, minion.salt)
    change.begin()
    if not change.begins:
        # It joins servers that are there, which it has to prove.
        return {}
    spec, text = wanted.wanted(minion, settings, None, change)
    changes = change.planned(spec, text)
    change.start(spec, text)
    return changes
