"""
The CA of a swarm on the minion that keeps it: whom it gives which certificate, and its change.

All it knows is in one file, so that a run which is killed leaves it as it was before or after, and
never in between. Only that minion reads it; its key goes nowhere.
"""

import base64
import ipaddress
import json
import os
import time
import uuid
from typing import NamedTuple

import swarm_address
import swarm_caller
import swarm_errors
import swarm_files
import swarm_nodes
import swarm_pki
from swarm_certs import Set

FILE = swarm_files.CONFIG / "ca.json"
LOCK = "swarm-formula-ca.lock"
# Consul takes 16, 24 or 32 bytes.
_GOSSIP = 32
NODE, CLIENT = "node", "client"
# What the CA and the others tell each other in Salt's mine.
RECORD, REPORT, ACL = "swarm_ca", "swarm_tls", "swarm_acl"


class Asked(NamedTuple):
    """Who asks for which certificate; ``minion`` is the master's word, the rest his own."""

    minion: str
    kind: str
    address: str | None


def load() -> dict:
    """Return what the CA knows, ``{}`` if there is none on this host."""
    return swarm_files.read_json(FILE)


def save(state: dict) -> None:
    """Keep what the CA knows."""
    swarm_files.write(FILE, swarm_files.to_json(state), mode=0o600)


def _new(tls: dict, name: str) -> dict:
    made = swarm_pki.new_authority(name, tls["ca_days"], tls["key_type"])
    return made._asdict()


def found(settings: dict) -> dict:
    """Return a new CA, with a new key for Consul's gossip. Pure but for chance."""
    return {
        "ca": _new(settings["tls"], f"swarm-formula {settings['id']}"),
        "next": None,
        "old": [],
        "rotation": settings["tls"]["ca_rotation"] or 0,
        "gossip": base64.b64encode(os.urandom(_GOSSIP)).decode(),
        "issued": {},
    }


def with_token(state: dict, settings: dict) -> dict:
    """Return the CA with Consul's management token, if pillar wants one. Pure but for chance."""
    consul = settings["consul"]
    if state.get("acl") or not consul["acl"] or consul["acl_token"]:
        return state
    return {**state, "acl": str(uuid.uuid4())}


def trust(state: dict) -> str:
    """Return the certificates that all nodes are to trust, the one that signs first."""
    following = [state["next"]["cert"]] if state["next"] else []
    return swarm_pki.joined([state["ca"]["cert"], *following, *state["old"]])


def record(state: dict) -> dict:
    """Return what the members have to know; the key for gossip is a secret of theirs."""
    return {
        "trust": trust(state),
        "issuer": swarm_pki.fingerprint(state["ca"]["cert"]),
        "gossip": state["gossip"],
    }


def report(sets: list[Set]) -> dict:
    """
    Return what a member tells the CA, ``{}`` if it has nothing.

    sets
        All that its services may be using. It trusts what each of them does, and has an issuer
        once all have the same: before a service has read a new set, it goes by the old one.
    """
    if not sets:
        return {}
    trusted = [swarm_pki.fingerprints(one.ca) for one in sets]
    issuers = {swarm_pki.issuer(one.cert, one.ca) for one in sets}
    return {
        "trusts": [one for one in trusted[0] if all(one in others for others in trusted)],
        "issuer": issuers.pop() if len(issuers) == 1 else None,
    }


def is_changing(state: dict) -> bool:
    """Say whether one CA is being followed by another."""
    return bool(state["next"] or state["old"])


def advanced(state: dict, settings: dict, reports: dict) -> tuple[dict, str | None]:
    """
    Return the CA one step further in its change, and what was done; ``None`` if there is no step.

    First all members trust the new one as well, then they get certificates of it, then they forget
    the old one. A step is made when all of them have made the one before.

    reports
        What the members say they trust and have: ``{minion: {"trusts": [...], "issuer": ...}}``.
    """
    further, step = _next(state, settings, reports)
    return ({**further, "since": int(time.time())} if step else state), step


def _next(state: dict, settings: dict, reports: dict) -> tuple[dict, str | None]:
    rotation = settings["tls"]["ca_rotation"]
    if rotation not in (None, state["rotation"]) and not is_changing(state):
        new = _new(settings["tls"], f"swarm-formula {settings['id']}")
        return {**state, "next": new, "rotation": rotation}, "a new CA is trusted beside the old"
    if lagging(state, reports):
        return state, None
    if state["next"]:
        old = [state["ca"]["cert"]]
        return {**state, "ca": state["next"], "next": None, "old": old}, "the new CA signs"
    if state["old"]:
        return {**state, "old": []}, "the old CA is trusted no more"
    return state, None


def lagging(state: dict, reports: dict) -> list[str]:
    """
    Return the members that have not made the last step of a change yet.

    Each member writes its own report, so it may be anything; what is no report is not there yet.
    """
    if state["next"]:
        key, wanted = "trusts", swarm_pki.fingerprint(state["next"]["cert"])
    elif state["old"]:
        key, wanted = "issuer", swarm_pki.fingerprint(state["ca"]["cert"])
    else:
        return []
    return sorted(one for one, said in reports.items() if not _holds(said, key, wanted))


def waiting(state: dict, reports: dict, me: str) -> str | None:
    """Say whom a change of the CA waits for and since when; ``None`` if for nobody."""
    late = lagging(state, reports)
    if not late:
        return None
    since = state.get("since")
    stamp = time.strftime(" since %Y-%m-%d %H:%M UTC", time.gmtime(since)) if since else ""
    what = "trust the new one" if state["next"] else "have a certificate of the new one"
    names = ", ".join(late)
    return (
        f"the change of the CA waits{stamp} for {names} to {what}: apply swarm there. Those that"
        " will not come back: take them out of pillar and delete their keys (salt-key -d). To shut"
        f" them out at once: salt {me} swarm_ca.advance {' '.join(late)}"
    )


def _holds(said: object, key: str, wanted: str) -> bool:
    value = said.get(key) if isinstance(said, dict) else None
    return wanted == value or (isinstance(value, list) and wanted in value)


def _is_member(minion: str, settings: dict) -> bool:
    return swarm_caller.is_among(minion, swarm_nodes.members(settings))


def _refuse(asked: Asked, why: str) -> swarm_errors.SwarmError:
    return swarm_errors.SwarmError(f"no certificate for {asked.minion}: {why}")


def _address(asked: Asked, settings: dict, issued: dict) -> str:
    """Return the address that a node may be reached at; nobody gets that of another one."""
    places = {**settings["managers"], **settings["servers"]}
    listed = {minion: _form(place) for minion, place in places.items()}
    address = _form(asked.address)
    if address != listed.get(asked.minion):
        try:
            address = swarm_address.canonical(asked.address)
        except ValueError as err:
            why = f"{asked.address!r} is no address that other hosts reach"
            raise _refuse(asked, why) from err
    reserved = _split(settings["tls"]["names"])[1]
    if address in map(_form, reserved) and asked.minion not in settings["managers"]:
        raise _refuse(asked, f"{address} is one of the managers' (swarm:tls:names)")
    me = settings["id"]
    due = listed.get(asked.minion)
    if due and due != address:
        cure = (
            f"if {address} is right, say so in the pillar of all, e.g. swarm: {{managers:"
            f" {{{asked.minion}: {address}}}}}; else correct swarm:address of {asked.minion}"
        )
        raise _refuse(asked, f"it says it has {address}, and {me} knows it by {due}: {cure}")
    others = {**{minion: _form(place) for minion, place in issued.items()}, **listed}
    owner = next((one for one, it in others.items() if it == address and one != asked.minion), None)
    if owner:
        cure = f"if {owner} is gone: salt {me} swarm_ca.forget {owner}"
        raise _refuse(asked, f"it asks for {address}, which is that of {owner}; {cure}")
    return address


def _form(address: str) -> str:
    """Return an address of pillar in the form in which addresses are compared."""
    try:
        return swarm_address.canonical(address)
    except ValueError:
        # Such as loopback, in a swarm of one host.
        return address


def _split(names: list[str]) -> tuple[list[str], list[str]]:
    """Return host names and addresses, apart."""
    hosts, addresses = [], []
    for one in names:
        try:
            addresses.append(str(ipaddress.ip_address(one)))
        except ValueError:
            hosts.append(one)
    return hosts, addresses


def due(minion: str, address: str, settings: dict) -> swarm_pki.Grant:
    """Return what the certificate of a node says, by its roles in pillar. Pure."""
    # Loopback is where a node asks its own Consul.
    names, addresses = [minion, "localhost"], [_form(address), "127.0.0.1"]
    if minion in settings["servers"] and settings["own_store"]:
        names.append(f"server.{settings['consul']['datacenter']}.consul")
    if minion in settings["managers"]:
        hosts, more = _split(settings["tls"]["names"])
        names, addresses = names + hosts, addresses + more
    return swarm_pki.Grant(minion, tuple(dict.fromkeys(names)), tuple(dict.fromkeys(addresses)))


def granted(asked: Asked, settings: dict, issued: dict) -> swarm_pki.Grant:
    """
    Return what a certificate for this minion may say; an error if it gets none. Pure.

    settings
        Of the CA's own minion: who is a member is said by its pillar, not by who asks.

    issued
        ``{minion: address}`` of the certificates so far.
    """
    me = settings["id"]
    if not _is_member(asked.minion, settings):
        cure = f"if it is to be one, e.g. swarm: {{nodes: {{{asked.minion}: {{}}}}}} in that pillar"
        raise _refuse(asked, f"the pillar of {me}, the CA, does not name it as a node: {cure}")
    if asked.kind == CLIENT:
        if asked.minion not in settings["client"]["nodes"]:
            raise _refuse(asked, f"swarm:client:nodes in the pillar of {me} does not name it")
        return swarm_pki.Grant(f"client of {asked.minion}", server=False)
    if asked.kind != NODE:
        raise _refuse(asked, f"there is no kind {asked.kind!r} of it")
    reserved = {"localhost", *_split(settings["tls"]["names"])[0]}
    if asked.minion in reserved and asked.minion not in settings["managers"]:
        raise _refuse(asked, "its ID is a name of the managers (swarm:tls:names), or of every host")
    return due(asked.minion, _address(asked, settings, issued), settings)


def issue(asked: Asked, request: str, settings: dict, state: dict) -> tuple[dict, str]:
    """Return the CA with a note of what it has issued, and the certificate."""
    grant = granted(asked, settings, state["issued"])
    authority = swarm_pki.Authority(**state["ca"])
    cert = swarm_pki.sign(request, authority, grant, settings["tls"]["days"])
    if asked.kind == NODE:
        issued = {**state["issued"], asked.minion: grant.addresses[0]}
        state = {**state, "issued": issued}
    return state, cert


def lack(have: Set | None, authority: dict, grant: swarm_pki.Grant, tls: dict) -> str | None:
    """
    Return why a host needs a new certificate, ``None`` if it needs none.

    authority
        The CA's record; empty while it has not told.

    grant
        What the certificate has to say, no less and no more.
    """
    if not have:
        return "made and signed"
    left = swarm_pki.days_left(have.cert)
    if left < tls["renew_days"]:
        return f"renewed, for it was valid for {left:.0f} more day(s)"
    if authority and swarm_pki.issuer(have.cert, authority["trust"]) != authority["issuer"]:
        return "signed by the new CA"
    if wrong := swarm_pki.differs(have.cert, grant):
        return wrong
    if swarm_pki.kind(have.key) != tls["key_type"]:
        return f"with a key of the type {tls['key_type']}"
    return None


def parsed(request: object) -> dict:
    """Return a minion's request, ``{"csr", "kind", "address"}``; an error for anything else."""
    keys = {"csr", "kind", "address"}
    shaped = isinstance(request, dict) and set(request) == keys
    if not shaped or not all(isinstance(one, str) for one in request.values()):
        raise swarm_errors.SwarmError(
            f"a request for a certificate is a mapping of {', '.join(sorted(keys))}, found"
            f" {json.dumps(request, default=str)[:80]}"
        )
    return request
