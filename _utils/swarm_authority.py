"""
Keep the state of a swarm's CA, issue its certificates, and rotate it.

The whole state is in one file, so that a killed run leaves either the old or the new state, never a
mixture. Only the CA's minion reads the file; the key leaves that host only encrypted for a manager,
see ``swarm_copy``.
"""

import ipaddress
import json
import time
from collections.abc import Callable
from typing import NamedTuple

import swarm_address
import swarm_errors
import swarm_files
import swarm_member_rules
import swarm_pki
import swarm_renewal
from swarm_certs import Set

FILE = swarm_files.CONFIG / "ca.json"
LOCK = "swarm-formula-ca.lock"
NODE, CLIENT = "node", "client"
# The key of the clients' CA in the state and in the record, and the end of its name.
_CLIENTS, _OF_CLIENTS = "clients", " clients"
# The key of the fingerprint of the CA that signs for clients, in records and reports.
_CLIENTS_ISSUER = "clients_issuer"
# The key of the addresses in certificates that have not expired, {member: {address: end}}, and how
# many a member may have: each is reserved for it until the certificate expires.
_GRANTS, _MOST_GRANTS = "grants", 8
# The key of the number of the state, which grows with each change.
SERIAL = "serial"
# Names of the values that the CA and the members publish in Salt's mine.
RECORD, REPORT, ACL = "swarm_ca", "swarm_tls", "swarm_acl"


class Asked(NamedTuple):
    """A certificate request; ``minion`` comes from the master, the rest from the minion itself."""

    minion: str
    kind: str
    address: str | None


def load() -> dict:
    """Return the state of the CA, ``{}`` if there is none on this host."""
    return swarm_files.read_json(FILE)


def save(state: dict) -> None:
    """Write the state of the CA; its serial tells the newer one of two copies."""
    state = {**state, SERIAL: state.get(SERIAL, 0) + 1}
    swarm_files.write(FILE, swarm_files.to_json(state), mode=0o600)


def _new(settings: dict, what: str = "") -> dict:
    tls, name = settings["tls"], f"swarm-formula {settings['id']}{what}"
    return swarm_pki.new_authority(name, tls["ca_days"], tls["key_type"])._asdict()


def found(settings: dict) -> dict:
    """Return a new CA with a gossip key for Consul. Pure except for random values and the time."""
    state = {
        "ca": _new(settings),
        "next": None,
        "old": [],
        "rotation": settings["tls"]["ca_rotation"] or 0,
        "gossip": swarm_renewal.made(swarm_renewal.GOSSIP),
        "issued": {},
    }
    return with_clients(state, settings)


def _is_apart(settings: dict) -> bool:
    """
    Check whether clients have a CA of their own, the only one that engines accept clients of.

    In builtin mode, a node is only a server: its certificate must open no other engine, and neither
    must one that an earlier version signed for server and client. In classic mode, each node is a
    client of Consul and of the managers.
    """
    return settings["mode"] == "builtin"


def with_clients(state: dict, settings: dict) -> dict:
    """Return the CA, with a second one for clients if needed. Pure except for its key."""
    if state.get(_CLIENTS) or not _is_apart(settings):
        return state
    return {**state, _CLIENTS: {"ca": _new(settings, _OF_CLIENTS), "next": None, "old": []}}


def _chains(state: dict) -> list[dict]:
    """Return the CAs: the nodes', and the clients' if they have their own."""
    return [state, *([state[_CLIENTS]] if state.get(_CLIENTS) else [])]


def with_token(state: dict, settings: dict) -> dict:
    """Return the CA, with Consul's management token if needed. Pure except for the random token."""
    consul = settings["consul"]
    if state.get("acl") or not consul["acl"] or consul["acl_token"]:
        return state
    return {**state, "acl": swarm_renewal.made(swarm_renewal.TOKEN)}


def trust(state: dict) -> str:
    """Return the CA certificates that all nodes must trust, the signing one first."""
    following = [state["next"]["cert"]] if state["next"] else []
    return swarm_pki.joined([state["ca"]["cert"], *following, *state["old"]])


def record(state: dict) -> dict:
    """Return what the CA publishes to the members; the gossip key is a secret that they share."""
    found = {
        "trust": trust(state),
        "issuer": swarm_pki.fingerprint(state["ca"]["cert"]),
        "gossip": state["gossip"],
        SERIAL: state.get(SERIAL, 0),
        **swarm_renewal.published(state, swarm_renewal.GOSSIP),
    }
    if clients := state.get(_CLIENTS):
        found[_CLIENTS] = trust(clients)
        found[_CLIENTS_ISSUER] = swarm_pki.fingerprint(clients["ca"]["cert"])
    return found


def management(state: dict) -> dict:
    """Return Consul's management token as the CA publishes it to the servers."""
    return {
        "token": state.get("acl", ""),
        **swarm_renewal.published(state, swarm_renewal.TOKEN),
    }


def is_complete(authority: dict, settings: dict) -> bool:
    """Check whether a record has all that this mode needs; that of an earlier version has not."""
    return bool(authority) and (_CLIENTS in authority or not _is_apart(settings))


def filled(have: Set, authority: dict, kind: str) -> Set:
    """Return a set with the CAs and the gossip key of the CA's record."""
    gossip = authority["gossip"] if kind == NODE else ""
    return have._replace(ca=authority["trust"], gossip=gossip, clients=authority.get(_CLIENTS, ""))


def report(sets: list[Set]) -> dict:
    """
    Return a member's report to the CA, ``{}`` if it has no certificates.

    sets
        All sets that its services may use. The member trusts the CAs that are in every set, and has
        an issuer if it is the same in all: a service uses the old set until it has read a new one.
    """
    if not sets:
        return {}
    trusted = [swarm_pki.fingerprints(one.ca + one.clients) for one in sets]
    issuers = {"issuer": set()}
    for one in sets:
        of_clients = swarm_pki.issuer(one.cert, one.clients)
        key = _CLIENTS_ISSUER if of_clients else "issuer"
        issuers.setdefault(key, set()).add(of_clients or swarm_pki.issuer(one.cert, one.ca))
    return {
        "trusts": [one for one in trusted[0] if all(one in others for others in trusted)],
        **{key: found.pop() if len(found) == 1 else None for key, found in issuers.items()},
    }


def is_changing(state: dict) -> bool:
    """Check whether a rotation of the CA is in progress."""
    return bool(state["next"] or state["old"])


def begun(state: dict, settings: dict) -> dict:
    """Return the CA with a rotation in progress: that of now, or a new one."""
    if is_changing(state):
        return state
    following = _in_each(state, lambda _, what: {"next": _new(settings, what)})
    return {**following, "since": int(time.time())}


def advanced(state: dict, settings: dict, reports: dict) -> tuple[dict, str | None]:
    """
    Return the CA one step further in its rotation, and that step; ``None`` if there is no step.

    First, all members trust the new CA as well; then they get certificates signed by it; then they
    remove the old CA. A step is taken when all members have completed the previous one.

    reports
        Reports of the members: ``{minion: {"trusts": [...], "issuer": ...}}``.
    """
    further, step = _next(state, settings, reports)
    return ({**further, "since": int(time.time())} if step else state), step


def _next(state: dict, settings: dict, reports: dict) -> tuple[dict, str | None]:
    rotation = settings["tls"]["ca_rotation"]
    if rotation not in (None, state["rotation"]) and not is_changing(state):
        begun = _in_each(
            {**state, "rotation": rotation}, lambda _, what: {"next": _new(settings, what)}
        )
        return begun, "a new CA is trusted beside the old"
    if lagging(state, reports):
        return state, None
    if state["next"]:
        return followed(state), "the new CA signs"
    if state["old"]:
        return _in_each(state, lambda *_: {"old": []}), "the old CA is trusted no more"
    return state, None


def followed(state: dict) -> dict:
    """Return the CA with the new one as the one that signs, and the old one only trusted."""
    return _in_each(state, _followed)


def _in_each(state: dict, change: Callable[[dict, str], dict]) -> dict:
    """Return a state with ``change(chain, end of the CA's name)`` in the chain of each CA."""
    state = {**state, **change(state, "")}
    if clients := state.get(_CLIENTS):
        state[_CLIENTS] = {**clients, **change(clients, _OF_CLIENTS)}
    return state


def _followed(chain: dict, _: str) -> dict:
    # The clients' CA may be newer than the change that is in progress.
    if not chain["next"]:
        return {}
    return {"ca": chain["next"], "next": None, "old": [chain["ca"]["cert"]]}


def own_reports(state: dict, reports: dict) -> dict:
    """
    Return the reports without those of another swarm's members, which trust only its CA.

    Globs in ``swarm:nodes`` may match them. An invalid report stays: it may be of a member.
    """
    texts = [one["cert"] for ca in _chains(state) for one in (ca["ca"], ca["next"]) if one]
    texts += [one for ca in _chains(state) for one in ca["old"]]
    known = {swarm_pki.fingerprint(one) for one in texts}
    return {minion: said for minion, said in reports.items() if not _is_foreign(said, known)}


def _is_foreign(said: object, known: set[str]) -> bool:
    trusts = said.get("trusts") if isinstance(said, dict) else None
    if not isinstance(trusts, list) or not all(isinstance(one, str) for one in trusts):
        return False
    return bool(trusts) and known.isdisjoint([*trusts, str(said.get("issuer"))])


def lagging(state: dict, reports: dict) -> list[str]:
    """
    Return the members that have not completed the last step of a rotation.

    Each member writes its own report, so it may be any value; an invalid one counts as late.
    """
    if state["next"]:
        following = [one["next"] for one in _chains(state) if one["next"]]
        wanted = [("trusts", swarm_pki.fingerprint(one["cert"])) for one in following]
    elif state["old"]:
        issuers = zip(("issuer", _CLIENTS_ISSUER), _chains(state), strict=False)
        wanted = [(key, swarm_pki.fingerprint(one["ca"]["cert"])) for key, one in issuers]
    else:
        return []
    return sorted(one for one, said in reports.items() if not _holds_all(said, wanted))


def waiting(state: dict, reports: dict, me: str) -> str | None:
    """Return which members a rotation of the CA waits for and since when, ``None`` if for none."""
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


def _holds_all(said: object, wanted: list[tuple[str, str]]) -> bool:
    # Most members have no client's certificate.
    no_client = isinstance(said, dict) and _CLIENTS_ISSUER not in said
    return all(
        _holds(said, key, one) or (no_client and key == _CLIENTS_ISSUER) for key, one in wanted
    )


def _holds(said: object, key: str, wanted: str) -> bool:
    value = said.get(key) if isinstance(said, dict) else None
    return wanted == value or (isinstance(value, list) and wanted in value)


def _refuse(asked: Asked, why: str) -> swarm_errors.SwarmError:
    return swarm_errors.SwarmError(f"no certificate for {asked.minion}: {why}")


def _address(asked: Asked, settings: dict, held: dict[str, set[str]]) -> str:
    """
    Return the address for a node's certificate; raise an error if another minion has it.

    held
        The addresses in certificates issued so far: ``{minion: addresses}``.
    """
    places = {**settings["managers"], **settings["servers"]}
    listed = {minion: swarm_address.form(place) for minion, place in places.items()}
    address = swarm_address.form(asked.address)
    if address != listed.get(asked.minion):
        try:
            address = swarm_address.canonical(asked.address)
        except ValueError as err:
            why = f"{asked.address!r} is no address that other hosts reach"
            raise _refuse(asked, why) from err
    reserved = _split(settings["tls"]["names"])[1]
    if address in map(swarm_address.form, reserved) and asked.minion not in settings["managers"]:
        raise _refuse(asked, f"{address} is one of the managers' (swarm:tls:names)")
    me = settings["id"]
    due = listed.get(asked.minion)
    if due and due != address:
        cure = (
            f"if {address} is right, say so in the pillar of all, e.g. swarm: {{managers:"
            f" {{{asked.minion}: {address}}}}}; else correct swarm:address of {asked.minion}"
        )
        raise _refuse(asked, f"it says it has {address}, and {me} knows it by {due}: {cure}")
    if owner := _owner(address, asked.minion, listed, held):
        cure = f"if {owner} is gone: salt {me} swarm_ca.forget {owner}"
        raise _refuse(asked, f"it asks for {address}, which is that of {owner}; {cure}")
    own = held.get(asked.minion, set())
    if not due and address not in own and len(own) >= _MOST_GRANTS:
        cure = f"if it really moves so often: salt {me} swarm_ca.forget {asked.minion}"
        raise _refuse(asked, f"it has certificates for {len(own)} other addresses; {cure}")
    return address


def _owner(
    address: str, minion: str, listed: dict[str, str], held: dict[str, set[str]]
) -> str | None:
    """Return another member that has an address by the pillar or in a certificate."""
    by_pillar = (one for one, place in listed.items() if place == address)
    by_grant = (one for one, places in held.items() if address in map(swarm_address.form, places))
    return next((one for one in (*by_pillar, *by_grant) if one != minion), None)


def _held(state: dict, now: float) -> dict[str, set[str]]:
    """Return the addresses that are reserved: the last of each member, and all unexpired ones."""
    found = {minion: {swarm_address.form(address)} for minion, address in state["issued"].items()}
    for minion, grants in state.get(_GRANTS, {}).items():
        found.setdefault(minion, set()).update(
            address for address, end in grants.items() if end > now
        )
    return found


def _noted(state: dict, minion: str, address: str, end: float, now: float) -> dict:
    """Return the state with a certificate's address, without the certificates that have expired."""
    grants = {
        one: {place: until for place, until in places.items() if until > now}
        for one, places in state.get(_GRANTS, {}).items()
    }
    own = grants.setdefault(minion, {})
    # A shorter tls:days must not free the address while an earlier certificate is valid.
    own[address] = max(end, own.get(address, 0))
    grants = {one: places for one, places in grants.items() if places}
    return {**state, "issued": {**state["issued"], minion: address}, _GRANTS: grants}


def without(state: dict, minion: str) -> dict:
    """Return the state without a minion's addresses."""
    issued, grants = (
        {one: value for one, value in state.get(key, {}).items() if one != minion}
        for key in ("issued", _GRANTS)
    )
    return {**state, "issued": issued, _GRANTS: grants}


def _split(names: list[str]) -> tuple[list[str], list[str]]:
    """Split names into host names and IP addresses."""
    hosts, addresses = [], []
    for one in names:
        try:
            addresses.append(str(ipaddress.ip_address(one)))
        except ValueError:
            hosts.append(one)
    return hosts, addresses


def due(minion: str, address: str, settings: dict) -> swarm_pki.Grant:
    """Return what a node's certificate must contain, by its roles and the mode. Pure."""
    # A node connects to its own Consul over loopback.
    names, addresses = [minion, "localhost"], [swarm_address.form(address), "127.0.0.1"]
    if minion in settings["servers"] and settings["own_store"]:
        names.append(f"server.{settings['consul']['datacenter']}.consul")
    if minion in settings["managers"]:
        hosts, more = _split(settings["tls"]["names"])
        names, addresses = names + hosts, addresses + more
    return swarm_pki.Grant(
        minion,
        node_usages(settings),
        tuple(dict.fromkeys(names)),
        tuple(dict.fromkeys(addresses)),
    )


def node_usages(settings: dict) -> tuple[str, ...]:
    """Return what a node's certificate is for: only a node of classic mode is also a client."""
    return (swarm_pki.SERVER,) if _is_apart(settings) else (swarm_pki.SERVER, swarm_pki.CLIENT)


def due_client(minion: str) -> swarm_pki.Grant:
    """Return what the certificate of a host's users must contain. Pure."""
    return swarm_pki.Grant(f"client of {minion}", (swarm_pki.CLIENT,))


def granted(asked: Asked, settings: dict, held: dict[str, set[str]]) -> swarm_pki.Grant:
    """
    Return what a certificate for this minion may contain; raise an error if it gets none. Pure.

    settings
        Settings of the CA's own minion: its pillar names the members, not the request.

    held
        Addresses in the certificates issued so far: ``{minion: addresses}``.
    """
    me = settings["id"]
    if not settings["is_ca"]:
        # Its key may still be there: of a swarm that has other certificates by now, or none.
        raise _refuse(asked, f"{me} is not the CA by its pillar (swarm:tls)")
    if not swarm_member_rules.is_member(asked.minion, settings):
        cure = f"if it is to be one, e.g. swarm: {{nodes: {{{asked.minion}: {{}}}}}} in that pillar"
        raise _refuse(asked, f"the pillar of {me}, the CA, does not name it as a node: {cure}")
    if asked.kind == CLIENT:
        if asked.minion not in settings["client"]["nodes"]:
            raise _refuse(asked, f"swarm:client:nodes in the pillar of {me} does not name it")
        return due_client(asked.minion)
    if asked.kind != NODE:
        raise _refuse(asked, f"there is no kind {asked.kind!r} of it")
    reserved = {"localhost", *_split(settings["tls"]["names"])[0]}
    if asked.minion in reserved and asked.minion not in settings["managers"]:
        raise _refuse(asked, "its ID is a name of the managers (swarm:tls:names), or of every host")
    grant = due(asked.minion, _address(asked, settings, held), settings)
    _refuse_shared(asked, settings, held)
    return grant


def _refuse_shared(asked: Asked, settings: dict, held: dict[str, set[str]]) -> None:
    """Raise an error if a manager would get another member's ID or address as one more name."""
    if asked.minion not in settings["managers"]:
        return
    hosts, addresses = _split(settings["tls"]["names"])
    places = {**settings["managers"], **settings["servers"]}
    listed = {minion: swarm_address.form(place) for minion, place in places.items()}
    members = {*places, *held}
    shared = {one: one for one in hosts if one in members and one != asked.minion}
    for one in addresses:
        if owner := _owner(swarm_address.form(one), asked.minion, listed, held):
            shared[one] = owner
    if shared:
        texts = ", ".join(f"{one} is that of {owner}" for one, owner in shared.items())
        raise _refuse(asked, f"in swarm:tls:names, {texts}: take it out there")


def issue(asked: Asked, request: str, settings: dict, state: dict) -> tuple[dict, str]:
    """Sign a request; return the CA's state, with the address recorded, and the certificate."""
    now = time.time()
    grant = granted(asked, settings, _held(state, now))
    chain = state
    if asked.kind == CLIENT and _is_apart(settings) and not (chain := state.get(_CLIENTS)):
        raise _refuse(asked, f"there is no CA for clients yet: apply swarm on {settings['id']}")
    authority = swarm_pki.Authority(**chain["ca"])
    cert = swarm_pki.sign(request, authority, grant, settings["tls"]["days"])
    if asked.kind == NODE:
        end = now + swarm_pki.days_left(cert) * 86400
        state = _noted(state, asked.minion, grant.addresses[0], end, now)
    return state, cert


def lack(have: Set | None, authority: dict, grant: swarm_pki.Grant, tls: dict) -> str | None:
    """
    Return why a host needs a new certificate, ``None`` if it needs none.

    authority
        The CA's record; empty until the CA has published it.

    grant
        What the certificate must contain, no less and no more.
    """
    if not have:
        return "made and signed"
    left = swarm_pki.days_left(have.cert)
    if left < tls["renew_days"]:
        return f"renewed, for it was valid for {left:.0f} more day(s)"
    if authority and not _is_of(have, authority, grant):
        return "signed by the new CA"
    if swarm_pki.kind(have.key) != tls["key_type"]:
        return f"with a key of the type {tls['key_type']}"
    # Last: the CA's pillar may grant other names than this host's, for good.
    return swarm_pki.differs(have.cert, grant)


def _is_of(have: Set, authority: dict, grant: swarm_pki.Grant) -> bool:
    """Check whether the CA that now signs for nodes, or for clients, has signed a certificate."""
    bundle, issuer = authority["trust"], authority["issuer"]
    if _CLIENTS in authority and swarm_pki.SERVER not in grant.usages:
        bundle, issuer = authority[_CLIENTS], authority[_CLIENTS_ISSUER]
    return swarm_pki.issuer(have.cert, bundle) == issuer


def parsed(request: object) -> dict:
    """Return a request, ``{"csr", "kind", "address"}``; raise an error for any other value."""
    keys = {"csr", "kind", "address"}
    shaped = isinstance(request, dict) and set(request) == keys
    if not shaped or not all(isinstance(one, str) for one in request.values()):
        raise swarm_errors.SwarmError(
            f"a request for a certificate is a mapping of {', '.join(sorted(keys))}, found"
            f" {json.dumps(request, default=str)[:80]}"
        )
    return request
