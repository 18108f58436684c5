"""
This node's certificate: of the swarm's own CA, or brought by the user.
"""

import contextlib
import functools
from pathlib import Path

import swarm_authority
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
# Here it is noted which minion the CA was.
_RECORD = "tls"
# Seconds that the CA's minion may take for an answer.
_ANSWER = 15


def __virtual__():
    return __virtualname__


def _settings():
    return __salt__["swarm_settings.get"]()


def _mine():
    return swarm_mine.Mine(__salt__, __opts__, __context__)


def status():
    """
    Return what this node's certificate is for, who has signed it and how many days it is valid yet.

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
        "days left": round(swarm_pki.days_left(found.cert), 1),
        **swarm_authority.report([found]),
    }


def report():
    """
    Return which CAs all of this node trusts and which has signed its certificates. For Salt's mine.

    All of it: until an apply has ended well, services may be using the files of before.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_tls.report
    """
    sets = [one for store in _STORES.values() for one in store.kept()]
    return swarm_authority.report(sets) if swarm_certs.NODE.read() else {}


def apply(test=False):
    """
    Ensure this node has a key and a valid certificate for its address; return what changed.

    A new key with each new certificate; it never leaves the host.

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
    """Tell the CA, which waits in its change for what its members trust."""
    mine.tell(settings["id"], swarm_authority.REPORT, report(), "swarm_tls.report")


def apply_client(test=False):
    """
    Ensure this host has a certificate for its users' clients, if pillar wants that here.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_tls.apply_client test=True
    """
    settings = _settings()
    if settings["tls"]["ca"] and settings["id"] in settings["client"]["nodes"]:
        due = swarm_pki.Grant(f"client of {settings['id']}", server=False)
        return _apply(settings, _mine(), swarm_authority.CLIENT, due, test)
    if not swarm_certs.CLIENT.folder.exists():
        return {}
    if not test:
        swarm_certs.CLIENT.clear()
    return {"client's certificate": {"old": "present", "new": None}}


def _apply(settings, mine, kind, due, test):
    store = _STORES[kind]
    have = store.read()
    if settings["tls"]["cert"]:
        wanted = _brought(settings, _needed(settings))
        why = f"from {settings['tls']['cert']}" if wanted != have else None
    else:
        # Test mode looks once. A host without a certificate may be asked before there is a CA.
        bare = test and not have
        learn = _asked_authority if bare else functools.partial(_await_authority, test=test)
        authority = learn(settings, mine)
        _refuse_stranger(settings, have, authority)
        wanted, why = None, swarm_authority.lack(have, authority, due, settings["tls"])
        if why and not test:
            wanted = _made(settings, kind, authority)
            why = _gain(settings, have, wanted, due, why)
        elif not why and authority:
            wanted = have._replace(ca=authority["trust"], gossip=_gossip(authority, kind))
            why = "other CAs are trusted" if wanted != have else None
    store.promise(bool(why and test))
    if why and not test:
        store.install(wanted)
    what = "certificate" if kind == swarm_authority.NODE else "client's certificate"
    return {what: {"old": "present" if have else None, "new": why}} if why else {}


def _needed(settings):
    """Return what a certificate that the user brings is for at least."""
    found = {settings["address"], *(settings["tls"]["names"] if settings["is_manager"] else ())}
    # Loopback is where a node asks its own Consul.
    return found | ({"127.0.0.1"} if settings["own_store"] else set())


def _gain(settings, have, new, due, why):
    """
    Return why a new certificate takes the place of the old one, ``None`` if it says the same.

    The CA goes by the pillar of its own minion. An error if that gives less than is due.
    """
    ca, me = settings["tls"]["ca"], settings["id"]
    found = swarm_pki.names(new.cert)
    if missing := {*due.names, *due.addresses} - found:
        raise swarm_errors.SwarmError(
            f"{ca}, the CA (swarm:tls:ca), signs for {me} without {', '.join(sorted(missing))}:"
            f" give {ca} the same swarm:managers, swarm:consul and swarm:tls:names in pillar as"
            f" {me}, and apply again"
        )
    only_names = have and swarm_pki.names(have.cert) != {*due.names, *due.addresses}
    return None if only_names and found == swarm_pki.names(have.cert) else why


def _gossip(authority, kind):
    return authority["gossip"] if kind == swarm_authority.NODE else ""


def _made(settings, kind, authority):
    """Return a new key with its certificate by the swarm's own CA."""
    key = swarm_pki.new_key(settings["tls"]["key_type"])
    cert = _signed(settings, key, kind)
    if fault := swarm_pki.untimely(cert):
        ca, me = settings["tls"]["ca"], settings["id"]
        raise swarm_errors.SwarmError(
            f"the certificate that {ca}, the CA, has just signed for {me} {fault}. The clock of"
            f" {ca} or {me} is wrong: compare 'date' on both, correct it, and apply again. Nothing"
            " was changed"
        )
    return swarm_certs.Set(authority["trust"], cert, key, _gossip(authority, kind))


def _brought(settings, due):
    """Return what the user's own files hold, once they will do."""
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
    faults = swarm_pki.faults(found.cert, found.key, found.ca, due)
    if faults:
        raise swarm_errors.SwarmError(
            f"the files of swarm:tls:cert, key and ca_cert do not do for {settings['id']}: "
            + "; ".join(faults)
        )
    return found


def _authority(settings, mine):
    """Return what the CA tells the members, ``{}`` if it has not told yet."""
    if settings["is_ca"]:
        state = swarm_authority.load()
        return swarm_authority.record(state) if state else {}
    ca = settings["tls"]["ca"]
    return mine.learn(settings["id"], ca, swarm_authority.RECORD, swarm_authority.REPORT) or {}


def _asked_authority(settings, mine):
    """Return what the CA tells, ``{}`` for nothing yet; an error if no minion can tell anything."""
    found = _authority(settings, mine)
    if not found and not settings["is_ca"]:
        mine.refuse_forgetful(settings["id"])
    return found


def _await_authority(settings, mine, test):
    found, ca = _asked_authority(settings, mine), settings["tls"]["ca"]
    if not found:
        _refuse_moved(settings)

    def probe():
        found.update(_authority(settings, mine))
        return (
            None
            if found
            else f"{ca}, the CA (swarm:tls:ca), has not told {settings['id']} whom to trust: apply"
            f" swarm there, with a pillar that has {settings['id']} in swarm:nodes"
        )

    if not found:
        swarm_wait.until(probe, 0 if test else settings["timeout"])
    return found


def _refuse_moved(settings):
    """A CA does not move with pillar; with another list of managers, it may seem to."""
    ca, me = settings["tls"]["ca"], settings["id"]
    if swarm_certs.NODE.read() is None:
        return
    was = swarm_files.record(_RECORD).get("ca") or (me if swarm_authority.load() else ca)
    if was != ca:
        raise swarm_errors.SwarmError(
            f"swarm:tls:ca is {ca} by now (by default, it is the first manager), and {was} is the"
            f" CA that {me} trusts: nothing was changed. Name {was} in swarm:tls:ca. If the CA is"
            f" to be on {ca}: bring {swarm_authority.FILE} there, and apply there first"
        )


def _refuse_stranger(settings, have, authority):
    """A CA that comes in place of another all at once was lost, or is somebody else's."""
    if not (have and authority):
        return
    known = set(swarm_pki.fingerprints(have.ca))
    if known.isdisjoint(swarm_pki.fingerprints(authority["trust"])):
        ca, me = settings["tls"]["ca"], settings["id"]
        raise swarm_errors.SwarmError(
            f"the CA of {ca} is another one than {me} trusts, and was not announced by it: give"
            f" {ca} back its {swarm_authority.FILE}, or, if it is lost or this is on purpose:"
            f" salt '*' swarm_tls.distrust, and apply again"
        )


def _signed(settings, key, kind):
    """Have the CA sign a key of this node."""
    me, ca = settings["id"], settings["tls"]["ca"]
    request = {
        "csr": swarm_pki.request(key, me),
        "kind": kind,
        "address": settings["address"],
    }
    if settings["is_ca"]:
        return _certificate(__salt__["swarm_ca.sign"](request))
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
    """Return why there is no certificate: the CA's minion has its own words, or none came."""
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
    Have this host forget its certificate and whom it trusts; the next apply trusts the CA there is.

    Only after the loss of a CA. Engine and containers go on with what they have read.

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
    Ensure no certificates lie here that were replaced; return what changed.

    To be called when all is well: until then they are what there is to go back to, and what
    services may still be using. The CA is told that they are not any more.

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
    """Return the names of the sets that this very run would replace."""
    found = []
    for store, function in ((swarm_certs.NODE, apply), (swarm_certs.CLIENT, apply_client)):
        # What is in the way of a new one is told by the state that would ask for it.
        with contextlib.suppress(swarm_errors.SwarmError):
            changes = function(test=True).values() if store.read() else ()
            if any(change["new"] for change in changes):
                found.append(Path(store.current().folder).name)
    return found


def remove(test=False):
    """
    Ensure this host has no certificate of the formula; return what changed.

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
