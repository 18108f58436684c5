"""
Turn a server of Consul into a client in the way that Raft requires: it leaves the list first.
"""

import functools
from typing import Any

from swarm_formula.consul import acl, raft, replace
from swarm_formula.consul.raft import Standing
from swarm_formula.consul.standing import Consul
from swarm_formula.core import errors, wait
from swarm_formula.docker import container_actions

# Seconds for a leave: Consul waits until its servers and its members have noticed.
_LEAVING = 60


def leave(consul: Consul, before: Standing, spec: dict[str, Any], text: str) -> None:
    """Turn a server into a client: first, it leaves Raft's list gracefully."""
    _revive(consul, before)
    # The server that takes over joins without a turn, and must not have to wait for this one.
    wait.until(functools.partial(_stays, consul), consul.limit)
    out = functools.partial(consul.probed, functools.partial(_still_in, consul))
    if not _inside(consul):
        replace.replace(consul, spec, text, out)
        return
    _hand_over(consul)
    with replace.turn(consul, functools.partial(no_leave, consul)):
        if _inside(consul):
            _go(consul)
        replace.replace(consul, spec, text, out)


def _inside(consul: Consul) -> bool:
    return consul.me in consul.look().names


def _stays(consul: Consul) -> str | None:
    found, missing = consul.seen()
    return missing if found is None else no_leave(consul, found)


def _hand_over(consul: Consul) -> None:
    """Hand the lead to another manager: this manager's lock ends with Consul on its host."""
    if consul.settings["is_manager"] and len(consul.settings["managers"]) > 1:
        consul.salt["swarm_classic.hand_over"]()


def no_leave(consul: Consul, found: Standing) -> str | None:
    """Return why this server must not leave now, or ``None``."""
    if consul.me not in found.names and (found.leader or found.alive):
        return None  # already removed, or never admitted
    if found.leader:
        return raft.stays(found, set(consul.settings["servers"]), consul.me)
    other = next(iter(consul.settings["servers"]))
    return (
        f"{consul.me} is to be no server of Consul any more (swarm:consul:servers), and cannot"
        " leave the others: Consul here has no leader. Bring the other servers up; if Consul of"
        f" {consul.me} is beyond repair: salt {other} swarm_consul.expel {consul.me}, then salt"
        f" {consul.me} swarm_consul.remove, then apply"
    )


def _still_in(consul: Consul, found: Standing) -> str | None:
    inside = consul.me in found.names
    return f"Raft's list of Consul's servers still has {consul.me}" if inside else None


def _revive(consul: Consul, before: Standing) -> None:
    """Start Consul if it is stopped: only a running server can leave."""
    if before.leader:
        return
    replaced = consul.name + container_actions.REPLACED
    if not consul.container() and consul.salt["swarm_container.get"](replaced):
        # A run was killed after it renamed the container and before it created the new one.
        consul.salt["swarm_container.rename"](replaced, consul.name)
    if consul.container():
        consul.salt["swarm_container.start"](consul.name)


def _go(consul: Consul) -> None:
    """Make Consul leave, and wait until its container has stopped."""
    # Otherwise, Docker would restart it at once, as a server.
    consul.salt["swarm_container.update"](consul.name, {"restart_policy": "no"})
    try:
        raft.leave(acl.connect(consul.settings, _LEAVING))
    except errors.StoreError as err:
        # Consul may exit before it has answered.
        if "refuses" in str(err):
            raise
    wait.until(functools.partial(_gone, consul), _LEAVING, fixed=True)


def _gone(consul: Consul) -> str | None:
    container = consul.salt["swarm_container.get"](consul.name) or {}
    still = container.get("status") == "running"
    return f"Consul of {consul.me} is on its way out" if still else None
