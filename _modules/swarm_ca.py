"""
Manage the CA of a swarm on the minion that the pillar names as ``swarm:tls:ca``.

The private key leaves that host only encrypted for a manager, see ``swarm_ca_copy``. Members
request certificates through Salt's ``publish``, which the master's configuration must allow
(``peer``). The pillar of the CA's minion, not the requester, decides the content of a certificate.
"""

import time

import swarm_authority
import swarm_caller
import swarm_certs
import swarm_copy
import swarm_current
import swarm_errors
import swarm_files
import swarm_member_rules
import swarm_mine
import swarm_pki
import swarm_renewal
import swarm_wait

__virtualname__ = "swarm_ca"

# Seconds for which a request of another minion waits for its turn: below the time that it asks for.
_PATIENCE = 5
_STEPS = {
    "begin": swarm_renewal.begun,
    "follow": swarm_renewal.followed,
    "end": swarm_renewal.ended,
}
# Seconds to wait for other members that are cleaned at the same time.
_TOGETHER = 60


def __virtual__():
    return __virtualname__


def _settings():
    return __salt__["swarm_settings.get"]()


def _mine():
    return swarm_mine.Mine(__salt__, __opts__, __context__)


def _load():
    state = swarm_authority.load()
    if state:
        swarm_copy.refuse_older(__opts__["id"], state)
    return state


def _state():
    state = _load()
    if not state:
        me = __opts__["id"]
        raise swarm_errors.SwarmError(f"{me} is no CA (yet): apply swarm there")
    return state


def record():
    """
    Return the CA's record for the members: trust bundle, issuer, and Consul's gossip key.

    For Salt's mine; for any other caller, the key is masked.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.record
    """
    found = swarm_authority.record(_state())
    # Include the members: if the pillar changes them, the record differs and is sent again.
    members = _readers(swarm_member_rules.members(_settings()))
    return {**_masked(found, "gossip"), "members": members}


def _readers(globs):
    """Return the target of the minions that may read a record of this CA, itself among them."""
    me, globs = __opts__["id"], [*globs]
    return swarm_mine.target(globs if swarm_member_rules.is_among(me, globs) else [*globs, me])


def management():
    """
    Return Consul's management token, and the servers that may read it.

    For Salt's mine; for any other caller, the token is masked.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.management
    """
    servers = _readers(_settings()["servers"])
    found = swarm_authority.management(_state())
    return {**_masked(found, ""), "servers": servers}


def _masked(found, kind):
    """Return a record; the values of keys that begin with ``kind`` are secrets."""
    secret = _mine().secret
    return {key: secret(one) if key.startswith(kind) else one for key, one in found.items()}


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
    with swarm_files.alone(swarm_authority.LOCK):
        state = _load()
        changes = {}
        if not state:
            state, how = _begun(settings, test)
            changes = {"CA": {"old": None, "new": how}}
        before, state = state, swarm_authority.with_clients(state, settings)
        if state != before:
            changes["CA for clients"] = {"old": None, "new": "made"}
        # A CA that comes back in its rotation goes on with the next apply.
        state, step = (state, None) if "CA" in changes else _advanced(settings, state)
        if step:
            changes["CA"] = {"old": "in its change", "new": step}
        before, state = state, swarm_authority.with_token(state, settings)
        if state != before:
            changes["Consul's management token"] = {"old": None, "new": "made"}
        if test:
            return changes
        if changes:
            swarm_authority.save(state)
    _tell(settings, state)
    return changes


def _begun(settings, test):
    """Return the state of a CA that this host has not had, and where it comes from."""
    if copy := swarm_copy.Search(__salt__, settings, _mine()).result(test):
        return copy.state, f"restored from {copy.holder}"
    _refuse_second(settings)
    return swarm_authority.found(settings), "made"


def _advanced(settings, state):
    # Read the reports of all members only during a rotation.
    reports = _reports(settings) if swarm_authority.is_changing(state) else {}
    return swarm_authority.advanced(state, settings, reports)


def complaints():
    """
    Return the rotations that are not finished, and what they wait for, as sentences; ``[]`` if this
    is not the CA.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.complaints
    """
    settings, state = _settings(), swarm_authority.load()
    if not (settings["is_ca"] and state):
        return []
    found = swarm_renewal.unfinished(state)
    if not swarm_authority.is_changing(state):
        return found
    said = swarm_authority.waiting(state, _reports(settings), settings["id"])
    return [said, *found] if said else found


def rotate():
    """
    Begin a rotation of the CA, or resume the one in progress; return its state as ``rotation``.

    ``salt-run swarm.rotate ca`` calls this, and then applies ``swarm`` until it is finished.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.rotate
    """
    settings = _settings()
    with swarm_files.alone(swarm_authority.LOCK):
        before = _state()
        state = swarm_authority.begun(before, settings)
        if state != before:
            swarm_authority.save(state)
    _tell(settings, state)
    return rotation()


def rotation():
    """
    Return whether a rotation of the CA is in progress, its time of the last step, and the members
    that it waits for, as ``{"changing", "since", "waits for"}``.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.rotation
    """
    state = _state()
    changing = swarm_authority.is_changing(state)
    late = swarm_authority.lagging(state, _reports(_settings())) if changing else []
    return {"changing": changing, "since": state.get("since"), "waits for": late}


def renewable():
    """
    Return the secrets of Consul that this CA keeps, and that ``swarm.rotate`` renews.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.renewable
    """
    settings = _settings()
    kinds = (swarm_renewal.GOSSIP, swarm_renewal.TOKEN)
    return [kind for kind in kinds if not swarm_renewal.refusal(kind, settings)]


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
    settings = _settings()
    if why := swarm_renewal.refusal(kind, settings):
        raise swarm_errors.SwarmError(f"{kind} was not renewed: {why}")
    with swarm_files.alone(swarm_authority.LOCK):
        before = _state()
        state = _STEPS[step](before, kind)
        if state != before:
            swarm_authority.save(state)
    _tell(settings, state)
    return swarm_renewal.phase(state, kind)


def valid_until():
    """
    Return the day on which the certificates issued so far have expired, by ``swarm:tls:days``.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.valid_until
    """
    left = min(_settings()["tls"]["days"], swarm_pki.days_left(_state()["ca"]["cert"]))
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + left * 86400))


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
    with swarm_current.pillar(__context__):
        return _advance(minions)


def _advance(minions):
    settings = _settings()
    with swarm_files.alone(swarm_authority.LOCK):
        state = _state()
        reports = _reports(settings)
        late = swarm_authority.lagging(state, reports)
        if not late or set(minions) != set(late):
            names = ", ".join(late) or "nobody"
            raise swarm_errors.SwarmError(
                f"no step of the CA's change was taken: it waits for {names}, all of which, and"
                " nobody else, are to be named"
            )
        there = {name: said for name, said in reports.items() if name not in minions}
        state, step = swarm_authority.advanced(state, settings, there)
        swarm_authority.save(state)
    _tell(settings, state)
    names = ", ".join(late)
    back = f"to bring one back: salt ID swarm_tls.distrust, then apply swarm there. ID: {names}"
    return {
        "CA": {"old": "in its change", "new": f"{step}, without {names}"},
        "left behind": back,
    }


def _refuse_second(settings):
    """Raise an error if this host has certificates of a CA: a second CA would split the swarm."""
    if swarm_certs.NODE.read() is None:
        return
    me = settings["id"]
    raise swarm_errors.SwarmError(
        f"{me} is to be the CA (swarm:tls:ca) and has certificates of another one: have"
        f" swarm:tls:ca name the minion that has been it, or bring its {swarm_authority.FILE} to"
        f" {me}; if that is lost, salt '*' swarm_tls.distrust, and apply again"
    )


def _reports(settings):
    found = _mine().get(swarm_mine.members(settings), swarm_authority.REPORT)
    found = {minion: said for minion, said in found.items() if said}
    return swarm_authority.own_reports(swarm_authority.load(), found)


def _tell(settings, state):
    mine, me = _mine(), settings["id"]
    wanted = settings["consul"]["acl"] and state.get("acl")
    with mine.sending():
        told, token = record(), management() if wanted else None
    mine.tell(me, swarm_authority.RECORD, told, "swarm_ca.record", told["members"])
    if token:
        mine.tell(me, swarm_authority.ACL, token, "swarm_ca.management", token["servers"])
    elif state.get("acl") and mine.get([me], swarm_authority.ACL):
        # Remove it from the mine only: the CA keeps it in case ACLs are enabled again.
        mine.forget(swarm_authority.ACL)


def sign(request, **kwargs):
    """
    Return a certificate for a member, ``{"cert": PEM}``, or ``{"refused": why}``.

    ``{"busy": why}``: retry later. Members call this through the master, which supplies their ID.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.sign '{}'  # refused: the command names no minion
        salt m4 publish.publish m1 swarm_ca.sign '[{csr: ..., kind: node, address: 10.0.0.14}]'

    request
        A mapping of ``csr`` (PEM), ``kind`` (``node`` or ``client``) and ``address``.
    """
    me = __opts__["id"]
    try:
        minion = swarm_caller.name(kwargs, me)
        asked = swarm_authority.parsed(request)
        known = [me] if minion == me else swarm_member_rules.members(_settings())
        with swarm_caller.admitted(minion, known), _turn(minion == me):
            return {"cert": _issue(minion, asked)}
    except swarm_errors.BusyError as err:
        return {"busy": str(err)}
    except swarm_errors.SwarmError as err:
        return {"refused": str(err)}


def _turn(own):
    """Sign one request at a time; other minions do not wait in a queue, but ask again."""
    limit = {} if own else {"limit": _PATIENCE}
    lock = swarm_files.alone(swarm_authority.LOCK, **limit)
    return swarm_caller.unqueued(lock, lambda err: f"busy with other requests: {err}")


def _issue(minion, asked):
    # Refresh the pillar: the requester may have been added since the last refresh.
    settings = __salt__["swarm_settings.get"](fresh=minion != __opts__["id"])
    state = _state()
    who = swarm_authority.Asked(minion, asked["kind"], asked["address"])
    state, cert = swarm_authority.issue(who, asked["csr"], settings, state)
    swarm_authority.save(state)
    return cert


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
    with swarm_files.alone(swarm_authority.LOCK):
        state = swarm_authority.load()
        if minion not in state.get("issued", {}):
            return {}
        address = state["issued"][minion]
        swarm_authority.save(swarm_authority.without(state, minion))
    return {minion: {"old": address, "new": None}}


def certificate():
    """
    Return the certificates that members trust, as PEM, and the remaining days of each.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_ca.certificate
    """
    text = swarm_authority.trust(_state())
    days = [round(swarm_pki.days_left(one)) for one in swarm_pki.bundle(text)]
    return {"trust": text, "days left": days}


def _dependants():
    """Return the members that still need the CA, as a sentence."""
    me, settings = __opts__["id"], _settings()
    if _has_moved(settings):
        return None
    if left := sorted(set(_reports(settings)) - {me}):
        return (
            f"the CA of {me} stays, for {', '.join(left)} has certificates of it: clean the others"
            f" first, or salt-key -d what is gone; then salt {me} swarm_ca.remove"
        )
    return None


def _has_moved(settings):
    """Check whether another minion is this CA by the pillar, and has published it."""
    ca = settings["tls"]["ca"]
    if settings["is_ca"] or not ca:
        return False
    told = _mine().get([ca], swarm_authority.RECORD).get(ca) or {}
    own = swarm_pki.fingerprint(swarm_authority.load()["ca"]["cert"])
    return own in swarm_pki.fingerprints(told.get("trust", ""))


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
    if not swarm_authority.load():
        return {}
    if not test:
        with swarm_current.pillar(__context__, fresh):
            # If all members are cleaned at once, the others finish shortly.
            swarm_wait.until(_dependants, _TOGETHER)
        swarm_files.write(swarm_authority.FILE, None)
        for name in (swarm_authority.RECORD, swarm_authority.ACL):
            _mine().forget(name)
    return {"CA": {"old": "present", "new": None}}
