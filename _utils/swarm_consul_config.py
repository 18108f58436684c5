"""
Put together the container and the configuration of Consul on one host, with its secrets.
"""

from collections.abc import Mapping

import swarm_acl
import swarm_ca_state
import swarm_certs
import swarm_consul_container
import swarm_consul_file
import swarm_consul_renewal
import swarm_files
import swarm_renewal
import swarm_secrets
import swarm_wait
from swarm_consul_change import Change
from swarm_minion import Minion


def wanted(
    minion: Minion, settings: Mapping, acl: dict | None, change: Change, test: bool = False
) -> tuple[dict, str]:
    """
    Return the spec of the container, and the text of the configuration.

    acl
        The ACL section of the configuration, ``None`` without ACLs.
    """
    certs = swarm_certs.NODE.read() if settings["tls"]["used"] else None
    folder, files = str(swarm_files.CONFIG), swarm_certs.NODE.due(test)
    known = {**settings, "begins": change.begins}
    spec, text = swarm_consul_container.consul_container(known, folder, certs, files, acl)
    return change.labelled(spec, text, is_rekeyed(minion, settings, certs)), text


def is_rekeyed(minion: Minion, settings: Mapping, certs: swarm_certs.Set | None) -> bool:
    """
    Check whether Consul here has the new gossip key of a renewal already, which is in progress.

    Only then: a CA restored from a backup may have a key that no running Consul has.
    """
    old = swarm_consul_file.config().get("encrypt")
    if not (old and certs and settings["tls"]["ca"]) or certs.gossip in ("", old):
        return False
    record = swarm_consul_renewal.published(minion, settings, swarm_renewal.GOSSIP)
    return swarm_renewal.replaces(record, swarm_renewal.GOSSIP, old, certs.gossip)


def acl(minion: Minion, settings: Mapping, test: bool) -> dict | None:
    """Return the ACL section of this node's configuration, ``None`` without ACLs."""
    if not settings["consul"]["acl"]:
        return None
    if not settings["is_server"]:
        return swarm_acl.config(None)
    return swarm_acl.config(_token(minion, settings, test), swarm_acl.beginning())


def _token(minion: Minion, settings: Mapping, test: bool) -> str:
    """Return the management token: from ``swarm:consul:acl_token``, or from the CA."""
    if place := settings["consul"]["acl_token"]:
        return swarm_secrets.load(minion.salt, place, path="swarm:consul:acl_token")
    found, ca = {}, settings["tls"]["ca"]

    def probe() -> str | None:
        if settings["is_ca"]:
            found["token"] = swarm_ca_state.load().get("acl")
        else:
            found.update(swarm_consul_renewal.published(minion, settings, swarm_renewal.TOKEN))
        return (
            None
            if found.get("token")
            else f"{ca}, the CA (swarm:tls:ca), has not told {settings['id']} the management token"
            f" of Consul: apply swarm there, with a pillar that has {settings['id']} among the"
            " servers (swarm:consul:servers)"
        )

    if test:
        probe()
        return found.get("token") or "the one to be made"
    swarm_wait.until(probe, settings["timeout"])
    return found["token"]
