"""
Renew the secrets that the CA keeps for Consul, step by step.

``swarm_renewal`` has the steps; ``salt-run swarm.rotate`` takes them.
"""

import swarm_ca_publication
import swarm_errors
import swarm_renewal
from swarm_minion import Minion

_STEPS = {
    "begin": swarm_renewal.begun,
    "follow": swarm_renewal.followed,
    "end": swarm_renewal.ended,
}


def renewable(settings: dict) -> list[str]:
    """Return the kinds of secrets that the formula renews."""
    kinds = (swarm_renewal.GOSSIP, swarm_renewal.TOKEN)
    return [kind for kind in kinds if not swarm_renewal.refusal(kind, settings)]


def renew(minion: Minion, kind: str, step: str) -> str:
    """Take a step of the renewal of a secret; return how far the renewal has come."""
    settings = minion.settings()
    if why := swarm_renewal.refusal(kind, settings):
        raise swarm_errors.SwarmError(f"{kind} was not renewed: {why}")
    state = swarm_ca_publication.update(minion, settings, lambda state: _STEPS[step](state, kind))
    return swarm_renewal.phase(state, kind)
