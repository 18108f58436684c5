"""
Bring Consul on one host to what the pillar defines: a server, a client, or none.
"""

import contextlib
from typing import Any

from swarm_formula.consul import acl as consul_acl
from swarm_formula.consul import acl_rules, config_file, early, restart_lock, wanted
from swarm_formula.consul.change import Change
from swarm_formula.consul.standing import Consul
from swarm_formula.core import addresses, errors
from swarm_formula.core import wait as core_wait
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt.execution import Minion
from swarm_formula.standalone import container_names

DENIED = {"all else in Consul": {"old": "allowed", "new": "denied"}}
_MANAGED = {"managers' token in Consul": {"old": None, "new": "in use"}}


def apply(minion: Minion, test: bool = False) -> dict[str, Any]:
    """Ensure this node's Consul container matches the pillar; return what changed."""
    settings = minion.settings()
    if not settings["managed_store"]:
        return _give_up(minion, settings, test)
    renamed = container_names.rename(settings, minion.salt, "consul", test)
    if renamed and test:
        return renamed
    change = Change(settings, minion.salt)
    change.begin()
    acl = wanted.acl(minion, settings, test)
    spec, text = wanted.wanted(minion, settings, acl, change, test)
    changes = change.planned(spec, text)
    begun = early.taken(minion)
    if test:
        change.foretell()
    elif begun and not changes:
        change.prove()
    elif changes:
        if consul_acl.added() and not acl_rules.added(acl):
            core_wait.until(lambda: consul_acl.unreleased(settings), 3 * settings["timeout"])
        change.make(spec, text)
    return {**renamed, **begun, **changes}


def _give_up(minion: Minion, settings: Settings, test: bool) -> dict[str, Any]:
    """Remove Consul in favor of an external store, once that store answers."""
    changes = _refuse_silent(minion, settings)
    return (
        changes
        if test or not changes
        else container_names.remove(settings, minion.salt, "consul", test)
    )


def _refuse_silent(minion: Minion, settings: Settings) -> dict[str, Any]:
    """Return what is removed with Consul; raise an error if its successor does not answer."""
    changes = container_names.remove(settings, minion.salt, "consul", test=True)
    if not changes:
        return {}
    me, store = settings["id"], settings["store"]
    if store is None:
        raise errors.SwarmError(
            f"Consul of {me} stays, although its pillar has mode: builtin, which needs no Consul;"
            f" nothing was changed. To remove it with its data: salt {me} swarm_consul.remove"
        )
    if why := addresses.silent(store):
        raise errors.SwarmError(
            f"swarm:store: {why} from {me}; Consul stays, and nothing was changed there"
        )
    return changes


def check_fixed(minion: Minion) -> None:
    """Raise an error if this host's running Consul cannot take the settings in the pillar."""
    settings = minion.settings()
    if settings["managed_store"]:
        Change(settings, minion.salt).check_fixed()
    else:
        _refuse_silent(minion, settings)


def enforce(minion: Minion, test: bool = False) -> dict[str, Any]:
    """Ensure Consul on this host uses the rights that have been granted; return what changed."""
    settings = minion.settings()
    acl = consul_acl.noted()
    if not (settings["consul"]["acl"] and (acl or test)):
        return {}
    changes: dict[str, Any] = {}
    if settings["is_server"] and consul_acl.beginning() != consul_acl.DENY:
        changes |= DENIED
    management = wanted.granting(minion, settings) if acl else None
    token = wanted.usable(settings, wanted.managers_token(settings, management))
    if token not in (None, consul_acl.added()):
        changes |= _MANAGED
    if changes and not test:
        _restart(minion, settings, consul_acl.config(consul_acl.management(), managers=token))
    return changes


def _restart(minion: Minion, settings: Settings, acl: dict[str, Any]) -> None:
    change = Change(settings, minion.salt)
    change.begin()
    spec, text = wanted.wanted(minion, settings, acl, change)
    if settings["is_server"]:
        # It has none of the granted rights at first: if it led now, no host would have any.
        change.restart(
            spec, text, lambda: consul_acl.laggards(config_file.connect(settings), settings)
        )
    elif change.planned(spec, text):
        change.make(spec, text)


def wait(minion: Minion, timeout: float | None = None) -> None:
    """Wait until Consul has a leader; then end the turn of an earlier run that was killed in it."""
    settings = minion.settings()
    if not settings["managed_store"]:
        return
    limit = settings["timeout"] if timeout is None else timeout
    core_wait.until(Consul(settings, minion.salt).missing, limit)
    if limit:
        config_file.note_joining([])
    with contextlib.suppress(errors.StoreError):
        restart_lock.end_stale(config_file.connect(settings), settings["id"])
