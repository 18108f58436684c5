"""
Run the agent of classic mode on a host, and keep its node registered in the store.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from swarm_formula.classic import container
from swarm_formula.consul import agent_api, config_file
from swarm_formula.core import addresses, errors, wait
from swarm_formula.core.settings_types import Settings
from swarm_formula.docker import container_actions
from swarm_formula.standalone import container_names, containers
from swarm_formula.tls import cert_files

Salt = Mapping[str, Callable[..., Any]]


def apply(salt: Salt, settings: Settings, test: bool) -> dict[str, Any]:
    """Ensure the agent matches the pillar and is registered; return what changed."""
    renamed = container_names.rename(settings, salt, "agent", test)
    if renamed and test:
        return renamed
    return {**renamed, **_apply(salt, settings, test)}


def _apply(salt: Salt, settings: Settings, test: bool) -> dict[str, Any]:
    name = settings["agent"]["container"]
    spec = containers.agent_container(settings, cert_files.NODE.due(test))
    changes: dict[str, Any] = salt["swarm_container.apply"](name, spec, test=True)
    if not changes:
        return _register(salt, settings, test)
    if not test:
        if "state" in changes:
            container.start(salt, settings, "agent", spec)
        else:
            container.replace(salt, settings, "agent", spec, _wait_registered)
        _forget_other_ports(salt, settings)
    return changes


def _registered(settings: Settings) -> bool | None:
    """Return whether the store has this node, ``None`` if that is unknown."""
    key = containers.agent_key(settings)
    try:
        client = config_file.connect(settings) if key else None
        return agent_api.call("node", client.kv.get, key)[1] is not None if client else None
    except errors.SwarmError:
        return None


def _register(salt: Salt, settings: Settings, test: bool) -> dict[str, Any]:
    """Restart the agent if the store has lost this node; return what changed."""
    name = settings["agent"]["container"]
    if _registered(settings) is not False:
        return {}
    if not test:
        salt["swarm_container.stop"](name)
        salt["swarm_container.start"](name)
        _wait_registered(salt, settings)
    return {"registration": {"old": None, "new": containers.engine_endpoint(settings)}}


def _wait_registered(salt: Salt, settings: Settings) -> None:
    """Wait until the agent has stayed up for a moment and the store has this node."""
    name = settings["agent"]["container"]
    seen: dict[str, float] = {}

    def probe() -> str | None:
        container.unless_fallen(salt, settings, "", "agent")
        restarts = (salt["swarm_container.get"](name) or {}).get("restarts", 0)
        if seen.get("restarts") != restarts:
            seen.update(restarts=restarts, since=time.monotonic())
        if time.monotonic() - seen["since"] < container_actions.SETTLE:
            return "the agent has just been started"
        known = _registered(settings) is not False
        return None if known else "the agent has not registered this node"

    wait.until(probe, settings["timeout"])


def _forget_other_ports(salt: Salt, settings: Settings) -> None:
    """Deregister this host's earlier endpoints: an engine at two addresses is no valid node."""
    if not settings["managed_store"]:
        return
    mine = containers.engine_endpoint(settings)

    def probe() -> str | None:
        try:
            for one in salt["swarm_consul.nodes"]():
                if one != mine and addresses.host(one) == addresses.host(mine):
                    salt["swarm_consul.deregister"](endpoint=one)
        except errors.StoreError as err:
            # The leader of Consul may be restarting in its turn.
            return str(err)
        return None

    wait.until(probe, settings["timeout"])
