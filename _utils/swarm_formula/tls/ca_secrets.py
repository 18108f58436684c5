"""
Renew the secrets that the CA keeps for Consul, step by step.

``tls.consul_secrets`` has the steps; ``salt-run swarm.rotate`` takes them.
"""

from swarm_formula.core import errors
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt.execution import Minion
from swarm_formula.tls import ca_publication, consul_secrets

_STEPS = {
    "begin": consul_secrets.begun,
    "follow": consul_secrets.followed,
    "end": consul_secrets.ended,
}


def renewable(settings: Settings) -> list[str]:
    """Return the kinds of secrets that the formula renews."""
    kinds = (consul_secrets.GOSSIP, consul_secrets.TOKEN)
    return [kind for kind in kinds if not consul_secrets.refusal(kind, settings)]


def renew(minion: Minion, kind: str, step: str) -> str:
    """Take a step of the renewal of a secret; return how far the renewal has come."""
    settings = minion.settings()
    if why := consul_secrets.refusal(kind, settings):
        raise errors.SwarmError(f"{kind} was not renewed: {why}")
    state = ca_publication.update(minion, settings, lambda state: _STEPS[step](state, kind))
    return consul_secrets.phase(state, kind)
