"""
Ensure this node has a valid certificate: signed by the swarm's own CA, or supplied by the user.
"""

from pathlib import Path
from typing import Any, NamedTuple

from swarm_formula.core import errors, host_files
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt import secret_store
from swarm_formula.salt.mine import Mine
from swarm_formula.tls import cert_files, certificate_due, pki, signing, trust

STORES = {
    certificate_due.NODE: cert_files.NODE,
    certificate_due.CLIENT: cert_files.CLIENT,
}


class Member(NamedTuple):
    """This host: its execution functions, its settings, and the access to the mine."""

    salt: Salt
    settings: Settings
    mine: Mine


class Due(NamedTuple):
    """
    A set of files to install, and why; without a reason, it stays as it is.

    A dry run does not make a new certificate: there is a reason, and no set.
    """

    wanted: cert_files.Set | None
    why: str | None
    # Whether nothing but Consul's gossip key changes.
    rekeyed: bool = False


def apply(member: Member, kind: str, due: pki.Grant, test: bool) -> dict[str, Any]:
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
    if why and change.wanted and not test:
        _install(store, change.wanted, change.rekeyed)
    what = "certificate" if kind == certificate_due.NODE else "client's certificate"
    return {what: {"old": "present" if have else None, "new": why}} if why else {}


def _install(store: cert_files.Store, wanted: cert_files.Set, rekeyed: bool) -> None:
    if rekeyed:
        # Only Consul's configuration has it: what reads the certificates needs no restart.
        store.rekey(wanted.gossip)
    else:
        store.install(wanted)


def _own(member: Member, kind: str, due: pki.Grant, have: cert_files.Set | None, test: bool) -> Due:
    """Return the set to install by the swarm's own CA, and why."""
    settings = member.settings
    # Test mode does not wait. For a host without a certificate, the CA may not exist yet.
    if test and not have:
        authority = trust.find(settings, member.mine)
    else:
        authority = trust.wait(settings, member.mine, test)
    trust.refuse_stranger(settings, have, authority)
    why = certificate_due.lack(have, authority, due, settings["tls"])
    if why and not test:
        wanted = _made(member, kind, have, authority)
        return Due(wanted, _gain(settings, have, wanted, due, why))
    if have and authority and not why:
        return _filled(have, certificate_due.filled(have, authority, kind))
    return Due(None, why)


def _filled(have: cert_files.Set, wanted: cert_files.Set) -> Due:
    """Return what changes beside the certificate itself."""
    if wanted == have:
        return Due(wanted, None)
    if wanted._replace(gossip=have.gossip) == have:
        return Due(wanted, "with another gossip key of Consul", rekeyed=True)
    return Due(wanted, "other CAs are trusted")


def _needed(settings: Settings) -> set[str]:
    """Return the names and addresses that a certificate supplied by the user must contain."""
    found = {settings["address"], *(settings["tls"]["names"] if settings["is_manager"] else ())}
    # A node connects to its own Consul over loopback.
    return found | ({"127.0.0.1"} if settings["managed_store"] else set())


def _gain(
    settings: Settings,
    have: cert_files.Set | None,
    new: cert_files.Set,
    due: pki.Grant,
    why: str,
) -> str | None:
    """
    Return why a new certificate replaces the old one, ``None`` if the only reason is the names and
    the CA grants the same names again.
    """
    _refuse_lack(settings, new, due)
    if not have or why != pki.other_names(have.cert, due):
        return why
    return None if pki.names(new.cert) == pki.names(have.cert) else why


def _refuse_lack(settings: Settings, new: cert_files.Set, due: pki.Grant) -> None:
    """
    Raise an error if a new certificate is for other usages, or lacks a name or an address.

    The CA signs by the pillar of its own minion.
    """
    ca, me = settings["tls"]["ca"], settings["id"]
    if (usages := pki.usages(new.cert)) != {*due.usages}:
        signed, wanted = (", ".join(sorted(one)) for one in (usages, due.usages))
        raise errors.SwarmError(
            f"{ca}, the CA (swarm:tls:ca), signs for {me} with the usages {signed}, and {wanted} is"
            f" due: give {ca} the same swarm:mode in pillar as {me}, and apply again"
        )
    if missing := {*due.names, *due.addresses} - pki.names(new.cert):
        raise errors.SwarmError(
            f"{ca}, the CA (swarm:tls:ca), signs for {me} without {', '.join(sorted(missing))}:"
            f" give {ca} the same swarm:managers, swarm:consul and swarm:tls:names in pillar as"
            f" {me}, and apply again"
        )


def _made(
    member: Member, kind: str, have: cert_files.Set | None, authority: dict[str, Any]
) -> cert_files.Set:
    """Return a new key with a certificate signed by the swarm's own CA."""
    settings = member.settings
    key = pki.new_key(settings["tls"]["key_type"])
    cert = signing.request(member.salt, settings, key, kind)
    if fault := pki.untimely(cert):
        ca, me = settings["tls"]["ca"], settings["id"]
        raise errors.SwarmError(
            f"the certificate that {ca}, the CA, has just signed for {me} {fault}. The clock of"
            f" {ca} or {me} is wrong: compare 'date' on both, correct it, and apply again. Nothing"
            " was changed"
        )
    current = trust.confirmed(settings, member.mine, authority, cert)
    trust.refuse_stranger(settings, have, current)
    return certificate_due.filled(cert_files.Set("", cert, key), current, kind)


def _brought(member: Member, due: set[str]) -> cert_files.Set:
    """Return the content of the user's certificate files; raise an error if they are unsuitable."""
    settings = member.settings
    place, path = settings["consul"]["gossip_key"], "swarm:consul:gossip_key"
    texts = _read(settings)
    gossip = secret_store.load(member.salt, place, path=path) if place else ""
    found = cert_files.Set(**texts, gossip=gossip)
    usages = certificate_due.node_usages(settings)
    faults = pki.faults(found.cert, found.key, found.ca, due, usages)
    if faults:
        raise errors.SwarmError(
            f"the files of swarm:tls:cert, key and ca_cert do not do for {settings['id']}: "
            + "; ".join(faults)
        )
    return found


def _read(settings: Settings) -> dict[str, str]:
    """Return the texts of the user's certificate files."""
    tls, texts = settings["tls"], {}
    for key, option, path in (
        ("ca", "ca_cert", tls["ca_cert"]),
        ("cert", "cert", tls["cert"]),
        ("key", "key", tls["key"]),
    ):
        text = host_files.read(Path(path)) if path else None
        if text is None:
            raise errors.SwarmError(
                f"there is no file {path} on {settings['id']} (swarm:tls:{option})"
            )
        texts[key] = text
    return texts
