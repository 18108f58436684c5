"""
Ensure this node has a valid certificate: signed by the swarm's own CA, or supplied by the user.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import swarm_certificate_due
import swarm_certs
import swarm_errors
import swarm_files
import swarm_pki
import swarm_secrets
import swarm_signing
import swarm_trust
from swarm_mine import Mine

STORES = {
    swarm_certificate_due.NODE: swarm_certs.NODE,
    swarm_certificate_due.CLIENT: swarm_certs.CLIENT,
}


class Member(NamedTuple):
    """This host: its execution functions, its settings, and the access to the mine."""

    salt: Mapping[str, Callable]
    settings: dict
    mine: Mine


class Due(NamedTuple):
    """A set of files to install, and why; without a reason, it stays as it is."""

    wanted: swarm_certs.Set | None
    why: str | None
    # Whether nothing but Consul's gossip key changes.
    rekeyed: bool = False


def apply(member: Member, kind: str, due: swarm_pki.Grant, test: bool) -> dict:
    """Ensure this host has a certificate of a kind as it is due; return the changes."""
    store = STORES[kind]
    have = store.read()
    if member.settings["tls"]["cert"]:
        wanted = _brought(member, _needed(member.settings))
        why = f"from {member.settings['tls']['cert']}" if wanted != have else None
        change = Due(wanted, why)
    else:
        change = _own(member, kind, due, have, test)
    why = change.why
    store.promise(bool(why and test and not change.rekeyed))
    if why and not test:
        _install(store, change)
    what = "certificate" if kind == swarm_certificate_due.NODE else "client's certificate"
    return {what: {"old": "present" if have else None, "new": why}} if why else {}


def _install(store: swarm_certs.Store, change: Due) -> None:
    if change.rekeyed:
        # Only Consul's configuration has it: what reads the certificates needs no restart.
        store.rekey(change.wanted.gossip)
    else:
        store.install(change.wanted)


def _own(
    member: Member, kind: str, due: swarm_pki.Grant, have: swarm_certs.Set | None, test: bool
) -> Due:
    """Return the set to install by the swarm's own CA, and why."""
    settings = member.settings
    # Test mode does not wait. For a host without a certificate, the CA may not exist yet.
    if test and not have:
        authority = swarm_trust.find(settings, member.mine)
    else:
        authority = swarm_trust.wait(settings, member.mine, test)
    swarm_trust.refuse_stranger(settings, have, authority)
    why = swarm_certificate_due.lack(have, authority, due, settings["tls"])
    if why and not test:
        wanted = _made(member, kind, have, authority)
        return Due(wanted, _gain(settings, have, wanted, due, why))
    if not why and authority:
        return _filled(have, swarm_certificate_due.filled(have, authority, kind))
    return Due(None, why)


def _filled(have: swarm_certs.Set, wanted: swarm_certs.Set) -> Due:
    """Return what changes beside the certificate itself."""
    if wanted == have:
        return Due(wanted, None)
    if wanted._replace(gossip=have.gossip) == have:
        return Due(wanted, "with another gossip key of Consul", rekeyed=True)
    return Due(wanted, "other CAs are trusted")


def _needed(settings: dict) -> set[str]:
    """Return the names and addresses that a certificate supplied by the user must contain."""
    found = {settings["address"], *(settings["tls"]["names"] if settings["is_manager"] else ())}
    # A node connects to its own Consul over loopback.
    return found | ({"127.0.0.1"} if settings["own_store"] else set())


def _gain(
    settings: dict,
    have: swarm_certs.Set | None,
    new: swarm_certs.Set,
    due: swarm_pki.Grant,
    why: str,
) -> str | None:
    """
    Return why a new certificate replaces the old one, ``None`` if the only reason is the names and
    the CA grants the same names again.
    """
    _refuse_lack(settings, new, due)
    only_names = have and why == swarm_pki.other_names(have.cert, due)
    return None if only_names and swarm_pki.names(new.cert) == swarm_pki.names(have.cert) else why


def _refuse_lack(settings: dict, new: swarm_certs.Set, due: swarm_pki.Grant) -> None:
    """
    Raise an error if a new certificate is for other usages, or lacks a name or an address.

    The CA signs by the pillar of its own minion.
    """
    ca, me = settings["tls"]["ca"], settings["id"]
    if (usages := swarm_pki.usages(new.cert)) != {*due.usages}:
        signed, wanted = (", ".join(sorted(one)) for one in (usages, due.usages))
        raise swarm_errors.SwarmError(
            f"{ca}, the CA (swarm:tls:ca), signs for {me} with the usages {signed}, and {wanted} is"
            f" due: give {ca} the same swarm:mode in pillar as {me}, and apply again"
        )
    if missing := {*due.names, *due.addresses} - swarm_pki.names(new.cert):
        raise swarm_errors.SwarmError(
            f"{ca}, the CA (swarm:tls:ca), signs for {me} without {', '.join(sorted(missing))}:"
            f" give {ca} the same swarm:managers, swarm:consul and swarm:tls:names in pillar as"
            f" {me}, and apply again"
        )


def _made(
    member: Member, kind: str, have: swarm_certs.Set | None, authority: dict
) -> swarm_certs.Set:
    """Return a new key with a certificate signed by the swarm's own CA."""
    settings = member.settings
    key = swarm_pki.new_key(settings["tls"]["key_type"])
    cert = swarm_signing.request(member.salt, settings, key, kind)
    if fault := swarm_pki.untimely(cert):
        ca, me = settings["tls"]["ca"], settings["id"]
        raise swarm_errors.SwarmError(
            f"the certificate that {ca}, the CA, has just signed for {me} {fault}. The clock of"
            f" {ca} or {me} is wrong: compare 'date' on both, correct it, and apply again. Nothing"
            " was changed"
        )
    current = swarm_trust.confirmed(settings, member.mine, authority, cert)
    swarm_trust.refuse_stranger(settings, have, current)
    return swarm_certificate_due.filled(swarm_certs.Set("", cert, key), current, kind)


def _brought(member: Member, due: set[str]) -> swarm_certs.Set:
    """Return the content of the user's certificate files; raise an error if they are unsuitable."""
    settings = member.settings
    place, path = settings["consul"]["gossip_key"], "swarm:consul:gossip_key"
    texts = _read(settings)
    gossip = swarm_secrets.load(member.salt, place, path=path) if place else ""
    found = swarm_certs.Set(**texts, gossip=gossip)
    usages = swarm_certificate_due.node_usages(settings)
    faults = swarm_pki.faults(found.cert, found.key, found.ca, due, usages)
    if faults:
        raise swarm_errors.SwarmError(
            f"the files of swarm:tls:cert, key and ca_cert do not do for {settings['id']}: "
            + "; ".join(faults)
        )
    return found


def _read(settings: dict) -> dict[str, str]:
    """Return the texts of the user's certificate files."""
    tls, texts = settings["tls"], {}
    for key, option in (("ca", "ca_cert"), ("cert", "cert"), ("key", "key")):
        text = swarm_files.read(Path(tls[option]))
        if text is None:
            raise swarm_errors.SwarmError(
                f"there is no file {tls[option]} on {settings['id']} (swarm:tls:{option})"
            )
        texts[key] = text
    return texts
