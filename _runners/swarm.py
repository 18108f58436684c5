"""
Manage a swarm from the master: show its members, join missing members, remove a node, back up.

A minion is a member if the pillar that the master compiles for its accepted key defines
``swarm:managers`` and names it, as a manager, as a Consul server or in ``swarm:nodes``. Grains,
events and the master's pillar cache are never used, because a minion could forge them.
"""

from salt.utils.args import clean_kwargs

from swarm_formula.fleet import backup as fleet_backup
from swarm_formula.fleet import join as fleet_join
from swarm_formula.fleet import member_rows, removal, rotation
from swarm_formula.fleet import services as fleet_services
from swarm_formula.fleet import status as fleet_status
from swarm_formula.salt.runner import Master


def _master():
    return Master(__salt__, __opts__, __context__)


def _shown(rows, *empty):
    """Return rows as data for an outputter, else as a table."""
    return rows if __opts__.get("output") else member_rows.table(rows, *empty)


def status(swarm=None):
    """
    Show the members: role, address, state, engine, labels, and why a member is not Healthy.

    Returns a table; with ``--out json`` or another outputter, the rows as data. If there are
    several swarms under one master, each swarm's data comes from its own managers, and their IDs
    are its name. ``as of`` is the time (RFC 3339) of the facts of a node, or ``now``: in classic
    mode, the primary asks the engines from time to time; in builtin mode, the last change of a node
    that is not ready.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.status
        salt-run swarm.status swarm=m1
        salt-run swarm.status --out json

    swarm
        Only the swarm with this member; all if unset.
    """
    return _shown(fleet_status.read(_master(), swarm).rows)


def services(swarm=None):
    """
    Show the services: mode, image, tasks wanted and running, state of an update, and why not.

    ``since`` is the time (RFC 3339) at which a task last changed its state. Returns a table; with
    ``--out json`` or another outputter, the rows as data. The managers are asked one after the
    other until one answers.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.services
        salt-run swarm.services swarm=m1 --out json

    swarm
        Only the swarm with this member; all if unset.
    """
    return _shown(fleet_services.rows(_master(), swarm), "there are no services")


def ps(service, swarm=None):
    """
    Show the tasks of a service, with those of the past: node, state, since when, exit code, error.

    Returns a table; with ``--out json`` or another outputter, the rows as data.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.ps web

    service
        Name of the service.

    swarm
        Choose the swarm with this member; needed only if several have such a service.
    """
    return _shown(fleet_services.tasks(_master(), service, swarm), "there are no tasks")


def logs(service, lines=20, swarm=None):
    """
    Show the last lines of the log of each task of a service.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.logs web lines=100

    service
        Name of the service.

    lines
        Number of lines for each task. Defaults to 20.

    swarm
        Choose the swarm with this member; needed only if several have such a service.
    """
    found = fleet_services.logs(_master(), service, lines, swarm)
    return found if __opts__.get("output") else fleet_services.log_text(found)


def scale(swarm=None, **services):
    """
    Set the number of tasks of replicated services, and wait until they run; return what changed.

    If the pillar has ``replicas`` for a service, the next apply sets that number again.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.scale web=5 api=3

    swarm
        Choose the swarm with this member; needed only if several have such a service.
    """
    return {
        name: fleet_services.of_service(
            _master(), name, swarm, "swarm_service.scale", name, replicas
        )
        for name, replicas in clean_kwargs(**services).items()
    }


def rollback(service, swarm=None):
    """
    Return a service to its previous spec, and wait until it runs; return what changed.

    A second rollback returns to the later spec. An apply sets the options of the pillar again.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.rollback web

    service
        Name of the service.

    swarm
        Choose the swarm with this member; needed only if several have such a service.
    """
    return fleet_services.of_service(_master(), service, swarm, "swarm_service.rollback", service)


def export(swarm=None):
    """
    Return the pillar of a cluster in builtin mode, from whatever hand it is: managers, nodes with
    their labels and availability, settings, overlay networks, configs and services.

    Contents of secrets are not in it, but those of configs, variables and arguments are as Docker
    has them, and may contain passwords. Use ``--out yaml`` to copy it to a pillar: for other
    outputs, control characters in texts are escaped, and very long texts are cut.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.export --out yaml

    swarm
        Choose the swarm with this member, if there are several.
    """
    return {"swarm": fleet_services.export(_master(), swarm)}


def reconcile(test=False, swarm=None):
    """
    Join the members that are up and not Healthy; return what was done.

    Members are joined in batches, with one publish per batch. Fires ``swarm/node/<id>/joined`` and
    ``.../failed``. Run it from the master's schedule, to catch up on events that were lost while
    the master was down.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.reconcile test=True

    test
        Only return the members that would be joined.

    swarm
        Only the swarm with this member; all if unset.
    """
    return fleet_join.reconcile(_master(), test, swarm)


def join(*minions):
    """
    Join these minions if they are members and ``swarm:autojoin`` is on; return what was done.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.join m4 m5
    """
    return fleet_join.join(_master(), minions)


def remove(minion, force=False, lose_cluster=False, swarm=None, node=None):
    """
    Remove a node from the swarm, even if it is dead; return what was done.

    If the minion answers, it applies ``swarm.clean``. In classic mode, its key is then removed from
    the store, and a failed Consul member is force-left. In builtin mode, the node is drained and
    demoted first, and removed from the list of nodes at the end. Refused if the last manager, the
    quorum of managers or Consul servers, or the CA would be lost; if no other manager in the pillar
    answers; and if the managers' lists of nodes differ.

    The host names in the managers' list show which node it is, never the report of the minion. If
    the minion's ID is not the name of its host, select the node with ``node``.
    Remove the node from the pillar as well, or the next apply makes it a member again.

    Fires ``swarm/node/<id>/progress`` before each step and ``.../removed`` at the end. ``salt-run``
    prints the steps to the standard error.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.remove m4

    minion
        The node's minion ID.

    force, lose_cluster
        Set both to remove the node at any cost, even with the only copy of the cluster, the store
        or the CA. Default to ``False``.

    swarm
        The ID of another member of its swarm. Needed only if the swarm cannot be determined: there
        are several, the minion's pillar makes it a member of none, and none or more than one of
        them lists a node with its name.

    node
        The key of its node in the managers' list: the node ID in builtin mode, the engine's address
        and port in classic mode. Needed only if its host name does not show which node it is.
    """
    return removal.remove(_master(), minion, force and lose_cluster, swarm, node)


def rotate(what, swarm=None):
    """
    Rotate the swarm's keys and tokens; return what was done.

    An interrupted rotation is resumed by the same command. Progress is reported as for
    ``swarm.remove``. Only members that the pillar names are asked for anything.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.rotate join-token
        salt-run swarm.rotate ca
        salt-run swarm.rotate gossip
        salt-run swarm.rotate registry
        salt-run swarm.rotate all swarm=m1

    what
        ``join-token`` (builtin mode): both join tokens; nodes of the cluster are not affected.
        ``ca``: the CA of the formula, by several applies of ``swarm`` on all nodes; the old CA is
        trusted until all members have a certificate of the new one. ``gossip`` and ``acl`` (classic
        mode with Consul): the key of Consul's gossip, and the management token of its ACLs; the old
        one is accepted until all nodes use the new one. ``all``: what of these the swarm has.
        ``registry``: after a password was changed in its source, all nodes log in again, and in
        builtin mode the cluster gets the login for the pillar's services; no task starts again.

    swarm
        The swarm with this member; needed only if there are several.
    """
    return rotation.rotate(_master(), what, swarm)


def backup(minion=None, swarm=None, **options):
    """
    Back up the swarm's state to a file on a member; return ``minion``, ``path``, ``bytes`` and
    ``sha256``.

    In builtin mode, the file is written on a manager, preferably not the leader and drained,
    because the engine is stopped during the backup; in classic mode, on a Consul server. See
    ``swarm_backup.save``, and ``swarm_backup.restore`` for restoring it.

    CLI Example:

    .. code-block:: bash

        salt-run swarm.backup
        salt-run swarm.backup m2 path=/srv/backup/swarm.tar.gz

    minion
        The ID of a minion; chosen automatically if unset.

    swarm
        Choose from the swarm with this member; needed only for several swarms and no ``minion``.

    path
        A new file on that minion. Defaults to a file in ``/var/backups/swarm-formula``.

    force
        Back up at any cost. Defaults to ``False``.
    """
    return fleet_backup.save(_master(), minion, swarm, clean_kwargs(**options))
