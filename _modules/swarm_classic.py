"""
Manage the manager and the agent of classic Swarm, in containers.
"""

import contextlib

from swarm_formula.classic import agent, container, health, manager
from swarm_formula.core import errors, member_rules, modes
from swarm_formula.salt import caller

__virtualname__ = "swarm_classic"


def __virtual__():
    return __virtualname__


def _settings():
    return __salt__["swarm_settings.get"]()


def managers():
    """
    Query every manager in the pillar; return its answer, or the error if it does not answer.

    On a worker with a certificate of the formula's CA, through the master, with its own node only.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_classic.managers
    """
    return health.managers(__salt__, _settings())


def lists(address, **kwargs):
    """
    Return what the managers say of one node, as ``managers`` does.

    Empty if this minion is no manager. Workers call it, because managers do not accept their
    certificates: needs ``peer`` in the master's configuration.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_classic.lists 10.0.0.14:2376

    address
        The address and port of its engine, as its agent advertises them.
    """
    me, known = __opts__["id"], []
    with contextlib.suppress(errors.SettingsError):
        known = member_rules.members(_settings())
    try:
        with caller.admitted(str(kwargs.get("__pub_id", me)), [*known, me]):
            return health.listing(_settings_of_manager(), address)
    except errors.BusyError as err:
        return {"busy": str(err)}


def _settings_of_manager():
    """
    Return the settings of the current pillar if this minion was no manager in its last one.

    It was none either if that pillar was of the other mode.
    """
    with contextlib.suppress(errors.SettingsError):
        settings = _settings()
        if settings["is_manager"] and modes.of(settings).standalone:
            return settings
    return __salt__["swarm_settings.get"](fresh=True)


def apply_manager(test=False):
    """
    Ensure a manager runs here if the pillar lists this minion as one, and none otherwise.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_classic.apply_manager test=True
    """
    return manager.apply(__salt__, _settings(), test)


def hand_over():
    """
    Make another manager primary and wait until one is; return whether one is.

    Called before this manager stops, so that there is a primary at all times. This manager keeps
    serving until another one is primary. Requires Consul in containers.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_classic.hand_over
    """
    return manager.hand_over(_settings())


def apply_agent(test=False):
    """
    Ensure this node's agent matches the pillar and is registered; return what changed.

    When this host's Consul leaves, as it does to change its role, the keys registered through it
    are lost. The agent is then restarted, instead of registering at its next heartbeat.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_classic.apply_agent test=True
    """
    return agent.apply(__salt__, _settings(), test)


def wait_primary(timeout=None):
    """
    Wait until a manager is primary; return its address.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_classic.wait_primary timeout=30

    timeout
        Timeout in seconds. Defaults to ``swarm:timeout``.
    """
    return health.wait_primary(__salt__, _settings(), timeout)


def wait_healthy(timeout=None):
    """
    Wait until the primary reports this node as ``Healthy``, with its labels from the pillar, and
    the manager of this node answers, if it has one.

    A node whose engine has another ID than before, because its host was installed again, is
    registered anew.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_classic.wait_healthy timeout=30

    timeout
        Timeout in seconds. Defaults to ``swarm:timeout``.
    """
    health.wait_healthy(__salt__, _settings(), timeout)


def remove(test=False):
    """
    Ensure this node has no agent, no manager and no unused image of them; return what changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_classic.remove test=True
    """
    settings = _settings()
    if not __salt__["swarm_engine.exists"]():
        return {}
    return container.remove(__salt__, settings, test)
