"""
Decide what a host's certificate must contain, and whether the host needs a new one.
"""

import ipaddress
from typing import Any

from swarm_formula.core import addresses as core_addresses
from swarm_formula.core import modes
from swarm_formula.core.settings_types import Settings, Tls
from swarm_formula.tls import ca_record, ca_request, ca_state, cert_files
from swarm_formula.tls.cert_files import Files, Set

# The kinds of certificates, as a request names them, and the CAs apart that sign them.
NODE, CLIENT, CONSUL = "node", "client", ca_request.MORE
STORES = {NODE: cert_files.NODE, CLIENT: cert_files.CLIENT}
_CHAINS = {CLIENT: ca_state.CLIENTS, CONSUL: ca_state.CONSUL}


def chain(kind: str, settings: Settings) -> str:
    """Return the key of the CA that signs certificates of a kind."""
    key = _CHAINS.get(kind, "")
    return key if key in ca_state.apart(settings) else ""


def of_nodes(settings: Settings) -> tuple[str, ...]:
    """Return the kinds of certificates that each node has."""
    return (NODE, CONSUL) if ca_state.CONSUL in ca_state.apart(settings) else (NODE,)


def consul_files(settings: Settings, files: Files) -> Files:
    """Return the files for Consul and its clients; the user's own are the same for all."""
    signed = settings["tls"]["ca"] and CONSUL in of_nodes(settings)
    return files.for_consul() if signed else files


def due(minion: str, address: str, settings: Settings, kind: str = NODE) -> ca_request.Grant:
    """Return what a certificate of a node must contain, by its roles and the mode. Pure."""
    # A node connects to its own Consul over loopback.
    names, addresses = [minion, "localhost"], [core_addresses.form(address), "127.0.0.1"]
    if kind == CONSUL and minion in settings["servers"]:
        names.append(f"server.{settings['consul']['datacenter']}.consul")
    if kind == NODE:
        hosts, more = split([one for names in shared(minion, settings).values() for one in names])
        names, addresses = names + hosts, addresses + more
    apart = modes.of(settings).clients_apart
    is_client = kind == CONSUL or (not apart and minion in settings["managers"])
    return ca_request.Grant(
        minion,
        (ca_request.SERVER, ca_request.CLIENT) if is_client else (ca_request.SERVER,),
        tuple(dict.fromkeys(names)),
        tuple(dict.fromkeys(addresses)),
    )


def shared(minion: str, settings: Settings) -> dict[str, list[str]]:
    """Return ``{pillar path: names and addresses}`` that a node has for its roles. Pure."""
    found = {}
    if minion in settings["managers"]:
        found["swarm:tls:names"] = settings["tls"]["names"]
    if minion == settings["registry"]["node"]:
        found["swarm:registry:names"] = settings["registry"]["names"]
    return found


def own_usages(settings: Settings) -> tuple[str, ...]:
    """Return what a certificate of the user's own is for: in classic mode, Consul uses it too."""
    both = (ca_request.SERVER, ca_request.CLIENT)
    return both[:1] if modes.of(settings).clients_apart else both


def due_client(minion: str) -> ca_request.Grant:
    """Return what the certificate of a host's users must contain. Pure."""
    return ca_request.Grant(f"client of {minion}", (ca_request.CLIENT,))


def split(names: list[str]) -> tuple[list[str], list[str]]:
    """Split names into host names and IP addresses."""
    hosts, addresses = [], []
    for one in names:
        try:
            addresses.append(str(ipaddress.ip_address(one)))
        except ValueError:
            hosts.append(one)
    return hosts, addresses


def lack(
    have: Set | None, authority: dict[str, Any], grant: ca_request.Grant, tls: Tls, signer: str = ""
) -> str | None:
    """
    Return why a host needs a new certificate, ``None`` if it needs none.

    authority
        The CA's record; empty until the CA has published it.

    grant
        What the certificate must contain, no less and no more.

    signer
        Key of the CA that signs it.
    """
    from swarm_formula.tls import pki

    if not have:
        return "made and signed"
    left = pki.days_left(have.cert)
    if left < tls["renew_days"]:
        return f"renewed, for it was valid for {left:.0f} more day(s)"
    if authority and not _is_of(have, authority, signer):
        return "signed by the new CA"
    if pki.kind(have.key) != tls["key_type"]:
        return f"with a key of the type {tls['key_type']}"
    # Last: the CA's pillar may grant other names than this host's, for good.
    return pki.differs(have.cert, grant)


def _is_of(have: Set, authority: dict[str, Any], signer: str) -> bool:
    """Check whether the CA that now signs such certificates has signed this one."""
    from swarm_formula.tls import pki

    # The record of an earlier version has no CA apart; only in a dry run, others wait for it.
    trust = authority.get(ca_record.trust_key(signer), authority["trust"])
    now = authority.get(ca_record.issuer_key(signer), authority["issuer"])
    return bool(pki.issuer(have.cert, trust) == now)


def filled(have: Set, authority: dict[str, Any], kind: str) -> Set:
    """Return a set with the CAs and the gossip key of the CA's record."""
    gossip = authority["gossip"] if kind == NODE else ""
    return have._replace(
        ca=authority["trust"],
        gossip=gossip,
        clients=authority.get(ca_state.CLIENTS, ""),
        consul_ca=authority.get(ca_state.CONSUL, ""),
    )
