"""
Manage this node's certificate, signed by the swarm's own CA or supplied by the user.
"""

import contextlib
from pathlib import Path

from swarm_formula.core import errors
from swarm_formula.salt import mine as salt_mine
from swarm_formula.tls import ca_copy_store, ca_record, cert_files, certificate_due, trust

__virtualname__ = "swarm_tls"


def __virtual__():
    return __virtualname__


def _settings():
    return __salt__["swarm_settings.get"]()


def _mine():
    return salt_mine.Mine(__salt__, __opts__)


def _member(settings):
    from swarm_formula.tls import own_certificate

    return own_certificate.Member(__salt__, settings, _mine())


def status():
    """
    Return the names, usages and remaining days of this node's certificate, and its issuer; in
    classic mode, the same of its certificate for Consul.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_tls.status
    """
    found = cert_files.NODE.read()
    if not found:
        return {}
    consul = found.for_consul()
    return {
        "folder": cert_files.NODE.current().folder,
        **_shown(found),
        **({"consul": _shown(consul)} if consul else {}),
        **ca_record.report([found]),
    }


def _shown(one):
    from swarm_formula.tls import pki

    return {
        "names": sorted(pki.names(one.cert)),
        "usages": sorted(pki.usages(one.cert)),
        "days left": round(pki.days_left(one.cert), 1),
    }


def report():
    """
    Return the CAs that this node trusts, the issuer of its certificates, and the CA that it holds a
    copy of, for Salt's mine.

    All kept sets count: until an apply succeeds, services may still use the previous files.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_tls.report
    """
    sets = [one for store in certificate_due.STORES.values() for one in store.kept()]
    if not cert_files.NODE.read():
        return {}
    held = ca_copy_store.held().get("issuer")
    return {**ca_record.report(sets), **({"holds": held} if held else {})}


def apply(test=False):
    """
    Ensure this node has a key and a valid certificate for its address; return the changes.

    The swarm's CA signs a new key for each new certificate; the key never leaves the host. In
    classic mode, the node has another certificate for Consul, by a CA that no engine trusts.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_tls.apply test=True
    """
    settings = _settings()
    if not settings["tls"]["used"]:
        cert_files.NODE.promise(False)
        return {}
    from swarm_formula.tls import own_certificate

    me, address = settings["id"], settings["address"]
    kinds = certificate_due.of_nodes(settings)
    dues = {kind: certificate_due.due(me, address, settings, kind) for kind in kinds}
    member = _member(settings)
    changes = own_certificate.apply(member, certificate_due.NODE, dues, test)
    if not test:
        trust.note(settings["tls"]["ca"])
        _tell(settings, member.mine)
    return changes


def _tell(settings, mine):
    """Publish this node's report, for which a rotation of the CA waits."""
    mine.tell(settings["id"], ca_record.REPORT, report())


def apply_client(test=False):
    """
    Ensure this host has a client certificate if ``swarm:client:nodes`` names it, else none.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_tls.apply_client test=True
    """
    settings = _settings()
    if settings["tls"]["ca"] and settings["id"] in settings["client"]["nodes"]:
        from swarm_formula.tls import own_certificate

        dues = {certificate_due.CLIENT: certificate_due.due_client(settings["id"])}
        return own_certificate.apply(_member(settings), certificate_due.CLIENT, dues, test)
    if not cert_files.CLIENT.folder.exists():
        return {}
    if not test:
        cert_files.CLIENT.clear()
    return {"client's certificate": {"old": "present", "new": None}}


def distrust():
    """
    Reset this host's certificate and trusted CAs; the next apply trusts the current CA.

    Use this only after the loss of a CA. The engine and the containers continue with the
    files that they have read.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_tls.distrust
    """
    for store in certificate_due.STORES.values():
        store.forget()
    trust.note(None)
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
        for store in certificate_due.STORES.values()
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
    for store, function in ((cert_files.NODE, apply), (cert_files.CLIENT, apply_client)):
        # The state that requests the new certificate reports the error.
        with contextlib.suppress(errors.SwarmError):
            changes = function(test=True).values() if store.read() else ()
            if store.is_promised() and any(change["new"] for change in changes):
                found.append(Path(store.current().folder).name)
    return found


def remove(test=False):
    """
    Ensure the formula's certificates are removed from this host; return the changes.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_tls.remove test=True
    """
    if not any(store.folder.exists() for store in certificate_due.STORES.values()):
        return {}
    if not test:
        for store in certificate_due.STORES.values():
            store.clear()
        trust.note(None)
        _mine().forget(ca_record.REPORT)
    return {"certificates": {"old": "present", "new": None}}
