"""
Put together the container and the configuration of Consul on one host, with its secrets.
"""

from typing import Any

from swarm_formula.consul import acl as consul_acl
from swarm_formula.consul import acl_rules, config_file, container_spec, renewal, upgrade
from swarm_formula.consul.change import Change
from swarm_formula.core import errors, host_files, wait
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
    config = container_spec.consul_config(settings, certs, files, acl, change.begins)
    version = upgrade.image_version(minion.salt, settings, test)
    spec, text = container_spec.consul_container(settings, config, version)
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
        added = managers_token(settings, granting(minion, settings))
        return consul_acl.config(None, managers=usable(settings, added))
    management = _token(minion, settings, test)
    added = usable(settings, managers_token(settings, management))
    return consul_acl.config(management, consul_acl.beginning(), added)


def granting(minion: Minion, settings: Settings) -> str | None:
    """Return the management token if this host grants rights: a server, or a manager's host."""
    if settings["is_server"]:
        return consul_acl.management()
    if acl_rules.is_managers_host(settings):
        return renewal.published(minion, settings, consul_secrets.TOKEN).get("token") or None
    return None


def managers_token(settings: Settings, management: str | None) -> str | None:
    """
    Return the managers' token, ``None`` if this host is not to have it.

    If a manager that is no server has not been told the management token yet, the token is the one
    that its Consul has.
    """
    if not acl_rules.is_managers_host(settings):
        return None
    return acl_rules.token(management) if management else consul_acl.added()


def usable(settings: Settings, token: str | None) -> str | None:
    """
    Return the token that Consul on this host can add to requests now; ``None`` for none.

    Requests with a token that the servers do not know fail. A new server takes the wanted token at
    once, because nothing uses its Consul before the rights are granted.
    """
    present = consul_acl.added()
    if token in (None, present):
        return token
    if host_files.read(container_spec.consul_file()) is None:
        return token if settings["is_server"] else None
    try:
        known = consul_acl.is_known(config_file.connect(settings, token))
    except errors.SwarmError:
        # It does not answer, or has no ACLs yet.
        known = False
    return token if known else present


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
