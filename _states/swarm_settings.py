"""
Check the pillar before anything is touched.
"""

import swarm_ret
from salt.exceptions import CommandExecutionError

__virtualname__ = "swarm_settings"


def __virtual__():
    if "swarm_settings.get" not in __salt__:
        return False, "The swarm_settings execution module is not available"
    return __virtualname__


def valid(name):
    """
    Ensure the pillar ``swarm`` is right; fails with every fault in it, and if it wants what Consul
    of this host cannot become.

    It fails as well if this host is in a swarm of another mode than that of pillar.

    .. code-block:: yaml

        swarm pillar is valid:
          swarm_settings.valid: []

    name
        A name for the report.
    """
    try:
        __salt__["swarm_settings.get"]()
        __salt__["swarm_engine.check_mode"]()
        __salt__["swarm_consul.check_fixed"]()
        warnings = __salt__["swarm_settings.check"]()["warnings"]
    except CommandExecutionError as err:
        return swarm_ret.failed(name, err)
    return swarm_ret.warned(swarm_ret.done(name, {}), warnings)
