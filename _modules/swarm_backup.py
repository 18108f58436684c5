"""
Disaster recovery: save the state of a swarm to a file, and restore a swarm from it.

The backup is the Raft state of a manager in builtin mode, a snapshot of Consul in classic mode.
"""

import contextlib
import time
from pathlib import Path

import swarm_acl
import swarm_address
import swarm_archive
import swarm_current
import swarm_daemon
import swarm_dockerd
import swarm_errors
import swarm_files
import swarm_kv
import swarm_membership
import swarm_mode
import swarm_mode_entry
import swarm_node_quorum
import swarm_nodes
import swarm_wait

__virtualname__ = "swarm_backup"

_FOLDER = Path("/var/backups/swarm-formula")
# Seconds to wait until an engine without a quorum reports that it is a manager.
_WAKING = 30
# Seconds to wait until Consul has elected a leader.
_ELECTING = 30


def __virtual__():
    return __virtualname__


def _settings():
    return __salt__["swarm_settings.get"]()


def _client():
    return swarm_mode.connect(__salt__)


def _consul(settings):
    return swarm_acl.connect(settings, settings["timeout"])


def _builtin(settings):
    return settings["mode"] == "builtin"


# --- save


def save(path=None, force=False):
    """
    Save the state of the swarm to a file on this node; return its ``path``, ``bytes``, ``sha256``.

    builtin
        Runs on a manager. Its engine is stopped during the backup, as Docker requires, and its
        containers stop as well. Refused if the managers would lose their quorum, and if a cluster
        of several managers has ``autolock``: no engine can restore such a backup (moby#36852).
        ``salt-run swarm.backup`` chooses a manager.

    classic
        Writes a snapshot of Consul in the format of ``consul snapshot save``. Nothing is stopped.
        With ACLs, runs only on a Consul server: other nodes do not have the required token.

    The file contains the keys and secrets of the swarm. Only root can read it; move it off the
    host.

    CLI Example:

    .. code-block:: bash

        salt m2 swarm_backup.save

    path
        The file to create; it must not exist. Defaults to a file in ``/var/backups/swarm-formula``
        that is named after the node and the time.

    force
        Make the backup even if it costs the quorum or cannot be restored. Defaults to ``False``.
    """
    with swarm_current.pillar(__context__):
        settings = _settings()
        place = _place(settings, path)
        (_save_raft if _builtin(settings) else _save_store)(settings, place, force)
    return swarm_archive.described(place)


def _place(settings, path):
    ending = "tar.gz" if _builtin(settings) else "snap"
    name = f"{settings['mode']}-{settings['id']}-{swarm_archive.stamp(time.time())}.{ending}"
    place = Path(path) if path else _FOLDER / name
    if not place.is_absolute():
        raise swarm_errors.SwarmError(f"path: {path} is not absolute")
    if place.exists():
        raise swarm_errors.SwarmError(f"path: {place} is there already; nothing was written")
    return place


def _save_store(settings, place, _force):
    data = _snapshot(_consul(settings))
    swarm_archive.check_snapshot(data, "what Consul answers")
    with swarm_files.whole(place, 0o600) as file:
        file.write(data)


def _snapshot(client):
    """Return a snapshot of Consul; retry while its servers elect a leader."""
    return swarm_wait.asked(lambda: swarm_kv.snapshot(client), swarm_errors.StoreError, _ELECTING)


def _save_raft(settings, place, force):
    with _client() as client, swarm_mode.alone():
        state, facts = _to_save(client, settings, force)
        with swarm_dockerd.stopped(__salt__, settings["engine"]["service"], settings["timeout"]):
            swarm_archive.pack(state, place, facts)
    swarm_archive.read(place)
    # The next manager may be stopped only when this one is unlocked and a manager again.
    __salt__["swarm_builtin.apply"]()
    __salt__["swarm_builtin.wait_ready"]()


def _to_save(client, settings, force):
    """Return the folder of the Raft state and facts about it; raise an error if refused."""
    info = client.info()
    swarm = info.get("Swarm") or {}
    if not swarm_membership.manager(swarm):
        raise swarm_errors.SwarmError(
            f"{settings['id']} is no manager, and only these have the cluster's state:"
            " salt-run swarm.backup chooses one"
        )
    nodes, cluster = swarm_mode.nodes(client), client.inspect_swarm()
    facts = {
        "address": swarm_nodes.raft_address(swarm_nodes.only(nodes, swarm["NodeID"])),
        "cluster": cluster["ID"],
        "engine": info["ServerVersion"],
        "locked": cluster["Spec"]["EncryptionConfig"]["AutoLockManagers"],
        "managers": len(swarm_nodes.managers(nodes)),
        "minion": settings["id"],
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    refused = _cannot_be_restored(facts) or swarm_node_quorum.pause_refusal(nodes, swarm["NodeID"])
    if refused and not force:
        raise swarm_errors.SwarmError(f"no backup was made: {refused}; or force=True")
    return Path(info["DockerRootDir"]) / "swarm", facts


def _cannot_be_restored(facts):
    if not facts["locked"] or facts["managers"] == 1:
        return None
    return (
        "the cluster locks its managers, and then no engine makes a new cluster of the state of"
        " one of several (moby#36852): apply swarm:builtin:cluster:autolock: False, back up, and"
        " lock it again"
    )


# --- restore


def restore(path, force=False, lose_cluster=False, test=False):
    """
    Restore a swarm from a backup; return what changed.

    This is the only way to recover from the loss of all managers.

    builtin
        This node becomes the only manager of the cluster; ``state.apply swarm`` on all members
        joins the others. The previous state of its engine is kept next to the restored one. Refused
        while this node is in a cluster that has a leader, or while another manager still listens:
        there must never be two clusters with the same identity. Refused on a host that does not
        have the address of the manager in the backup: no engine can change this address
        (moby#34306), and other nodes could not join.

    classic
        All data in Consul is replaced; Consul must have a leader. The current data is first saved
        in ``/var/backups/swarm-formula`` and can be restored in turn: networks created after the
        backup are missing from it, and containers on them lose their connections.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_backup.restore /var/backups/swarm-formula/builtin-m2-20260102T030405Z.tar.gz

    path
        A file written by ``swarm_backup.save``.

    force
        Restore a backup even if it does not fit this host or its engine. Defaults to ``False``.

    lose_cluster
        With ``force``: restore even if the cluster may still be running. Defaults to ``False``.
    """
    with swarm_current.pillar(__context__):
        settings, place = _settings(), Path(path)
        if _builtin(settings):
            return _restore_raft(settings, place, force, force and lose_cluster, test)
        return _restore_store(settings, place, test)


def _restore_store(settings, place, test):
    try:
        data = place.read_bytes()
    except OSError as err:
        raise swarm_errors.SwarmError(f"cannot read {place}: {err}") from err
    swarm_archive.check_snapshot(data, str(place))
    # Keep the current data: restoring an old snapshot removes newer networks that are in use.
    now = swarm_archive.stamp(time.time())
    kept = _FOLDER / f"classic-{settings['id']}-{now}-before-restore.snap"
    if not test:
        client = _consul(settings)
        with swarm_files.whole(kept, 0o600) as file:
            file.write(_snapshot(client))
        swarm_kv.restore(client, data)
        # The snapshot may predate the ACLs: without its policies, the swarm is denied access.
        __salt__["swarm_rights.apply"]()
    return {"consul": {"old": f"as it is, kept in {kept}", "new": f"as in {place}"}}


def _restore_raft(settings, place, force, lose, test):
    # Opened once: the owner of the folder may replace the file after the check.
    with swarm_archive.opened(place) as file:
        return _restore_from(file, settings, place, force, lose, test)


def _restore_from(file, settings, place, force, lose, test):  # noqa: PLR0917
    facts = swarm_archive.read(place, file)
    with _client() as client:
        info = client.info()
        if not force:
            _refuse_unfit(facts, info["ServerVersion"], settings)
        if not lose:
            _refuse_second(client, settings)
    changes = {
        "swarm mode": {
            "old": info["Swarm"].get("LocalNodeState") or "inactive",
            "new": f"cluster {facts['cluster']} as of {facts['time']}, this its only manager",
        }
    }
    if test:
        return changes
    state = Path(info["DockerRootDir"]) / "swarm"
    with swarm_mode.alone():
        with swarm_dockerd.stopped(__salt__, settings["engine"]["service"], settings["timeout"]):
            kept = swarm_archive.unpack(place, state, time.time(), file)
        if not facts["locked"]:
            with _client() as client:
                _go_on(client, settings)
    # A locked state comes from a cluster of one manager, which only has to be unlocked.
    __salt__["swarm_builtin.apply"]()
    return {**changes, **({"kept": {"old": str(state), "new": str(kept)}} if kept else {})}


def _refuse_unfit(facts, version, settings):
    why = _cannot_be_restored(facts)
    if swarm_daemon.version(version) < swarm_daemon.version(facts["engine"]):
        why = (
            f"the engine of {settings['id']} is {version}, and the backup is of {facts['engine']}:"
            " an older engine may not read it; or force=True"
        )
    elif (address := facts.get("address")) and not swarm_address.is_own(address):
        why = (
            f"the cluster will look for its manager at {address}, the address of"
            f" {facts['minion']} when the backup was made, and no engine can change that"
            f" (moby#34306). {settings['id']} does not have this address: restore on the host that"
            " has it, or give it to this one, for as long as there is no other manager; or"
            " force=True"
        )
    if why:
        raise swarm_errors.SwarmError(f"nothing was restored: {why}")


def _refuse_second(client, settings):
    """Raise an error if the cluster may still be running."""
    why = None
    if _has_leader(client):
        why = f"{settings['id']} is in a cluster that has a leader"
    elif others := swarm_mode.listens(settings, swarm_mode.swarm(client)):
        why = (
            f"{', '.join(others)} may be alive in the cluster: something listens there at its port"
        )
    if why:
        raise swarm_errors.SwarmError(
            f"nothing was changed: {why}, and there must not be two of the same identity. If the"
            " quorum is lost for good, stop the engines of the other managers first. To do it"
            " whatever that costs: force=True lose_cluster=True"
        )


def _has_leader(client):
    swarm = swarm_mode.swarm(client)
    if not swarm_membership.manager(swarm):
        # A worker cannot tell; its cluster counts as alive while the engine reports it as active.
        return swarm.get("LocalNodeState") == "active"
    with contextlib.suppress(swarm_errors.ApiError):
        return bool(swarm_mode.nodes(client))
    return False


def force_new_cluster(force=False, lose_cluster=False, test=False):
    """
    Make this manager the only one after the quorum is permanently lost; return what changed.

    Equivalent to ``docker swarm init --force-new-cluster``: services, secrets and workers stay; the
    other managers lose their role until ``state.apply swarm`` promotes them again. The states never
    call this function. Refused while the cluster has a leader, or another manager still listens.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_backup.force_new_cluster

    force, lose_cluster
        Both together: continue even if the cluster may still be running. There may then be two
        clusters, or the state of the other managers is lost. Default to ``False``.
    """
    with swarm_current.pillar(__context__):
        return _force_new_cluster(force and lose_cluster, test)


def _force_new_cluster(lose, test):
    settings = _settings()
    with _client() as client, swarm_mode.alone():
        swarm = swarm_mode.swarm(client)
        if not swarm_membership.manager(swarm):
            raise swarm_errors.SwarmError(
                f"{settings['id']} is no manager, and knows nothing of which a cluster could be"
                f" made: it is {swarm.get('LocalNodeState') or 'inactive'}"
            )
        if not lose:
            _refuse_second(client, settings)
        if not test:
            _go_on(client, settings)
    if not test:
        __salt__["swarm_builtin.tell"]()
    others = len(swarm_membership.remote_managers(swarm))
    return {"managers": {"old": others, "new": 1}}


def _go_on(client, settings):
    """Wait until the engine reports that it is a manager, then make it the only manager."""

    def probe():
        swarm = swarm_mode.swarm(client)
        state = swarm.get("LocalNodeState")
        return None if swarm_membership.manager(swarm) else f"the engine is {state}, and no manager"

    swarm_wait.until(probe, min(settings["timeout"], _WAKING))
    swarm_mode_entry.force_new(client, settings)
