"""
Manage the Docker Engine of a node.
"""

import swarm_daemon
import swarm_ret

__virtualname__ = "swarm_engine"


def __virtual__():
    if "swarm_engine.configure" not in __salt__:
        return False, "The swarm_engine execution module is not available"
    return __virtualname__


def installed(name):
    """
    Ensure the engine's package is installed, in the version and with the hold that pillar gives.

    Warns of a version that is older than the one before.

    .. code-block:: yaml

        engine is installed:
          swarm_engine.installed: []

    name
        A name for the report.
    """
    ret = swarm_ret.applied(name, __opts__["test"], __salt__["swarm_package.install"])
    return swarm_ret.warned(ret, swarm_daemon.downgrades(ret["changes"]))


def configured(name):
    """
    Ensure the engine runs with the options and labels of pillar, and listens on its TCP port.

    Warns of what only a restart cures, which is left to you: ``swarm_engine.heal``.

    .. code-block:: yaml

        engine is configured:
          swarm_engine.configured: []

    name
        A name for the report.
    """
    ret = swarm_ret.applied(name, __opts__["test"], __salt__["swarm_engine.configure"])
    if ret["result"] is False:
        return ret
    return swarm_ret.warned(ret, __salt__["swarm_engine.complaints"]())


def overlay(name):
    """
    Ensure the engine has the store for overlay networks if ``swarm:overlay`` is set, none if not.

    .. code-block:: yaml

        engine has overlay networks:
          swarm_engine.overlay: []

    name
        A name for the report.
    """
    return swarm_ret.applied(name, __opts__["test"], __salt__["swarm_engine.configure_overlay"])


def cleaned(name):
    """
    Ensure nothing of this formula is in the engine's configuration; an admin's own keys stay.

    .. code-block:: yaml

        engine is as it was:
          swarm_engine.cleaned: []

    name
        A name for the report.
    """
    return swarm_ret.applied(name, __opts__["test"], __salt__["swarm_engine.clean"])


def removed(name):
    """
    Ensure the engine's package is gone if this formula brought it and nobody else uses it.

    .. code-block:: yaml

        engine is removed:
          swarm_engine.removed: []

    name
        A name for the report.
    """
    return swarm_ret.applied(name, __opts__["test"], __salt__["swarm_package.remove"])
