"""
Replace a secret that the CA keeps for Consul: the gossip key, or the management token of the ACLs.

The old one stays valid until the new one is in use on all nodes: the CA makes the new one, Consul
accepts both, the CA publishes the new one for the configuration of the nodes, and at the end Consul
forgets the old one. Each step can be repeated. Pure except for the random values.
"""

import base64
import os
import uuid
from collections.abc import Mapping
from typing import Any

from swarm_formula.core import errors
from swarm_formula.core.settings_types import Settings

GOSSIP, TOKEN = "gossip", "acl"
_WORDS = {GOSSIP: "gossip key", TOKEN: "management token"}
# The steps that have been taken, as ``phase`` returns them.
PHASES = MADE, USED, DONE = "made", "used", "done"
# The keys of the state and of the published record, beside the one in use.
_NEXT, _OLD = "{}_next", "{}_old"
# Consul accepts 16, 24 or 32 bytes.
_GOSSIP_BYTES = 32


def made(kind: str) -> str:
    """Return a new secret."""
    if kind == TOKEN:
        return str(uuid.uuid4())
    return base64.b64encode(os.urandom(_GOSSIP_BYTES)).decode()


def refusal(kind: str, settings: Settings) -> str | None:
    """Return why the formula does not renew this secret, with what to do, ``None`` if it does."""
    consul = settings["consul"]
    if kind not in (GOSSIP, TOKEN):
        return f"there is no {kind!r}, only {GOSSIP} or {TOKEN}"
    if not (settings["managed_store"] and settings["tls"]["used"]):
        return "the swarm has no Consul of the formula with TLS (mode: builtin, store, tls)"
    if kind == TOKEN and not consul["acl"]:
        return "Consul's ACLs are off (swarm:consul:acl), so there is no management token"
    if kind == TOKEN and consul["acl_token"]:
        return (
            f"the management token is your own: write another UUID to {consul['acl_token']}"
            " (swarm:consul:acl_token), apply swarm on all nodes, then delete the old one in Consul"
        )
    return None


def phase(state: Mapping[str, Any], kind: str) -> str:
    """Return how far a renewal has come; ``DONE`` if none is in progress."""
    if _NEXT.format(kind) in state:
        return MADE
    return USED if _OLD.format(kind) in state else DONE


def unfinished(state: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each renewal that is in progress, or was interrupted."""
    return [
        f"the rotation of Consul's {what} is not finished, so Consul accepts the old one as well."
        f" If it is not running on the master, resume it there: salt-run swarm.rotate {kind}"
        for kind, what in _WORDS.items()
        if phase(state, kind) != DONE
    ]


def begun(state: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the CA's state with a renewal in progress: that of now, or a new one."""
    if phase(state, kind) != DONE:
        return state
    if not state.get(kind):
        raise errors.SwarmError("the CA has made none yet: apply swarm there")
    return {**state, _NEXT.format(kind): made(kind)}


def followed(state: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the CA's state with the new secret in use, and the old one kept."""
    if phase(state, kind) != MADE:
        return state
    rest = _without(state, _NEXT.format(kind))
    return {**rest, kind: state[_NEXT.format(kind)], _OLD.format(kind): state[kind]}


def ended(state: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the CA's state without the old secret."""
    return _without(state, _OLD.format(kind)) if phase(state, kind) == USED else state


def _without(state: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: one for name, one in state.items() if name != key}


def restored(
    state: dict[str, Any], kind: str, secret: str, record: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the state of a restored CA with a secret, and its renewal, as last published."""
    keys = (_NEXT.format(kind), _OLD.format(kind))
    rest = {name: one for name, one in state.items() if name not in keys}
    return {**rest, kind: secret, **{key: record[key] for key in keys if key in record}}


def published(state: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the secrets of a renewal in progress, by the keys of the CA's record."""
    keys = (_NEXT.format(kind), _OLD.format(kind))
    return {key: state[key] for key in keys if key in state}


def following(record: Mapping[str, Any], kind: str) -> str:
    """Return the new secret in a published record; raise an error if there is none."""
    return _published(record, _NEXT.format(kind))


def former(record: Mapping[str, Any], kind: str) -> str:
    """Return the old secret in a published record; raise an error if there is none."""
    return _published(record, _OLD.format(kind))


def replaces(record: Mapping[str, Any], kind: str, old: str, new: str) -> bool:
    """Check whether a published record is of a renewal that has Consul accept both of these."""
    return record.get(kind) == new and record.get(_OLD.format(kind)) == old


def _published(record: Mapping[str, Any], key: str) -> str:
    if key in record:
        return str(record[key])
    raise errors.SwarmError(f"the CA has published no {key}")
