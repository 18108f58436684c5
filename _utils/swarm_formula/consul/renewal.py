"""
Replace the gossip key or the management token in Consul, on one host.

``tls.consul_secrets`` has the phases that the CA goes through, and makes the new one.
"""

from typing import Any

from swarm_formula.consul import acl, acl_rules, config_file, keyring
from swarm_formula.core import errors
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt.execution import Minion
from swarm_formula.tls import ca_record, ca_state, consul_secrets

# Seconds for a change of the keys on all agents, all of which have to answer.
_ALL_AGENTS = 60


def published(minion: Minion, settings: Settings, kind: str) -> dict[str, Any]:
    """Return what the CA publishes of a secret, ``{}`` if this node cannot read it (yet)."""
    is_token = kind == consul_secrets.TOKEN
    if settings["is_ca"]:
        state = ca_state.load()
        of_state = ca_record.management if is_token else ca_record.record
        return of_state(state) if state else {}
    ca, name = settings["tls"]["ca"], ca_record.ACL if is_token else ca_record.RECORD
    return (minion.mine().get([ca], name).get(ca) or {}) if ca else {}


def admit(minion: Minion, kind: str) -> bool:
    """Have Consul accept the new one beside the old one; return ``True``."""
    settings = minion.settings()
    new = consul_secrets.following(published(minion, settings, kind), kind)
    if kind == consul_secrets.TOKEN:
        acl.create(acl.connect(settings), settings, new)
    else:
        keyring.admit(acl.connect(settings, _ALL_AGENTS), new)
    return True


def retire(minion: Minion, kind: str) -> bool:
    """Have Consul forget the old one, once this node uses the new one; return ``True``."""
    settings = minion.settings()
    if why := unfinished(minion, kind):
        raise errors.SwarmError(why)
    old = consul_secrets.former(published(minion, settings, kind), kind)
    if kind == consul_secrets.TOKEN:
        acl.delete(acl.connect(settings), settings, old)
    else:
        keyring.retire(acl.connect(settings, _ALL_AGENTS), old)
    return True


def unfinished(minion: Minion, kind: str) -> str | None:
    """Return what this node lacks, ``None`` if it starts Consul with the current one."""
    settings = minion.settings()
    if kind == consul_secrets.GOSSIP:
        current = published(minion, settings, kind).get("gossip")
        secrets = [(config_file.config().get("encrypt"), current)]
    elif settings["is_server"] or acl_rules.is_managers_host(settings):
        current = published(minion, settings, kind).get("token")
        secrets = [(acl.management(), current)] if settings["is_server"] else []
        if acl_rules.is_managers_host(settings):
            secrets.append((acl.added(), acl_rules.token(current) if current else None))
    else:
        return None
    if all(used and used == current for used, current in secrets):
        return None
    return f"Consul of {settings['id']} starts with the old one: apply swarm there"
