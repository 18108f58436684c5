"""
Give the swarm its rights in Consul, and have Consul on this host use them.
"""

from typing import Any

from swarm_formula.consul import acl, acl_rules, config_file, wanted
from swarm_formula.consul import apply as consul_apply
from swarm_formula.core import errors, wait
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt.execution import Minion

_GRANTED = {"rights of the swarm in Consul": {"old": None, "new": "granted"}}


def apply(minion: Minion, test: bool = False) -> dict[str, Any]:
    """Ensure the swarm has the permissions that it needs in Consul; return what changed."""
    settings = minion.settings()
    if not settings["consul"]["acl"]:
        return {}
    due = consul_apply.enforce(minion, test=True)
    if test:
        return {**_promised(minion, settings), **due}
    if consul_apply.DENIED.items() <= due.items():
        # The other servers enable their ACLs one at a time.
        client = config_file.connect(settings)
        wait.until(lambda: acl.laggards(client, settings), 3 * settings["timeout"])
    changes = _granted(minion, settings)
    done = consul_apply.enforce(minion)
    if done and acl.added():
        # The last manager with its token takes the managers' rights away from all others.
        wait.until(lambda: _unmarked(settings), settings["timeout"])
        changes |= _granted(minion, settings)
    return {**changes, **done}


def _granted(minion: Minion, settings: Settings) -> dict[str, Any]:
    """Wait until the rights are granted; return what this host granted."""
    changes: dict[str, Any] = {}
    wait.until(lambda: _ungranted(minion, settings, changes), settings["timeout"])
    return changes


def _ungranted(
    minion: Minion, settings: Settings, changes: dict[str, Any], test: bool = False
) -> str | None:
    """Grant the permissions if this host may; return what is still missing as a sentence."""
    me, why = settings["id"], "no server has granted them"
    try:
        management = wanted.granting(minion, settings)
        if management or settings["is_server"]:
            apart = acl_rules.is_split(settings)
            token = acl_rules.token(management) if management and apart else None
            if acl.grant(config_file.connect(settings, management), test, settings, token):
                changes.update(_GRANTED)
        elif acl_rules.is_managers_host(settings):
            ca = f"{settings['tls']['ca']}, the CA (swarm:tls:ca)"
            return f"{me} waits for {ca}, to tell it a token: apply swarm there"
        if acl.marked(config_file.connect(settings)):
            return None
    except errors.StoreError as err:
        why = str(err)
    return f"{me} waits for the rights of the swarm in Consul: {why}"


def _unmarked(settings: Settings) -> str | None:
    """Return a sentence if the servers do not list this host as one with the managers' token."""
    me = settings["id"]
    try:
        late = acl.waits_for(config_file.connect(settings), settings)
    except errors.StoreError as err:
        return str(err)
    return f"Consul of {me} is not registered with the managers' token yet" if me in late else None


def _promised(minion: Minion, settings: Settings) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    try:
        lacking = _ungranted(minion, settings, changes, test=True)
    except errors.SdkMissingError:
        lacking = "a library, which this run would bring"
    return _GRANTED if lacking and settings["is_server"] else changes


def remarks(minion: Minion) -> list[str]:
    """Return a sentence on the managers that keep the other hosts from losing managers' rights."""
    settings = minion.settings()
    if not acl_rules.is_split(settings) or not settings["is_server"]:
        return []
    try:
        late = acl.waits_for(config_file.connect(settings), settings)
    except errors.SwarmError:
        late = []
    if not late:
        return []
    return [
        f"All nodes can write the lock of the primary manager in Consul until Consul of"
        f" {', '.join(late)} has the managers' token: apply swarm there"
    ]
