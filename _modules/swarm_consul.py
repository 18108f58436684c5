"""
Manage Consul, the store of classic Swarm, in a container on every node.
"""

from swarm_formula.core import errors, modes
from swarm_formula.salt import execution

__virtualname__ = "swarm_consul"


def __virtual__():
    return __virtualname__


def _minion():
    return execution.Minion(__salt__, __opts__, __context__)


def _look():
    from swarm_formula.consul import standing

    return standing.Consul(__salt__["swarm_settings.get"](), __salt__).look()


def status():
    """
    Return the leader's address (empty if there is none), the names of the servers that are alive,
    and the names of the voters: the quorum is a majority of the voters.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_consul.status
    """
    found = _look()
    return {
        "leader": found.leader,
        "servers": sorted(found.alive),
        "voters": sorted(found.voters),
    }


def has_leader():
    """
    Return whether this node's Consul answers and has a leader.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_consul.has_leader
    """
    from swarm_formula.consul import agent_api, config_file

    try:
        # Only the leader is requested: Consul returns it whatever the state of the ACLs.
        return bool(agent_api.leader(config_file.connect(__salt__["swarm_settings.get"]())))
    except errors.SwarmError:
        return False


def peers():
    """
    Return the servers in Raft: ``{name: "voter"}``, or ``"joining"`` for a new server.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_consul.peers
    """
    found = _look()
    return {one.name: "voter" if one.voter else "joining" for one in found.peers}


def apply(test=False):
    """
    Ensure this node's Consul container matches the pillar; return what changed.

    Every node runs a server or a client; with an external store, no node does. The previous
    container and configuration are kept until Consul works with the new ones, and are restored if
    it does not.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_consul.apply test=True
    """
    from swarm_formula.consul import apply as consul_apply

    return consul_apply.apply(_minion(), test)


def check_fixed():
    """
    Raise an error if this host's running Consul cannot take the settings in the pillar.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_consul.check_fixed
    """
    if modes.of(__salt__["swarm_settings.get"]()).standalone:
        from swarm_formula.consul import apply as consul_apply

        consul_apply.check_fixed(_minion())


def admit(kind):
    """
    Have Consul accept the new gossip key or management token beside the old one; return ``True``.

    Called by ``salt-run swarm.rotate`` on a server. The CA of the swarm has published the new one
    to the members that may have it; nothing of it is in the arguments or in the return.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_consul.admit gossip

    kind
        ``gossip`` or ``acl``.
    """
    from swarm_formula.consul import renewal

    return renewal.admit(_minion(), kind)


def retire(kind):
    """
    Have Consul forget the old gossip key or management token; return ``True``.

    Called by ``salt-run swarm.rotate`` on a server, once all nodes use the new one.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_consul.retire gossip

    kind
        ``gossip`` or ``acl``.
    """
    from swarm_formula.consul import renewal

    return renewal.retire(_minion(), kind)


def renewed(kind):
    """
    Return ``True`` if this node starts Consul with the current gossip key or management token, else
    what it lacks.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_consul.renewed gossip

    kind
        ``gossip`` or ``acl``.
    """
    from swarm_formula.consul import renewal

    return renewal.unfinished(_minion(), kind) or True


def wait(timeout=None):
    """
    Wait until Consul has a leader and, on a server, Raft lists it; the error says what is missing.

    Then end the turn of an earlier run on this host that was killed during a restart, so that other
    hosts do not wait for it. An external store is not waited for: the managers do that.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_consul.wait timeout=30

    timeout
        Timeout in seconds. Defaults to ``swarm:timeout``.
    """
    from swarm_formula.consul import apply as consul_apply

    consul_apply.wait(_minion(), timeout)


def nodes():
    """
    Return the engine endpoints that Swarm agents have registered.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_consul.nodes
    """
    from swarm_formula.consul import removal

    return removal.nodes(__salt__["swarm_settings.get"]())


def deregister(test=False, endpoint=None):
    """
    Delete a node's key from the store, so that no manager waits for its TTL; return what changed.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_consul.deregister
        salt m1 swarm_consul.deregister endpoint=10.0.0.14:2376

    endpoint
        Engine endpoint of a node that cannot do this itself. Defaults to this node's.
    """
    from swarm_formula.consul import removal

    return removal.deregister(_minion(), test, endpoint)


def expel(name, timeout=None):
    """
    Force a lost node, above all a server, to leave Consul; return what changed.

    Waits until Consul no longer reports the node as alive: a live node would only rejoin.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_consul.expel m3

    name
        Minion ID of the node.

    timeout
        Seconds to wait until Consul no longer reports it as alive; ``swarm:timeout`` if unset.
    """
    from swarm_formula.consul import removal

    return removal.expel(_minion(), name, timeout)


def remove(test=False):
    """
    Ensure this node's Consul is removed with its data, image and configuration.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_consul.remove test=True
    """
    from swarm_formula.consul import removal

    return removal.remove(_minion(), test)
