"""
Update the settings of the cluster on its leader: ``swarm:builtin:cluster``, the CA, the unlock key.

``swarm_cluster`` compares them.
"""

import contextlib

import swarm_cluster
import swarm_errors
import swarm_leading
import swarm_membership
import swarm_mode
import swarm_mode_update
import swarm_node_update
import swarm_pki
import swarm_secrets
import swarm_wait
from swarm_minion import Host

# Seconds by which the managers' simultaneous runs may be apart.
_TOGETHER = 15
_AUTHORITY = "CA"


def apply(host: Host, test: bool) -> dict:
    """Ensure the cluster has the settings of the pillar; return what changed."""
    builtin = host.settings["builtin"]
    if test and swarm_leading.founds(host.client, host.settings):
        return promised(host.settings)
    changes = {}
    if swarm_leading.leads(host.client):
        changes = _apply_spec(host, test) | _apply_authority(host, test)
        if not test and changes.keys() & {_AUTHORITY, swarm_cluster.ROTATION}:
            # Publish the new join tokens: they contain a digest of the CA.
            host.minion.salt["swarm_builtin.tell"]()
    if builtin["unlock_key"] and swarm_membership.manager(swarm_mode.swarm(host.client)):
        if builtin["cluster"]["autolock"] and not test:
            _await_key(host)
        changes |= _keep_key(host, test)
    return changes


def promised(settings: dict) -> dict:
    """Return the changes that the first manager will make after it has created the cluster."""
    builtin = settings["builtin"]
    own = {_AUTHORITY: {"old": None, "new": "the own one"}} if builtin["signing_ca_cert"] else {}
    return {**swarm_cluster.promised(builtin["cluster"]), **own}


def _apply_spec(host: Host, test: bool) -> dict:
    client, options = host.client, host.settings["builtin"]["cluster"]
    changes = swarm_cluster.diff(client.inspect_swarm()["Spec"], options)
    if not changes or test:
        return changes
    done, authority = {}, changes.keys() & {swarm_cluster.ROTATION, swarm_cluster.SIGNERS}
    if len(authority) > 1:
        # The current external CAs also cross-sign the new CA, so they are removed afterwards.
        done |= _update(host, {**options, swarm_cluster.SIGNERS: None})
        done |= _await_rotation(host)
    done |= _update(host, options)
    if authority:
        done |= _await_rotation(host)
    if still := swarm_cluster.diff(client.inspect_swarm()["Spec"], options):
        raise swarm_errors.ApiError(
            f"the cluster keeps other values for {', '.join(still)} of swarm:builtin:cluster:"
            " this engine cannot take what is wanted"
        )
    return changes | done


def _update(host: Host, options: dict) -> dict:
    """Update the cluster's settings; return the nodes that were pruned in order to do so."""
    try:
        swarm_mode_update.update_cluster(host.client, options)
    except swarm_errors.ApiError:
        # Docker refuses to remove the signing CA before the rotation to the new CA is complete.
        pruned = _await_rotation(host)
        swarm_mode_update.update_cluster(host.client, options)
        return pruned
    return {}


def _await_rotation(host: Host, wanted: str | None = None) -> dict:
    """Wait until the CA rotation is complete; return the nodes that were pruned for it."""
    pruned, claims = {}, host.minion.salt["swarm_builtin.claims"]()

    def prune(nodes: list[dict]) -> None:
        # The former node of a host that has rejoined never gets a certificate.
        pruned.update(swarm_node_update.prune(host, nodes, claims, test=False))

    swarm_mode_update.await_rotation(host.client, host.settings["timeout"], prune, wanted)
    return pruned


def _apply_authority(host: Host, test: bool) -> dict:
    """Rotate the cluster to the signing CA of the pillar, if one is configured."""
    builtin = host.settings["builtin"]
    if not builtin["signing_ca_cert"]:
        return {}
    # Without a key, the CAs in swarm:builtin:cluster:external-ca hold it and sign.
    cert, key = (
        swarm_secrets.load(host.minion.salt, builtin[one], path=f"swarm:builtin:{one}")
        if builtin[one]
        else ""
        for one in ("signing_ca_cert", "signing_ca_key")
    )
    wanted = swarm_pki.fingerprint(cert, builtin["signing_ca_cert"])
    found = swarm_cluster.root(host.client.inspect_swarm())
    if found == wanted:
        return {}
    pruned = {}
    if not test:
        swarm_mode_update.sign_by(host.client, cert, key)
        pruned = _await_rotation(host, wanted)
    return {_AUTHORITY: {"old": found, "new": wanted}, **pruned}


def _await_key(host: Host) -> None:
    """Wait until the leader, which applies the same state concurrently, enables autolock."""

    def probe() -> str | None:
        key = host.client.get_unlock_key()["UnlockKey"]
        return None if key else "the cluster is not locked yet"

    with contextlib.suppress(swarm_errors.WaitTimeoutError):
        swarm_wait.until(probe, min(host.settings["timeout"], _TOGETHER))


def _keep_key(host: Host, test: bool) -> dict:
    """Store the cluster's unlock key, if it has one, in the place that the pillar names."""
    salt, place = host.minion.salt, host.settings["builtin"]["unlock_key"]
    key = host.client.get_unlock_key()["UnlockKey"]
    if not key or swarm_secrets.load(salt, place, missing="") == key:
        return {}
    if not test:
        swarm_secrets.save(salt, place, key)
    return {"unlock key": {"old": "not the cluster's", "new": f"in {place}"}}
