"""
Decide what a host's certificate must contain, and whether the host needs a new one.
"""

import ipaddress
from typing import Any

from swarm_formula.core import addresses as core_addresses
from swarm_formula.core.settings_types import Settings, Tls
from swarm_formula.tls import ca_record, ca_state, pki
from swarm_formula.tls.cert_files import Set

# The kinds of certificates, as a request names them.
NODE, CLIENT = "node", "client"


def due(minion: str, address: str, settings: Settings) -> pki.Grant:
    """Return what a node's certificate must contain, by its roles and the mode. Pure."""
    # A node connects to its own Consul over loopback.
    names, addresses = [minion, "localhost"], [core_addresses.form(address), "127.0.0.1"]
    if minion in settings["servers"] and settings["managed_store"]:
        names.append(f"server.{settings['consul']['datacenter']}.consul")
    if minion in settings["managers"]:
        hosts, more = split(settings["tls"]["names"])
        names, addresses = names + hosts, addresses + more
    return pki.Grant(
        minion,
        node_usages(settings),
        tuple(dict.fromkeys(names)),
        tuple(dict.fromkeys(addresses)),
    )


def node_usages(settings: Settings) -> tuple[str, ...]:
    """Return what a node's certificate is for: only a node of classic mode is also a client."""
    apart = ca_state.is_apart(settings)
    return (pki.SERVER,) if apart else (pki.SERVER, pki.CLIENT)


def due_client(minion: str) -> pki.Grant:
    """Return what the certificate of a host's users must contain. Pure."""
    return pki.Grant(f"client of {minion}", (pki.CLIENT,))


def split(names: list[str]) -> tuple[list[str], list[str]]:
    """Split names into host names and IP addresses."""
    hosts, addresses = [], []
    for one in names:
        try:
            addresses.append(str(ipaddress.ip_address(one)))
        except ValueError:
            hosts.append(one)
    return hosts, addresses


def lack(have: Set | None, authority: dict[str, Any], grant: pki.Grant, tls: Tls) -> str | None:
    """
    Return why a host needs a new certificate, ``None`` if it needs none.

    authority
        The CA's record; empty until the CA has published it.

    grant
        What the certificate must contain, no less and no more.
    """
    if not have:
        return "made and signed"
    left = pki.days_left(have.cert)
    if left < tls["renew_days"]:
        return f"renewed, for it was valid for {left:.0f} more day(s)"
    if authority and not _is_of(have, authority, grant):
        return "signed by the new CA"
    if pki.kind(have.key) != tls["key_type"]:
        return f"with a key of the type {tls['key_type']}"
    # Last: the CA's pillar may grant other names than this host's, for good.
    return pki.differs(have.cert, grant)


def _is_of(have: Set, authority: dict[str, Any], grant: pki.Grant) -> bool:
    """Check whether the CA that now signs for nodes, or for clients, has signed a certificate."""
    trust, signer = "trust", "issuer"
    if ca_state.CLIENTS in authority and pki.SERVER not in grant.usages:
        trust, signer = ca_state.CLIENTS, ca_record.CLIENTS_ISSUER
    return bool(pki.issuer(have.cert, authority[trust]) == authority[signer])


def filled(have: Set, authority: dict[str, Any], kind: str) -> Set:
    """Return a set with the CAs and the gossip key of the CA's record."""
    gossip = authority["gossip"] if kind == NODE else ""
    return have._replace(
        ca=authority["trust"], gossip=gossip, clients=authority.get(ca_state.CLIENTS, "")
    )
