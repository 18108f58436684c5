"""
Put together the container and the configuration of Consul on one host, with its secrets.
"""

from typing import Any

from swarm_formula.consul import acl as consul_acl
from swarm_formula.consul import config_file, container_spec, renewal
from swarm_formula.consul.change import Change
from swarm_formula.core import wait
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt import secret_store
from swarm_formula.salt.execution import Minion
from swarm_formula.tls import ca_state, cert_files, consul_secrets


def wanted(
    minion: Minion,
    settings: Settings,
    acl: dict[str, Any] | None,
    change: Change,
    test: bool = False,
) -> tuple[dict[str, Any], str]:
    """
    Return the spec of the container, and the text of the configuration.

    acl
        The ACL section of the configuration, ``None`` without ACLs.
    """
    certs = cert_files.NODE.read() if settings["tls"]["used"] else None
    files = cert_files.NODE.due(test)
    spec, text = container_spec.consul_container(settings, certs, files, acl, change.begins)
    return change.labelled(spec, text, is_rekeyed(minion, settings, certs)), text


def is_rekeyed(minion: Minion, settings: Settings, certs: cert_files.Set | None) -> bool:
    """
    Check whether Consul here has the new gossip key of a renewal already, which is in progress.

    Only then: a CA restored from a backup may have a key that no running Consul has.
    """
    old = config_file.config().get("encrypt")
    if not (old and certs and settings["tls"]["ca"]) or certs.gossip in ("", old):
        return False
    record = renewal.published(minion, settings, consul_secrets.GOSSIP)
    return consul_secrets.replaces(record, consul_secrets.GOSSIP, old, certs.gossip)


def acl(minion: Minion, settings: Settings, test: bool) -> dict[str, Any] | None:
    """Return the ACL section of this node's configuration, ``None`` without ACLs."""
    if not settings["consul"]["acl"]:
        return None
    if not settings["is_server"]:
        return consul_acl.config(None)
    return consul_acl.config(_token(minion, settings, test), consul_acl.beginning())


def _token(minion: Minion, settings: Settings, test: bool) -> str:
    """Return the management token: from ``swarm:consul:acl_token``, or from the CA."""
    if place := settings["consul"]["acl_token"]:
        return secret_store.load(minion.salt, place, path="swarm:consul:acl_token")
    found: dict[str, Any] = {}
    ca = settings["tls"]["ca"]

    def probe() -> str | None:
        if settings["is_ca"]:
            found["token"] = ca_state.load().get("acl")
        else:
            found.update(renewal.published(minion, settings, consul_secrets.TOKEN))
        return (
            None
            if found.get("token")
            else f"{ca}, the CA (swarm:tls:ca), has not told {settings['id']} the management token"
            f" of Consul: apply swarm there, with a pillar that has {settings['id']} among the"
            " servers (swarm:consul:servers)"
        )

    if test:
        probe()
        return str(found.get("token") or "the one to be made")
    wait.until(probe, settings["timeout"])
    return str(found["token"])
