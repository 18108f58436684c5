"""
Manage this node's certificate, signed by the swarm's own CA or supplied by the user.
"""

import contextlib
import functools
from pathlib import Path

import swarm_authority
import swarm_caller
import swarm_certs
import swarm_errors
import swarm_files
import swarm_mine
import swarm_pki
import swarm_secrets
import swarm_wait

__virtualname__ = "swarm_tls"

_STORES = {
    swarm_authority.NODE: swarm_certs.NODE,
    swarm_authority.CLIENT: swarm_certs.CLIENT,
}
# The section of the record that names the CA's minion.
_RECORD = "tls"
# Seconds to wait for an answer from the CA's minion.
_ANSWER = 15


def __virtual__():
    return __virtualname__


def _settings():
    return __salt__["swarm_settings.get"]()


def _mine():
    return swarm_mine.Mine(__salt__, __opts__, __context__)


def status():
    """
    Return the names and usages in this node's certificate, its issuer and its remaining days.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_tls.status
    """
    found = swarm_certs.NODE.read()
    if not found:
        return {}
    return {
        "folder": swarm_certs.NODE.current().folder,
        "names": sorted(swarm_pki.names(found.cert)),
        "usages": sorted(swarm_pki.usages(found.cert)),
        "days left": round(swarm_pki.days_left(found.cert), 1),
        **swarm_authority.report([found]),
    }


def report():
    """
    Return the CAs that this node trusts and the issuer of its certificates, for Salt's mine.

    All kept sets count: until an apply succeeds, services may still use the previous files.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_tls.report
    """
    sets = [one for store in _STORES.values() for one in store.kept()]
    return swarm_authority.report(sets) if swarm_certs.NODE.read() else {}


def apply(test=False):
    """
    Ensure this node has a key and a valid certificate for its address; return the changes.

    The swarm's CA signs a new key for each new certificate; the key never leaves the host.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_tls.apply test=True
    """
    settings = _settings()
    if not settings["tls"]["used"]:
        swarm_certs.NODE.promise(False)
        return {}
    due = swarm_authority.due(settings["id"], settings["address"], settings)
    mine = _mine()
    changes = _apply(settings, mine, swarm_authority.NODE, due, test)
    if not test:
        swarm_files.note(_RECORD, {"ca": settings["tls"]["ca"]} if settings["tls"]["ca"] else {})
        _tell(settings, mine)
    return changes


def _tell(settings, mine):
    """Publish this node's report, for which a rotation of the CA waits."""
    mine.tell(settings["id"], swarm_authority.REPORT, report(), "swarm_tls.report")


def apply_client(test=False):
    """
    Ensure this host has a client certificate if ``swarm:client:nodes`` names it, else none.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_tls.apply_client test=True
    """
    settings = _settings()
    if settings["tls"]["ca"] and settings["id"] in settings["client"]["nodes"]:
        due = swarm_authority.due_client(settings["id"])
        return _apply(settings, _mine(), swarm_authority.CLIENT, due, test)
    if not swarm_certs.CLIENT.folder.exists():
        return {}
    if not test:
        swarm_certs.CLIENT.clear()
    return {"client's certificate": {"old": "present", "new": None}}


def _apply(settings, mine, kind, due, test):
    store = _STORES[kind]
    have, rekeyed = store.read(), False
    if settings["tls"]["cert"]:
        wanted = _brought(settings, _needed(settings))
        why = f"from {settings['tls']['cert']}" if wanted != have else None
    else:
        # Test mode does not wait. For a host without a certificate, the CA may not exist yet.
        bare = test and not have
        learn = _asked_authority if bare else functools.partial(_await_authority, test=test)
        authority = learn(settings, mine)
        _refuse_stranger(settings, have, authority)
        wanted, why = None, swarm_authority.lack(have, authority, due, settings["tls"])
        if why and not test:
            wanted = _made(settings, kind, authority)
            why = _gain(settings, have, wanted, due, why)
        elif not why and authority:
            wanted = swarm_authority.filled(have, authority, kind)
            why = "other CAs are trusted" if wanted != have else None
            if why and wanted._replace(gossip=have.gossip) == have:
                rekeyed, why = True, "with another gossip key of Consul"
    store.promise(bool(why and test and not rekeyed))
    if rekeyed and not test:
        # Only Consul's configuration has it: what reads the certificates needs no restart.
        store.rekey(wanted.gossip)
    elif why and not test:
        store.install(wanted)
    what = "certificate" if kind == swarm_authority.NODE else "client's certificate"
    return {what: {"old": "present" if have else None, "new": why}} if why else {}


def _needed(settings):
    """Return the names and addresses that a certificate supplied by the user must contain."""
    found = {settings["address"], *(settings["tls"]["names"] if settings["is_manager"] else ())}
    # A node connects to its own Consul over loopback.
    return found | ({"127.0.0.1"} if settings["own_store"] else set())


def _gain(settings, have, new, due, why):
    """
    Return why a new certificate replaces the old one, ``None`` if the only reason is the names and
    the CA grants the same names again.

    The CA signs by the pillar of its own minion. Raises an error if the certificate is for other
    usages, or lacks a name or an address that is due.
    """
    ca, me = settings["tls"]["ca"], settings["id"]
    if (usages := swarm_pki.usages(new.cert)) != {*due.usages}:
        signed, wanted = (", ".join(sorted(one)) for one in (usages, due.usages))
        raise swarm_errors.SwarmError(
            f"{ca}, the CA (swarm:tls:ca), signs for {me} with the usages {signed}, and {wanted} is"
            f" due: give {ca} the same swarm:mode in pillar as {me}, and apply again"
        )
    found = swarm_pki.names(new.cert)
    if missing := {*due.names, *due.addresses} - found:
        raise swarm_errors.SwarmError(
            f"{ca}, the CA (swarm:tls:ca), signs for {me} without {', '.join(sorted(missing))}:"
            f" give {ca} the same swarm:managers, swarm:consul and swarm:tls:names in pillar as"
            f" {me}, and apply again"
        )
    only_names = have and why == swarm_pki.other_names(have.cert, due)
    return None if only_names and found == swarm_pki.names(have.cert) else why


def _made(settings, kind, authority):
    """Return a new key with a certificate signed by the swarm's own CA."""
    key = swarm_pki.new_key(settings["tls"]["key_type"])
    cert = _signed(settings, key, kind)
    if fault := swarm_pki.untimely(cert):
        ca, me = settings["tls"]["ca"], settings["id"]
        raise swarm_errors.SwarmError(
            f"the certificate that {ca}, the CA, has just signed for {me} {fault}. The clock of"
            f" {ca} or {me} is wrong: compare 'date' on both, correct it, and apply again. Nothing"
            " was changed"
        )
    return swarm_authority.filled(swarm_certs.Set("", cert, key), authority, kind)


def _brought(settings, due):
    """Return the content of the user's certificate files; raise an error if they are unsuitable."""
    tls, texts = settings["tls"], {}
    for key, option in (("ca", "ca_cert"), ("cert", "cert"), ("key", "key")):
        text = swarm_files.read(Path(tls[option]))
        if text is None:
            raise swarm_errors.SwarmError(
                f"there is no file {tls[option]} on {settings['id']} (swarm:tls:{option})"
            )
        texts[key] = text
    place = settings["consul"]["gossip_key"]
    path = "swarm:consul:gossip_key"
    gossip = swarm_secrets.load(__salt__, place, path=path) if place else ""
    found = swarm_certs.Set(**texts, gossip=gossip)
    usages = swarm_authority.node_usages(settings)
    faults = swarm_pki.faults(found.cert, found.key, found.ca, due, usages)
    if faults:
        raise swarm_errors.SwarmError(
            f"the files of swarm:tls:cert, key and ca_cert do not do for {settings['id']}: "
            + "; ".join(faults)
        )
    return found


def _authority(settings, mine):
    """Return the record that the CA publishes to the members, ``{}`` if there is none yet."""
    if settings["is_ca"]:
        state = swarm_authority.load()
        return swarm_authority.record(state) if state else {}
    ca = settings["tls"]["ca"]
    return mine.learn(settings["id"], ca, swarm_authority.RECORD, swarm_authority.REPORT) or {}


def _asked_authority(settings, mine):
    """Return the CA's record, ``{}`` if there is none yet; raise an error if the mine fails."""
    found = _authority(settings, mine)
    if not found and not settings["is_ca"]:
        mine.refuse_forgetful(settings["id"])
    return found


def _await_authority(settings, mine, test):
    found = _asked_authority(settings, mine)
    if not found:
        _refuse_moved(settings)

    def probe():
        found.update(_authority(settings, mine))
        return None if enough() else _untold(settings, found)

    def enough():
        # A dry run changes nothing on the CA, which the run would have upgraded first.
        return bool(found) if test else swarm_authority.is_complete(found, settings)

    if not enough():
        swarm_wait.until(probe, 0 if test else settings["timeout"])
    return found


def _untold(settings, found):
    """Return what the CA has to publish before this node can have a certificate."""
    ca, me = settings["tls"]["ca"], settings["id"]
    if found:
        return (
            f"{ca}, the CA (swarm:tls:ca), has no CA for clients yet, without which {me} gets no"
            f" certificate in builtin mode: apply swarm on {ca}, with this version of the formula"
            " and mode: builtin in its pillar"
        )
    return (
        f"{ca}, the CA (swarm:tls:ca), has not told {me} whom to trust: apply swarm there, with a"
        f" pillar that has {me} in swarm:nodes"
    )


def _refuse_moved(settings):
    """
    Raise an error if ``swarm:tls:ca`` no longer names the CA that this node trusts.

    A CA does not move with the pillar; a changed list of managers may make it appear so.
    """
    ca, me = settings["tls"]["ca"], settings["id"]
    if swarm_certs.NODE.read() is None:
        return
    if (was := _former(ca, me)) != ca:
        raise swarm_errors.SwarmError(
            f"swarm:tls:ca is {ca} by now (by default, it is the first manager), and {was} is the"
            f" CA that {me} trusts: nothing was changed. Name {was} in swarm:tls:ca. If the CA is"
            f" to be on {ca}: bring {swarm_authority.FILE} there, and apply there first. If {me} is"
            f" to move to another swarm, that of {ca}: name {me} in swarm:nodes there, apply there,"
            f" then salt {me} swarm_tls.distrust, and apply again"
        )


def _former(ca, me):
    """Return the minion that was the CA of this node's certificate, ``ca`` if unknown."""
    return swarm_files.record(_RECORD).get("ca") or (me if swarm_authority.load() else ca)


def _refuse_stranger(settings, have, authority):
    """Raise an error for an unannounced CA: the old one was lost, or the new one is foreign."""
    if not (have and authority):
        return
    known = set(swarm_pki.fingerprints(have.ca))
    if known.isdisjoint(swarm_pki.fingerprints(authority["trust"])):
        ca, me = settings["tls"]["ca"], settings["id"]
        if (was := _former(ca, me)) != ca:
            raise swarm_errors.SwarmError(
                f"the CA of {ca} is another one than {me} trusts, which is that of {was}: nothing"
                f" was changed. If {me} is to move to the swarm of {ca}: salt {me}"
                f" swarm_tls.distrust, and apply again. If not, name {was} in swarm:tls:ca"
            )
        raise swarm_errors.SwarmError(
            f"the CA of {ca} is another one than {me} trusts, and was not announced by it: give"
            f" {ca} back its {swarm_authority.FILE}, or, if it is lost or this is on purpose:"
            f" salt '*' swarm_tls.distrust, and apply again"
        )


def _signed(settings, key, kind):
    """Request a certificate for a key of this node from the CA."""
    me, ca = settings["id"], settings["tls"]["ca"]
    request = {
        "csr": swarm_pki.request(key, me),
        "kind": kind,
        "address": settings["address"],
    }
    if settings["is_ca"]:
        return _certificate(__salt__["swarm_ca.sign"](request, **swarm_caller.local(me)))
    found = {}

    def probe():
        answers = __salt__["publish.publish"](
            ca, "swarm_ca.sign", arg=[request], tgt_type="list", timeout=_ANSWER
        )
        answer = answers.get(ca) if isinstance(answers, dict) else None
        if isinstance(answer, dict) and "busy" not in answer:
            found["cert"] = _certificate(answer)
            return None
        return f"{ca}, the CA (swarm:tls:ca), does not sign for {me}: {_unsigned(ca, answer)}"

    swarm_wait.until(probe, settings["timeout"])
    return found["cert"]


def _unsigned(ca, answer):
    """Return why there is no certificate: the answer of the CA's minion, or a missing answer."""
    if answer:
        return f"its minion answers {answer}"
    return (
        f"no answer came. Either that minion is down ('salt {ca} test.ping' on the master), or the"
        " master does not let minions ask it (peer: swarm_ca.sign in the master's configuration,"
        " see the state swarm.master)"
    )


def _certificate(answer):
    if "cert" not in answer:
        raise swarm_errors.SwarmError(answer.get("refused") or f"the CA answers {answer}")
    return answer["cert"]


def distrust():
    """
    Reset this host's certificate and trusted CAs; the next apply trusts the current CA.

    Use this only after the loss of a CA. The engine and the containers continue with the
    files that they have read.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_tls.distrust
    """
    for store in _STORES.values():
        store.forget()
    swarm_files.note(_RECORD, {})
    return True


def tidy(test=False):
    """
    Ensure replaced certificates are removed; return the changes.

    Call this after a successful apply: until then, a rollback needs the replaced certificates, and
    services may still use them. Afterwards, the CA gets a new report without them.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_tls.tidy test=True
    """
    settings = _settings()
    if not settings["tls"]["used"]:
        return remove(test)
    old = {
        f"certificates {one}": (store, one)
        for store in _STORES.values()
        for one in store.outdated()
    }
    if test:
        old |= {f"certificates {one}": None for one in _replaced()}
    elif old:
        for store, one in old.values():
            store.drop([one])
        _tell(settings, _mine())
    return {what: {"old": "replaced", "new": None} for what in old}


def _replaced():
    """Return the names of the sets that the current run would replace."""
    found = []
    for store, function in ((swarm_certs.NODE, apply), (swarm_certs.CLIENT, apply_client)):
        # The state that requests the new certificate reports the error.
        with contextlib.suppress(swarm_errors.SwarmError):
            changes = function(test=True).values() if store.read() else ()
            if any(change["new"] for change in changes):
                found.append(Path(store.current().folder).name)
    return found


def remove(test=False):
    """
    Ensure the formula's certificates are removed from this host; return the changes.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_tls.remove test=True
    """
    if not any(store.folder.exists() for store in _STORES.values()):
        return {}
    if not test:
        for store in _STORES.values():
            store.clear()
        swarm_files.note(_RECORD, {})
        _mine().forget(swarm_authority.REPORT)
    return {"certificates": {"old": "present", "new": None}}
