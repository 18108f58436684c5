"""
Keep the state of a swarm's CA: create it, load it and save it.

The whole state is in one file, so that a killed run leaves either the old or the new state, never a
mixture. Only the CA's minion reads the file; the key leaves that host only encrypted for a manager,
see ``tls.ca_copy_exchange``.
"""

from collections.abc import Callable
from typing import Any

from swarm_formula.core import errors, host_files, modes
from swarm_formula.core.settings_types import Settings
from swarm_formula.tls import consul_secrets

FILE = host_files.CONFIG / "ca.json"
LOCK = "swarm-formula-ca.lock"
# The keys of the CAs apart in the state and in the record: those that sign for clients in builtin
# mode, and for Consul in classic mode. The nodes' CA, which is the state itself, has none.
APART = CLIENTS, CONSUL = "clients", "consul"
TITLES = {CLIENTS: "CA for clients", CONSUL: "CA for Consul"}
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


def new(settings: Settings, chain: str = "") -> dict[str, str]:
    """Return a new key and certificate; the key of a CA apart is the end of its name."""
    from swarm_formula.tls import pki

    tls, name = settings["tls"], f"swarm-formula {settings['id']} {chain}".strip()
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
    return {**state, **{key: _new_chain(settings, key) for key in apart(settings)}}


def _new_chain(settings: Settings, chain: str) -> dict[str, Any]:
    return {"ca": new(settings, chain), "next": None, "old": []}


def apart(settings: Settings) -> tuple[str, ...]:
    """
    Return the keys of the CAs that this mode needs beside that of the nodes.

    A node of builtin mode is only a server: engines accept only clients of the clients' CA, and no
    certificate that an earlier version signed for server and client. A node of classic mode is a
    client of Consul, whose CA neither engines nor managers trust.
    """
    if modes.of(settings).clients_apart:
        return (CLIENTS,)
    return (CONSUL,) if settings["managed_store"] else ()


def with_apart(state: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Return the CA of an existing swarm with the CAs apart. Pure except for their keys."""
    for key in apart(settings):
        if not state.get(key):
            state = {**state, key: _first(state, settings, key)}
    return state


def _first(state: dict[str, Any], settings: Settings, chain: str) -> dict[str, Any]:
    """
    Return a CA apart for a swarm that an earlier version has made.

    The certificates of its Consul are of the nodes' CA, which becomes Consul's: all Consul agents
    accept each other, whichever have been upgraded. The nodes get another CA: see ``is_shared``.
    """
    if chain == CONSUL:
        return {key: state[key] for key in ("ca", "next", "old")}
    return _new_chain(settings, chain)


def is_shared(state: dict[str, Any]) -> bool:
    """Check whether the nodes' CA is Consul's as well, and has thus signed clients for workers."""
    consul = chains(state).get(CONSUL)
    return consul is not None and bool(consul["ca"]["cert"] == state["ca"]["cert"])


def with_token(state: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Return the CA, with Consul's management token if needed. Pure except for the random token."""
    consul = settings["consul"]
    if state.get("acl") or not consul["acl"] or consul["acl_token"]:
        return state
    return {**state, "acl": consul_secrets.made(consul_secrets.TOKEN)}


def chains(state: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the CAs by their keys: that of the nodes, and those apart."""
    return {"": state, **{key: state[key] for key in APART if state.get(key)}}


def in_each(
    state: dict[str, Any], change: Callable[[dict[str, Any], str], dict[str, Any]]
) -> dict[str, Any]:
    """Return a state with ``change(CA, its key)`` in each CA."""
    changes = {key: change(chain, key) for key, chain in chains(state).items()}
    nodes = changes.pop("")
    return {**state, **nodes, **{key: {**state[key], **one} for key, one in changes.items()}}
