"""
Disaster recovery: save the state of a swarm to a file, and restore a swarm from it.

The backup is the Raft state of a manager in builtin mode, a snapshot of Consul in classic mode.
"""

from pathlib import Path

from swarm_formula.core import archive
from swarm_formula.modes import verbs
from swarm_formula.salt import current_pillar

__virtualname__ = "swarm_backup"


def __virtual__():
    return __virtualname__


def _settings():
    return __salt__["swarm_settings.get"]()


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
    with current_pillar.pillar(__context__):
        settings = _settings()
        place = verbs.of(settings).save()(__salt__, settings, path, force)
    return archive.described(place)


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
    consent = archive.Consent(unfit=force, lose=force and lose_cluster)
    with current_pillar.pillar(__context__):
        settings = _settings()
        return verbs.of(settings).restore()(__salt__, settings, Path(path), consent, test)


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
    from swarm_formula.builtin import restore

    lose = force and lose_cluster
    with current_pillar.pillar(__context__):
        return restore.force_new_cluster(__salt__, _settings(), lose, test)
