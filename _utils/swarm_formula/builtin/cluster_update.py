"""
Update the settings of the cluster on its leader: ``swarm:builtin:cluster``, the CA, the unlock key.

``cluster.spec`` compares them.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

from swarm_formula.builtin import node_update
from swarm_formula.cluster import leading, membership, spec, swarm_api, update
from swarm_formula.core import errors, pem_text, wait
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt import secret_store
from swarm_formula.salt.execution import Host

# Seconds by which the managers' simultaneous runs may be apart.
_TOGETHER = 15
_AUTHORITY = "CA"


def apply(host: Host, test: bool) -> dict[str, Any]:
    """Ensure the cluster has the settings of the pillar; return what changed."""
    builtin = host.settings["builtin"]
    if test and leading.founds(host.client, host.settings):
        return promised(host.settings)
    changes = {}
    if leading.leads(host.client):
        changes = _apply_spec(host, test) | _apply_authority(host, test)
        if not test and changes.keys() & {_AUTHORITY, spec.ROTATION}:
            # Publish the new join tokens: they contain a digest of the CA.
            host.minion.salt["swarm_builtin.tell"]()
    place = builtin["unlock_key"]
    if place and membership.manager(swarm_api.swarm(host.client)):
        if builtin["cluster"]["autolock"] and not test:
            _await_key(host)
        changes |= _keep_key(host, place, test)
    return changes


def promised(settings: Settings) -> dict[str, Any]:
    """Return the changes that the first manager will make after it has created the cluster."""
    builtin = settings["builtin"]
    own = {_AUTHORITY: {"old": None, "new": "the own one"}} if builtin["signing_ca_cert"] else {}
    return {**spec.promised(builtin["cluster"]), **own}


def _apply_spec(host: Host, test: bool) -> dict[str, Any]:
    client, options = host.client, host.settings["builtin"]["cluster"]
    changes = spec.diff(client.inspect_swarm()["Spec"], options)
    if not changes or test:
        return changes
    done: dict[str, Any] = {}
    authority = changes.keys() & {spec.ROTATION, spec.SIGNERS}
    if len(authority) > 1:
        # The current external CAs also cross-sign the new CA, so they are removed afterwards.
        done |= _update(host, {**options, spec.SIGNERS: None})
        done |= _await_rotation(host)
    done |= _update(host, options)
    if authority:
        done |= _await_rotation(host)
    if still := spec.diff(client.inspect_swarm()["Spec"], options):
        raise errors.ApiError(
            f"the cluster keeps other values for {', '.join(still)} of swarm:builtin:cluster:"
            " this engine cannot take what is wanted"
        )
    return changes | done


def _update(host: Host, options: Mapping[str, Any]) -> dict[str, Any]:
    """Update the cluster's settings; return the nodes that were pruned in order to do so."""
    try:
        update.update_cluster(host.client, options)
    except errors.ApiError:
        # Docker refuses to remove the signing CA before the rotation to the new CA is complete.
        pruned = _await_rotation(host)
        update.update_cluster(host.client, options)
        return pruned
    return {}


def _await_rotation(host: Host, wanted: str | None = None) -> dict[str, Any]:
    """Wait until the CA rotation is complete; return the nodes that were pruned for it."""
    pruned, claims = {}, host.minion.salt["swarm_builtin.claims"]()

    def prune(nodes: list[dict[str, Any]]) -> None:
        # The former node of a host that has rejoined never gets a certificate.
        pruned.update(node_update.prune(host, nodes, claims, test=False))

    update.await_rotation(host.client, host.settings["timeout"], prune, wanted)
    return pruned


def _apply_authority(host: Host, test: bool) -> dict[str, Any]:
    """Rotate the cluster to the signing CA of the pillar, if one is configured."""
    builtin = host.settings["builtin"]
    cert_place, key_place = builtin["signing_ca_cert"], builtin["signing_ca_key"]
    if not cert_place:
        return {}
    salt, path = host.minion.salt, "swarm:builtin:signing_ca"
    cert = secret_store.load(salt, cert_place, path=f"{path}_cert")
    # Without a key, the CAs in swarm:builtin:cluster:external-ca hold it and sign.
    key = secret_store.load(salt, key_place, path=f"{path}_key") if key_place else ""
    wanted = pem_text.fingerprint(cert, cert_place)
    found = spec.root(host.client.inspect_swarm())
    if found == wanted:
        return {}
    pruned = {}
    if not test:
        update.sign_by(host.client, cert, key)
        pruned = _await_rotation(host, wanted)
    return {_AUTHORITY: {"old": found, "new": wanted}, **pruned}


def _await_key(host: Host) -> None:
    """Wait until the leader, which applies the same state concurrently, enables autolock."""

    def probe() -> str | None:
        key = host.client.get_unlock_key()["UnlockKey"]
        return None if key else "the cluster is not locked yet"

    with contextlib.suppress(errors.WaitTimeoutError):
        wait.until(probe, min(host.settings["timeout"], _TOGETHER))


def _keep_key(host: Host, place: str, test: bool) -> dict[str, Any]:
    """Store the cluster's unlock key, if it has one, in the place that the pillar names."""
    salt = host.minion.salt
    key = host.client.get_unlock_key()["UnlockKey"]
    if not key or secret_store.load(salt, place, missing="") == key:
        return {}
    if not test:
        secret_store.save(salt, place, key)
    return {"unlock key": {"old": "not the cluster's", "new": f"in {place}"}}
