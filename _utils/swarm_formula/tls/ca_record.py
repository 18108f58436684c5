"""
Make the records that a swarm's CA and its members publish to each other in Salt's mine.
"""

from collections.abc import Mapping
from typing import Any

from swarm_formula.core import pem_text
from swarm_formula.core.settings_types import Settings
from swarm_formula.tls import ca_state, consul_secrets
from swarm_formula.tls.cert_files import Set

# Names of the values that the CA and the members publish in Salt's mine.
RECORD, REPORT, ACL = "swarm_ca", "swarm_tls", "swarm_acl"


def trust_key(chain: str) -> str:
    """Return the key of the certificates of a CA in the record."""
    return chain or "trust"


def issuer_key(chain: str) -> str:
    """Return the key of the fingerprint of the CA that signs, in records and reports."""
    return f"{chain}_issuer" if chain else "issuer"


def trust(state: dict[str, Any]) -> str:
    """Return the CA certificates that all nodes must trust, the signing one first."""
    following = [state["next"]["cert"]] if state["next"] else []
    return pem_text.joined([state["ca"]["cert"], *following, *state["old"]])


def record(state: dict[str, Any]) -> dict[str, Any]:
    """Return what the CA publishes to the members; the gossip key is a secret that they share."""
    found = {
        "gossip": state["gossip"],
        ca_state.SERIAL: state.get(ca_state.SERIAL, 0),
        **consul_secrets.published(state, consul_secrets.GOSSIP),
    }
    for key, chain in ca_state.chains(state).items():
        found[trust_key(key)] = trust(chain)
        found[issuer_key(key)] = pem_text.fingerprint(chain["ca"]["cert"])
    return found


def management(state: dict[str, Any]) -> dict[str, Any]:
    """Return Consul's management token as the CA publishes it to the servers."""
    return {
        "token": state.get("acl", ""),
        **consul_secrets.published(state, consul_secrets.TOKEN),
    }


def is_complete(authority: dict[str, Any], settings: Settings) -> bool:
    """Check whether a record has all that this mode needs; that of an earlier version has not."""
    return bool(authority) and not lacking(authority, settings)


def lacking(authority: dict[str, Any], settings: Settings) -> list[str]:
    """Return the keys of the CAs apart that this mode needs and a record does not have."""
    return [key for key in ca_state.apart(settings) if key not in authority]


def has_signed(authority: dict[str, Any], cert: str) -> bool:
    """Check whether one of the CAs of a record has signed a certificate."""
    from swarm_formula.tls import pki

    bundle = "".join(authority.get(trust_key(one), "") for one in ("", *ca_state.APART))
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
    trusted = [
        dict.fromkeys(pem_text.fingerprints(one.ca + one.clients + one.consul_ca)) for one in sets
    ]
    issuers: dict[str, set[str | None]] = {issuer_key(""): set()}
    for one in sets:
        for chain, signer in _signers(one).items():
            issuers.setdefault(issuer_key(chain), set()).add(signer)
    return {
        "trusts": [one for one in trusted[0] if all(one in others for others in trusted)],
        **{key: found.pop() if len(found) == 1 else None for key, found in issuers.items()},
    }


def _signers(one: Set) -> dict[str, str | None]:
    """Return the CAs that have signed the certificates of a set, by the keys of the CAs."""
    from swarm_formula.tls import pki

    of_clients = pki.issuer(one.cert, one.clients)
    chain = ca_state.CLIENTS if of_clients else ""
    found = {chain: of_clients or pki.issuer(one.cert, one.ca)}
    if consul := one.for_consul():
        found[ca_state.CONSUL] = pki.issuer(consul.cert, consul.ca)
    return found


def own_reports(state: dict[str, Any], reports: Mapping[str, object]) -> dict[str, object]:
    """
    Return the reports without those of another swarm's members, which trust only its CA.

    Globs in ``swarm:nodes`` may match them. An invalid report stays: it may be of a member.
    """
    chains = ca_state.chains(state).values()
    texts = [one["cert"] for ca in chains for one in (ca["ca"], ca["next"]) if one]
    texts += [one for ca in chains for one in ca["old"]]
    known = {pem_text.fingerprint(one) for one in texts}
    return {minion: said for minion, said in reports.items() if not _is_foreign(said, known)}


def _is_foreign(said: object, known: set[str]) -> bool:
    if not isinstance(said, dict):
        return False
    trusts = said.get("trusts")
    if not isinstance(trusts, list) or not all(isinstance(one, str) for one in trusts):
        return False
    return bool(trusts) and known.isdisjoint([*trusts, str(said.get("issuer"))])
