"""
Keep the state of a swarm's CA: create it, load it and save it.

The whole state is in one file, so that a killed run leaves either the old or the new state, never a
mixture. Only the CA's minion reads the file; the key leaves that host only encrypted for a manager,
see ``tls.ca_copy_exchange``.
"""

from collections.abc import Callable
from typing import Any

from swarm_formula.core import errors, host_files
from swarm_formula.core.settings_types import Settings
from swarm_formula.tls import consul_secrets, pki

FILE = host_files.CONFIG / "ca.json"
LOCK = "swarm-formula-ca.lock"
# The key of the clients' CA in the state and in the record, and the end of its name.
CLIENTS, _OF_CLIENTS = "clients", " clients"
# The key of the number of the state, which grows with each change.
SERIAL = "serial"


def minion(settings: Settings) -> str:
    """Return the minion that is the CA of this node; raise an error if none signs for it."""
    if ca := settings["tls"]["ca"]:
        return ca
    raise errors.SwarmError(
        f"no minion signs certificates for {settings['id']}: its pillar turns TLS off, or supplies"
        " certificates of its own (swarm:tls)"
    )


def load() -> dict[str, Any]:
    """Return the state of the CA, ``{}`` if there is none on this host."""
    return host_files.read_json(FILE)


def save(state: dict[str, Any]) -> None:
    """Write the state of the CA; its serial tells the newer one of two copies."""
    state = {**state, SERIAL: state.get(SERIAL, 0) + 1}
    host_files.write(FILE, host_files.to_json(state), mode=0o600)


def new(settings: Settings, what: str = "") -> dict[str, str]:
    """Return a new key and certificate; ``what`` is the end of the CA's name."""
    tls, name = settings["tls"], f"swarm-formula {settings['id']}{what}"
    return pki.new_authority(name, tls["ca_days"], tls["key_type"])._asdict()


def found(settings: Settings) -> dict[str, Any]:
    """Return a new CA with a gossip key for Consul. Pure except for random values and the time."""
    state: dict[str, Any] = {
        "ca": new(settings),
        "next": None,
        "old": [],
        "rotation": settings["tls"]["ca_rotation"] or 0,
        "gossip": consul_secrets.made(consul_secrets.GOSSIP),
        "issued": {},
    }
    return with_clients(state, settings)


def is_apart(settings: Settings) -> bool:
    """
    Check whether clients have a CA of their own, the only one that engines accept clients of.

    In builtin mode, a node is only a server: its certificate must open no other engine, and neither
    must one that an earlier version signed for server and client. In classic mode, each node is a
    client of Consul and of the managers.
    """
    return settings["mode"] == "builtin"


def with_clients(state: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Return the CA, with a second one for clients if needed. Pure except for its key."""
    if state.get(CLIENTS) or not is_apart(settings):
        return state
    return {**state, CLIENTS: {"ca": new(settings, _OF_CLIENTS), "next": None, "old": []}}


def with_token(state: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Return the CA, with Consul's management token if needed. Pure except for the random token."""
    consul = settings["consul"]
    if state.get("acl") or not consul["acl"] or consul["acl_token"]:
        return state
    return {**state, "acl": consul_secrets.made(consul_secrets.TOKEN)}


def chains(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the CAs: the nodes', and the clients' if they have their own."""
    return [state, *([state[CLIENTS]] if state.get(CLIENTS) else [])]


def in_each(
    state: dict[str, Any], change: Callable[[dict[str, Any], str], dict[str, Any]]
) -> dict[str, Any]:
    """Return a state with ``change(chain, end of the CA's name)`` in the chain of each CA."""
    state = {**state, **change(state, "")}
    if clients := state.get(CLIENTS):
        state[CLIENTS] = {**clients, **change(clients, _OF_CLIENTS)}
    return state
