"""
Manage the permissions of the swarm in Consul (ACLs with the default policy ``deny``).
"""

from swarm_formula.consul import rights
from swarm_formula.salt import execution

__virtualname__ = "swarm_rights"


def __virtual__():
    return __virtualname__


def _minion():
    return execution.Minion(__salt__, __opts__, __context__)


def apply(test=False):
    """
    Ensure the swarm has the permissions that it needs in Consul; return what changed.

    Only with ``swarm:consul:acl``. A server, or a manager's host, grants the permissions; other
    nodes wait for them. Then Consul of a manager's host gets the managers' token and restarts; when
    all of them have it, other nodes lose write access to the lock of the primary manager. If ACLs
    are enabled in a running swarm, the servers also deny everything else, one at a time.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_rights.apply test=True
    """
    return rights.apply(_minion(), test)


def remarks():
    """
    Return a list of sentences on rights in Consul that nodes have and should not have; usually
    empty.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_rights.remarks
    """
    return rights.remarks(_minion())
