"""
Make the records that a swarm's CA and its members publish to each other in Salt's mine.
"""

from collections.abc import Mapping
from typing import Any

from swarm_formula.core.settings_types import Settings
from swarm_formula.tls import ca_state, consul_secrets, pki
from swarm_formula.tls.cert_files import Set

# Names of the values that the CA and the members publish in Salt's mine.
RECORD, REPORT, ACL = "swarm_ca", "swarm_tls", "swarm_acl"
# The key of the fingerprint of the CA that signs for clients, in records and reports.
CLIENTS_ISSUER = "clients_issuer"


def trust(state: dict[str, Any]) -> str:
    """Return the CA certificates that all nodes must trust, the signing one first."""
    following = [state["next"]["cert"]] if state["next"] else []
    return pki.joined([state["ca"]["cert"], *following, *state["old"]])


def record(state: dict[str, Any]) -> dict[str, Any]:
    """Return what the CA publishes to the members; the gossip key is a secret that they share."""
    found = {
        "trust": trust(state),
        "issuer": pki.fingerprint(state["ca"]["cert"]),
        "gossip": state["gossip"],
        ca_state.SERIAL: state.get(ca_state.SERIAL, 0),
        **consul_secrets.published(state, consul_secrets.GOSSIP),
    }
    if clients := state.get(ca_state.CLIENTS):
        found[ca_state.CLIENTS] = trust(clients)
        found[CLIENTS_ISSUER] = pki.fingerprint(clients["ca"]["cert"])
    return found


def management(state: dict[str, Any]) -> dict[str, Any]:
    """Return Consul's management token as the CA publishes it to the servers."""
    return {
        "token": state.get("acl", ""),
        **consul_secrets.published(state, consul_secrets.TOKEN),
    }


def is_complete(authority: dict[str, Any], settings: Settings) -> bool:
    """Check whether a record has all that this mode needs; that of an earlier version has not."""
    return bool(authority) and (ca_state.CLIENTS in authority or not ca_state.is_apart(settings))


def has_signed(authority: dict[str, Any], cert: str) -> bool:
    """Check whether one of the CAs of a record has signed a certificate."""
    bundle = authority["trust"] + authority.get(ca_state.CLIENTS, "")
    return pki.issuer(cert, bundle) is not None


def report(sets: list[Set]) -> dict[str, Any]:
    """
    Return a member's report to the CA, ``{}`` if it has no certificates.

    sets
        All sets that its services may use. The member trusts the CAs that are in every set, and has
        an issuer if it is the same in all: a service uses the old set until it has read a new one.
    """
    if not sets:
        return {}
    trusted = [pki.fingerprints(one.ca + one.clients) for one in sets]
    issuers: dict[str, set[str | None]] = {"issuer": set()}
    for one in sets:
        of_clients = pki.issuer(one.cert, one.clients)
        key = CLIENTS_ISSUER if of_clients else "issuer"
        issuers.setdefault(key, set()).add(of_clients or pki.issuer(one.cert, one.ca))
    return {
        "trusts": [one for one in trusted[0] if all(one in others for others in trusted)],
        **{key: found.pop() if len(found) == 1 else None for key, found in issuers.items()},
    }


def own_reports(state: dict[str, Any], reports: Mapping[str, object]) -> dict[str, object]:
    """
    Return the reports without those of another swarm's members, which trust only its CA.

    Globs in ``swarm:nodes`` may match them. An invalid report stays: it may be of a member.
    """
    texts = [one["cert"] for ca in ca_state.chains(state) for one in (ca["ca"], ca["next"]) if one]
    texts += [one for ca in ca_state.chains(state) for one in ca["old"]]
    known = {pki.fingerprint(one) for one in texts}
    return {minion: said for minion, said in reports.items() if not _is_foreign(said, known)}


def _is_foreign(said: object, known: set[str]) -> bool:
    if not isinstance(said, dict):
        return False
    trusts = said.get("trusts")
    if not isinstance(trusts, list) or not all(isinstance(one, str) for one in trusts):
        return False
    return bool(trusts) and known.isdisjoint([*trusts, str(said.get("issuer"))])
