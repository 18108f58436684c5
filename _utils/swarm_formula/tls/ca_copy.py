"""
Encrypt and check a copy of the CA, and compare it with what the CA has published.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from swarm_formula.core import errors, host_files, pem_text
from swarm_formula.tls import ca_record, ca_rotation, ca_state, consul_secrets, pki, seal

_KEYS: dict[str, type] = {
    "ca": dict,
    "old": list,
    "gossip": str,
    "issued": dict,
    "rotation": object,
}


class Copy(NamedTuple):
    """A copy of the CA's state, the minion that it comes from, and the CA that it is of."""

    holder: str
    ca: str
    state: dict[str, Any]

    @property
    def issuer(self) -> str:
        """Return the fingerprint of the CA that signs."""
        return pem_text.fingerprint(self.state["ca"]["cert"])


def parsed(text: str) -> dict[str, Any]:
    """Return the state of a CA; raise an error if it is not a complete and valid one."""
    try:
        state: dict[str, Any] = json.loads(text)
        wrong = [key for key, kind in _KEYS.items() if not isinstance(state[key], kind)]
        pairs = [one[key] for one in ca_state.chains(state).values() for key in ("ca", "next")]
        faults = [fault for pair in pairs if pair for fault in _faults(pair)]
        ca_record.record(state)
    except (AttributeError, KeyError, TypeError, ValueError, errors.SwarmError) as err:
        # The text of the error could hold a part of the key.
        raise errors.SwarmError("it holds no CA") from err
    if wrong or faults:
        raise errors.SwarmError(f"it holds no valid CA: {', '.join([*wrong, *faults])}")
    return state


def _faults(pair: Mapping[str, str]) -> list[str]:
    return pki.faults(pair["cert"], pair["key"], pair["cert"], (), ())


def sealed(copy: Copy, minion: str, key: str) -> dict[str, Any]:
    """Return a copy encrypted for the public key of another minion, ``{"ca", "box"}``."""
    text = host_files.to_json(copy.state)
    return {"ca": copy.ca, "box": seal.sealed(text, key, _purpose(minion))}


def opened(holder: str, answer: Mapping[str, Any], key: str, me: str) -> Copy:
    """Return the copy in an answer of ``holder``; raise an error if it is damaged."""
    state = parsed(seal.opened(answer.get("box"), key, _purpose(me)))
    return Copy(holder, str(answer.get("ca")), state)


def _purpose(minion: str) -> str:
    return f"CA for {minion}"


def serial(state: dict[str, Any]) -> int:
    """Return the number of a CA's state, or of its record."""
    serial = state.get(ca_state.SERIAL)
    return serial if isinstance(serial, int) else 0


def followed(copy: Copy, published: list[dict[str, Any]]) -> Copy:
    """Return a copy from before the new CA of a rotation signs as one from after that."""
    following, issuers = copy.state["next"], {one.get("issuer") for one in published}
    missed = following and copy.issuer not in issuers
    if missed and pem_text.fingerprint(following["cert"]) in issuers:
        return copy._replace(state=ca_rotation.followed(copy.state))
    return copy


def stale(copy: Copy, published: list[dict[str, Any]]) -> str | None:
    """Return why a copy is not of the CA that was published last, ``None`` if it is."""
    if not published:
        return None
    if copy.issuer not in {one.get("issuer") for one in published}:
        return f"its copy is of another CA ({copy.issuer[:16]}) than the one that members trust"
    # In a renewal, the copy may have the published key as the next one.
    followed = consul_secrets.followed(copy.state, consul_secrets.GOSSIP)
    keys = {copy.state["gossip"], str(followed["gossip"])}
    if keys.isdisjoint(one.get("gossip") for one in published):
        return "its copy is older than Consul's gossip key"
    return None
