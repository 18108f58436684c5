"""
Replace the gossip key or the management token in Consul, on one host.

``swarm_renewal`` has the phases that the CA goes through, and makes the new one.
"""

from collections.abc import Mapping

import swarm_acl
import swarm_ca_record
import swarm_ca_state
import swarm_consul_file
import swarm_errors
import swarm_keyring
import swarm_renewal
from swarm_minion import Minion

# Seconds for a change of the keys on all agents, all of which have to answer.
_ALL_AGENTS = 60


def published(minion: Minion, settings: Mapping, kind: str) -> dict:
    """Return what the CA publishes of a secret, ``{}`` if this node cannot read it (yet)."""
    is_token = kind == swarm_renewal.TOKEN
    if settings["is_ca"]:
        state = swarm_ca_state.load()
        of_state = swarm_ca_record.management if is_token else swarm_ca_record.record
        return of_state(state) if state else {}
    ca, name = settings["tls"]["ca"], swarm_ca_record.ACL if is_token else swarm_ca_record.RECORD
    return minion.mine().get([ca], name).get(ca) or {}


def admit(minion: Minion, kind: str) -> bool:
    """Have Consul accept the new one beside the old one; return ``True``."""
    settings = minion.settings()
    new = swarm_renewal.following(published(minion, settings, kind), kind)
    if kind == swarm_renewal.TOKEN:
        swarm_acl.create(swarm_acl.connect(settings), swarm_consul_file.connect(settings, new), new)
    else:
        swarm_keyring.admit(swarm_acl.connect(settings, _ALL_AGENTS), new)
    return True


def retire(minion: Minion, kind: str) -> bool:
    """Have Consul forget the old one, once this node uses the new one; return ``True``."""
    settings = minion.settings()
    if (why := renewed(minion, kind)) is not True:
        raise swarm_errors.SwarmError(why)
    old = swarm_renewal.former(published(minion, settings, kind), kind)
    if kind == swarm_renewal.TOKEN:
        swarm_acl.delete(swarm_acl.connect(settings), swarm_consul_file.connect(settings, old))
    else:
        swarm_keyring.retire(swarm_acl.connect(settings, _ALL_AGENTS), old)
    return True


def renewed(minion: Minion, kind: str) -> bool | str:
    """Return ``True`` if this node starts Consul with the current one, else what it lacks."""
    settings = minion.settings()
    if kind == swarm_renewal.TOKEN:
        if not settings["is_server"]:
            return True
        used, current = swarm_acl.management(), published(minion, settings, kind).get("token")
    else:
        used = swarm_consul_file.config().get("encrypt")
        current = published(minion, settings, kind).get("gossip")
    if used and used == current:
        return True
    return f"Consul of {settings['id']} starts with the old one: apply swarm there"
