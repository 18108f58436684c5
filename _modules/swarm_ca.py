"""
Manage the CA of a swarm on the minion that the pillar names as ``swarm:tls:ca``.

The private key leaves that host only encrypted for a manager, see ``swarm_ca_copy``. Members
request certificates through Salt's ``publish``, which the master's configuration must allow
(``peer``). The pillar of the CA's minion, not the requester, decides the content of a certificate.
"""

from swarm_formula.salt import current_pillar, execution

__virtualname__ = "swarm_ca"


def __virtual__():
    return __virtualname__


def _minion():
    return execution.Minion(__salt__, __opts__, __context__)


def _settings():
    return __salt__["swarm_settings.get"]()


def _state():
    from swarm_formula.tls import ca_load

    return ca_load.require(__opts__["id"])


def apply(test=False):
    """
    Ensure the CA exists on the minion ``swarm:tls:ca``, and take the next step of its rotation.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_ca.apply test=True
    """
    settings = _settings()
    if not settings["is_ca"]:
        return {}
    from swarm_formula.tls import ca_apply

    return ca_apply.apply(_minion(), settings, test)


def complaints():
    """
    Return the rotations that are not finished, and what they wait for, as sentences; ``[]`` if this
    is not the CA.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.complaints
    """
    if not _settings()["is_ca"]:
        return []
    from swarm_formula.tls import ca_rotate

    return ca_rotate.complaints(_minion())


def rotate():
    """
    Begin a rotation of the CA, or resume the one in progress; return its state as ``rotation``.

    ``salt-run swarm.rotate ca`` calls this, and then applies ``swarm`` until it is finished.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.rotate
    """
    from swarm_formula.tls import ca_rotate

    return ca_rotate.begin(_minion())


def rotation():
    """
    Return whether a rotation of the CA is in progress, its time of the last step, and the members
    that it waits for, as ``{"changing", "since", "waits for"}``.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.rotation
    """
    from swarm_formula.tls import ca_rotate

    return ca_rotate.status(_minion())


def renewable():
    """
    Return the secrets of Consul that this CA keeps, and that ``swarm.rotate`` renews.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.renewable
    """
    from swarm_formula.tls import ca_secrets

    return ca_secrets.renewable(_settings())


def renew(kind, step="begin"):
    """
    Renew Consul's gossip key or management token; return how far the renewal has come.

    ``salt-run swarm.rotate`` calls this for each step, and between the steps has Consul accept the
    new one and, at the end, forget the old one.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.renew gossip

    kind
        ``gossip`` or ``acl``.

    step
        ``begin``: make the new one, or resume the renewal in progress. ``follow``: the new one is
        in use. ``end``: drop the old one. Defaults to ``begin``.
    """
    from swarm_formula.tls import ca_secrets

    return ca_secrets.renew(_minion(), kind, step)


def valid_until():
    """
    Return the day on which the certificates issued so far have expired, by ``swarm:tls:days``.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.valid_until
    """
    from swarm_formula.tls import ca_issue

    return ca_issue.valid_until(_settings(), _state())


def advance(*minions):
    """
    Take the next step of the CA rotation without these members; return what was done.

    For emergencies only: when the old CA is no longer trusted, these members are shut out until
    ``swarm_tls.distrust`` and an apply. Refused unless exactly the members that the rotation waits
    for are given.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.advance m5
    """
    from swarm_formula.tls import ca_rotate

    with current_pillar.pillar(__context__):
        return ca_rotate.advance(_minion(), minions)


def sign(request, **kwargs):
    """
    Return a certificate for a member, ``{"cert": PEM}``, or ``{"refused": why}``.

    ``{"busy": why}``: retry later. Members call this through the master, which supplies their ID.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.sign '{}'  # refused: the command names no minion
        salt m4 publish.publish m1 swarm_ca.sign '[{csr: ..., kind: node, address: 10.0.0.14}]'

    request
        A mapping of ``csr`` (PEM), ``kind`` (``node``, ``client`` or ``consul``) and ``address``.
        With one more CSR in ``consul``, the result has that certificate as well, under this key.
    """
    from swarm_formula.tls import ca_sign

    return ca_sign.sign(_minion(), request, kwargs)


def issued():
    """
    Return the address in the certificate of each member.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.issued
    """
    return _state()["issued"]


def forget(minion):
    """
    Remove the record of a minion's certificates, so that other minions can use its addresses.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.forget m4

    minion
        ID of the minion.
    """
    from swarm_formula.tls import ca_sign

    return ca_sign.forget(minion)


def certificate():
    """
    Return the certificates that members trust, as PEM, and the remaining days of each.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.certificate
    """
    from swarm_formula.core import pem_text
    from swarm_formula.tls import ca_record, pki

    text = ca_record.trust(_state())
    days = [round(pki.days_left(one)) for one in pem_text.bundle(text)]
    return {"trust": text, "days left": days}


def remove(test=False, fresh=True):
    """
    Remove the CA from this host, including its private key; return what changed.

    Refused while other members have certificates of this CA, unless it has moved to another host:
    without it, they would need ``swarm_tls.distrust`` and a new certificate.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.remove test=True

    fresh
        Have the master compile the pillar now, which names the members. Defaults to ``True``.
    """
    from swarm_formula.tls import ca_removal

    with current_pillar.pillar(__context__, fresh):
        return ca_removal.remove(_minion(), test)
