"""
Manage the Docker Engine of a node.
"""

from swarm_formula.daemon import daemon_json
from swarm_formula.engine import node_drain
from swarm_formula.salt import state_return

__virtualname__ = "swarm_engine"


def __virtual__():
    if "swarm_engine.configure" not in __salt__:
        return False, "The swarm_engine execution module is not available"
    return __virtualname__


def installed(name):
    """
    Ensure the engine's package is installed, with the version and the hold that the pillar sets.

    The engine of a host that had none is started by ``configured``, with its settings.

    Warns if the new version is older than the previous one. The comment tells what became of the
    drain, with ``swarm:engine:drain``.

    .. code-block:: yaml

        engine is installed:
          swarm_engine.installed: []

    name
        A name for the report.
    """
    ret = state_return.applied(name, __opts__["test"], __salt__["swarm_package.install"])
    ret = state_return.remarked(ret, node_drain.remarks(ret["changes"]))
    return state_return.warned(ret, daemon_json.downgrades(ret["changes"]))


def configured(name):
    """
    Ensure the engine runs with the options and labels of the pillar, and listens on its TCP port.

    Warns about problems of the engine and its overlay networks; fix them with
    ``swarm_engine.heal``, which may restart the engine. Also warns about known faults of the
    engine's version, and if the formula's certificate replaces one that an administrator named in
    ``daemon.json``. The comment tells what became of the drain, with ``swarm:engine:drain``.

    .. code-block:: yaml

        engine is configured:
          swarm_engine.configured: []

    name
        A name for the report.
    """
    ret = state_return.applied(name, __opts__["test"], __salt__["swarm_engine.configure"])
    if ret["result"] is False:
        return ret
    ret = state_return.remarked(ret, node_drain.remarks(ret["changes"]))
    complaints = __salt__["swarm_engine.complaints"]()
    faults = __salt__["swarm_engine.known_faults"]()
    return state_return.warned(ret, [*daemon_json.overruled(ret["changes"]), *complaints, *faults])


def overlay(name):
    """
    Ensure the engine uses the store for overlay networks if ``swarm:overlay`` is set, else none.

    .. code-block:: yaml

        overlay networks are enabled:
          swarm_engine.overlay: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_engine.configure_overlay"])


def cleaned(name):
    """
    Ensure the formula's settings are absent from the engine's configuration; other keys are kept.

    .. code-block:: yaml

        engine configuration is restored:
          swarm_engine.cleaned: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_engine.clean"])


def removed(name):
    """
    Ensure the engine's package is absent if this formula installed it.

    The package is kept if the engine has containers that are not the formula's.

    .. code-block:: yaml

        engine is removed:
          swarm_engine.removed: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_package.remove"])
