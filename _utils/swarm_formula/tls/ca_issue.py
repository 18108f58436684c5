"""
Decide which certificate the CA issues on a request, and sign it.
"""

import time
from typing import Any

from swarm_formula.core import member_rules
from swarm_formula.core.settings_types import Settings
from swarm_formula.tls import ca_addresses, ca_request, ca_state, certificate_due, pki
from swarm_formula.tls.ca_request import Asked


def granted(asked: Asked, settings: Settings, held: dict[str, set[str]]) -> ca_request.Grant:
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
        raise asked.refused(f"{me} is not the CA by its pillar (swarm:tls)")
    if not member_rules.is_member(asked.minion, settings):
        cure = f"if it is to be one, e.g. swarm: {{nodes: {{{asked.minion}: {{}}}}}} in that pillar"
        raise asked.refused(f"the pillar of {me}, the CA, does not name it as a node: {cure}")
    if asked.kind == certificate_due.CLIENT:
        if asked.minion not in settings["client"]["nodes"]:
            raise asked.refused(f"swarm:client:nodes in the pillar of {me} does not name it")
        return certificate_due.due_client(asked.minion)
    if asked.kind not in (certificate_due.NODE, certificate_due.CONSUL):
        raise asked.refused(f"there is no kind {asked.kind!r} of it")
    if asked.kind not in certificate_due.of_nodes(settings):
        cure = f"give {me} the same swarm:mode and swarm:store in pillar as {asked.minion}"
        raise asked.refused(f"{me}, the CA, has no Consul by its pillar: {cure}")
    ca_addresses.refuse_name(asked, settings)
    address = ca_addresses.checked(asked, settings, held)
    grant = certificate_due.due(asked.minion, address, settings, asked.kind)
    ca_addresses.refuse_shared(asked, settings, held)
    return grant


def issue(
    asked: Asked, request: str, settings: Settings, state: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    """Sign a request; return the CA's state, with the address recorded, and the certificate."""
    now = time.time()
    grant = granted(asked, settings, ca_addresses.reserved(state, now))
    key = certificate_due.chain(asked.kind, settings)
    chain = ca_state.chains(state).get(key)
    if not chain:
        what = ca_state.TITLES[key]
        raise asked.refused(f"there is no {what} yet: apply swarm on {settings['id']}")
    authority = pki.Authority(**chain["ca"])
    cert = pki.sign(request, authority, grant, settings["tls"]["days"])
    if grant.addresses:
        end = now + pki.days_left(cert) * 86400
        state = ca_addresses.noted(state, asked.minion, grant.addresses[0], end, now)
    return state, cert


def valid_until(settings: Settings, state: dict[str, Any]) -> str:
    """Return the day on which the certificates issued so far have expired."""
    left = min(settings["tls"]["days"], pki.days_left(state["ca"]["cert"]))
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + left * 86400))
