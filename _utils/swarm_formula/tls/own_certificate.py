"""
Ensure this node has a valid certificate: signed by the swarm's own CA, or supplied by the user.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from swarm_formula.core import errors, host_files
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt import secret_store
from swarm_formula.salt.mine import Mine
from swarm_formula.tls import ca_request, cert_files, certificate_due, pki, signing, trust


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


def apply(
    member: Member, kind: str, dues: Mapping[str, ca_request.Grant], test: bool
) -> dict[str, Any]:
    """
    Ensure this host has a set with the certificates that are due; return the changes.

    kind
        Kind of the set, and of its first certificate.

    dues
        What each certificate must contain, by its kind.
    """
    store = certificate_due.STORES[kind]
    have = store.read()
    if member.settings["tls"]["cert"]:
        wanted = _brought(member, _needed(member.settings))
        why = f"from {member.settings['tls']['cert']}" if wanted != have else None
        change = Due(wanted, why)
    else:
        change = _own(member, kind, dues, have, test)
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


def _own(
    member: Member,
    kind: str,
    dues: Mapping[str, ca_request.Grant],
    have: cert_files.Set | None,
    test: bool,
) -> Due:
    """Return the set to install by the swarm's own CA, and why."""
    settings = member.settings
    # Test mode does not wait. For a host without a certificate, the CA may not exist yet.
    if test and not have:
        authority = trust.find(settings, member.mine)
    else:
        authority = trust.wait(settings, member.mine, test)
    trust.refuse_stranger(settings, have, authority)
    lacks = _lacks(settings, have, authority, dues)
    if lacks and not test:
        # All of them: a new set restarts what reads it, which they thus do together.
        wanted = _made(member, kind, dues, have, authority)
        return Due(wanted, _gain(settings, have, wanted, dues, lacks))
    if have and authority and not lacks:
        kept = have if certificate_due.CONSUL in dues else have.without_consul()
        return _filled(have, certificate_due.filled(kept, authority, kind))
    return Due(None, _words(have, lacks))


def _part(have: cert_files.Set | None, kind: str) -> cert_files.Set | None:
    """Return a set with the certificate of a kind as its certificate, ``None`` if it has none."""
    return have.for_consul() if have and kind == certificate_due.CONSUL else have


def _lacks(
    settings: Settings,
    have: cert_files.Set | None,
    authority: dict[str, Any],
    dues: Mapping[str, ca_request.Grant],
) -> dict[str, str]:
    """Return why certificates are needed, by kind."""
    found = {}
    for kind, due in dues.items():
        signer = certificate_due.chain(kind, settings)
        part = _part(have, kind)
        if why := certificate_due.lack(part, authority, due, settings["tls"], signer):
            found[kind] = why
    return found


def _words(have: cert_files.Set | None, lacks: Mapping[str, str]) -> str | None:
    """Return the first reason for new certificates, ``None`` if there is none."""
    for kind, why in lacks.items():
        return f"for Consul: {why}" if have and kind == certificate_due.CONSUL else why
    return None


def _filled(have: cert_files.Set, wanted: cert_files.Set) -> Due:
    """Return what changes beside the certificates themselves."""
    if wanted == have:
        return Due(wanted, None)
    if wanted.consul_cert != have.consul_cert:
        return Due(wanted, "without one for Consul")
    if wanted._replace(gossip=have.gossip) == have:
        return Due(wanted, "with another gossip key of Consul", rekeyed=True)
    return Due(wanted, "other CAs are trusted")


def _needed(settings: Settings) -> set[str]:
    """Return the names and addresses that a certificate supplied by the user must contain."""
    found = {settings["address"]}.union(*certificate_due.shared(settings["id"], settings).values())
    # A node connects to its own Consul over loopback.
    return found | ({"127.0.0.1"} if settings["managed_store"] else set())


def _gain(
    settings: Settings,
    have: cert_files.Set | None,
    new: cert_files.Set,
    dues: Mapping[str, ca_request.Grant],
    lacks: Mapping[str, str],
) -> str | None:
    """
    Return why new certificates replace the old ones, ``None`` if the only reason is the names and
    the CA grants the same names again.
    """
    gains = {}
    for kind, due in dues.items():
        made, had = _part(new, kind), _part(have, kind)
        if not made:
            continue
        _refuse_lack(settings, made, due)
        named = had and lacks.get(kind) == pki.other_names(had.cert, due)
        if kind in lacks and not (named and had and pki.names(made.cert) == pki.names(had.cert)):
            gains[kind] = lacks[kind]
    return _words(have, gains)


def _refuse_lack(settings: Settings, new: cert_files.Set, due: ca_request.Grant) -> None:
    """
    Raise an error if a new certificate is for other usages, or lacks a name or an address.

    The CA signs by the pillar of its own minion.
    """
    ca, me = settings["tls"]["ca"], settings["id"]
    if (usages := pki.usages(new.cert)) != {*due.usages}:
        signed, wanted = (", ".join(sorted(one)) for one in (usages, due.usages))
        raise errors.SwarmError(
            f"{ca}, the CA (swarm:tls:ca), signs for {me} with the usages {signed}, and {wanted} is"
            f" due: give {ca} the same swarm:mode and swarm:managers in pillar as {me}, and apply"
            " again"
        )
    if missing := {*due.names, *due.addresses} - pki.names(new.cert):
        raise errors.SwarmError(
            f"{ca}, the CA (swarm:tls:ca), signs for {me} without {', '.join(sorted(missing))}:"
            f" give {ca} the same swarm:managers, swarm:consul and swarm:tls:names in pillar as"
            f" {me}, and apply again"
        )


def _made(
    member: Member,
    kind: str,
    dues: Mapping[str, ca_request.Grant],
    have: cert_files.Set | None,
    authority: dict[str, Any],
) -> cert_files.Set:
    """Return new keys with certificates signed by the swarm's own CA."""
    settings = member.settings
    keys = {one: pki.new_key(settings["tls"]["key_type"]) for one in dues}
    certs = signing.request(member.salt, settings, keys)
    current = authority
    for cert in certs.values():
        _refuse_untimely(settings, cert)
        current = trust.confirmed(settings, member.mine, current, cert)
    trust.refuse_stranger(settings, have, current)
    consul = certificate_due.CONSUL
    new = cert_files.Set("", certs[kind], keys[kind])
    new = new._replace(consul_cert=certs.get(consul, ""), consul_key=keys.get(consul, ""))
    return certificate_due.filled(new, current, kind)


def _refuse_untimely(settings: Settings, cert: str) -> None:
    """Raise an error if a new certificate is not valid by the clock of this host."""
    if fault := pki.untimely(cert):
        ca, me = settings["tls"]["ca"], settings["id"]
        raise errors.SwarmError(
            f"the certificate that {ca}, the CA, has just signed for {me} {fault}. The clock of"
            f" {ca} or {me} is wrong: compare 'date' on both, correct it, and apply again. Nothing"
            " was changed"
        )


def _brought(member: Member, due: set[str]) -> cert_files.Set:
    """Return the content of the user's certificate files; raise an error if they are unsuitable."""
    settings = member.settings
    place, path = settings["consul"]["gossip_key"], "swarm:consul:gossip_key"
    texts = _read(settings)
    gossip = secret_store.load(member.salt, place, path=path) if place else ""
    found = cert_files.Set(**texts, gossip=gossip)
    usages = certificate_due.own_usages(settings)
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
