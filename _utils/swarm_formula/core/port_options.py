"""
Define the ports that have no pillar setting of their own, or only one in Consul's options. Pure.
"""

from swarm_formula.core import checks
from swarm_formula.core.settings_types import AnySettings

GOSSIP = 7946  # for Docker's overlay networks
VXLAN = 4789
_CONSUL = {"server": 8300, "serf_lan": 8301, "serf_wan": 8302, "dns": 8600}
# In Consul, -1 disables a listener.
WANT = checks.mapping_of(checks.text, checks.integer(-1, 65535))


def consul(settings: AnySettings) -> dict[str, int]:
    """Return ``{name: port}`` of Consul's enabled listeners except HTTP."""
    given = settings["consul"]["options"].get("ports", {})
    ports = _CONSUL if WANT(given) else {**_CONSUL, **given}
    return {name: port for name, port in ports.items() if port > 0}
