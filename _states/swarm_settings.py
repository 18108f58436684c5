"""
Validate the pillar before anything is changed.
"""

from salt.exceptions import CommandExecutionError

from swarm_formula.salt import state_return

__virtualname__ = "swarm_settings"


def __virtual__():
    if "swarm_settings.get" not in __salt__:
        return False, "The swarm_settings execution module is not available"
    return __virtualname__


def valid(name, leaving=False):
    """
    Ensure the pillar ``swarm`` is valid; the state fails with a list of all errors in it.

    It also fails if this host's Consul cannot change to the settings in the pillar, or if this host
    is in a swarm of a different mode than the pillar's, or has other containers or volumes under
    names that the formula uses, or if no engine can work on this host. It fails if the pillar does
    not name this minion as a member. It warns about what the host
    lacks otherwise, see ``swarm_engine.preflight``.

    .. code-block:: yaml

        swarm pillar is valid:
          swarm_settings.valid: []

    name
        A name for the report.

    leaving
        Accept such names, and a minion that is no member any more: ``swarm.clean`` creates nothing,
        and leaves them. Defaults to ``False``.
    """
    try:
        __salt__["swarm_settings.get"]()
        unnamed = [] if leaving else __salt__["swarm_settings.check_member"]()
        __salt__["swarm_engine.check_mode"](leaving)
        __salt__["swarm_consul.check_fixed"]()
        warnings = unnamed + __salt__["swarm_settings.check"](fresh=False)["warnings"]
        # What is being removed needs nothing any more.
        warnings += [] if leaving else __salt__["swarm_engine.preflight"]()
    except CommandExecutionError as err:
        return state_return.failed(name, err)
    return state_return.warned(state_return.done(name, {}), warnings)
