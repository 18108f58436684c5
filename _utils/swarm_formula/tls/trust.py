"""
Find the CA that this node is to trust, and refuse one that nobody has announced.
"""

from typing import Any

from swarm_formula.core import errors, host_files, pem_text
from swarm_formula.core import wait as core_wait
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt.mine import Mine
from swarm_formula.tls import ca_record, ca_state, cert_files

# The section of the record that names the CA's minion.
_RECORD = "tls"


def note(ca: str | None) -> None:
    """Record the minion that is the CA of this node's certificate, ``None`` for none."""
    host_files.note(_RECORD, {"ca": ca} if ca else {})


def _record(settings: Settings, mine: Mine) -> dict[str, Any]:
    """Return the record that the CA publishes to the members, ``{}`` if there is none yet."""
    if settings["is_ca"]:
        state = ca_state.load()
        return ca_record.record(state) if state else {}
    ca = ca_state.minion(settings)
    found = mine.learn(settings["id"], ca, ca_record.RECORD, ca_record.REPORT)
    return found if isinstance(found, dict) else {}


def find(settings: Settings, mine: Mine) -> dict[str, Any]:
    """Return the CA's record, ``{}`` if there is none yet; raise an error if the mine fails."""
    found = _record(settings, mine)
    if not found and not settings["is_ca"]:
        mine.refuse_forgetful(settings["id"])
    return found


def wait(settings: Settings, mine: Mine, test: bool) -> dict[str, Any]:
    """Return the CA's record; wait until it has all that this node needs of it."""
    found = find(settings, mine)
    if test and not found and settings["is_ca"]:
        return {}  # the run would restore the CA first, as the one that this host trusts
    if not found:
        _refuse_moved(settings)

    def probe() -> str | None:
        found.update(_record(settings, mine))
        return None if enough() else _untold(settings, found)

    def enough() -> bool:
        # A dry run changes nothing on the CA, which the run would have upgraded first.
        return bool(found) if test else ca_record.is_complete(found, settings)

    if not enough():
        core_wait.until(probe, 0 if test else settings["timeout"])
    return found


def confirmed(
    settings: Settings, mine: Mine, authority: dict[str, Any], cert: str
) -> dict[str, Any]:
    """
    Return the CA's record that has the CA of a new certificate; wait until it is published.

    The mine keeps the record of a lost CA until the CA that replaces it publishes its own.

    authority
        The record that was found before the request.
    """
    found = dict(authority)

    def probe() -> str | None:
        if not ca_record.has_signed(found, cert):
            found.update(_record(settings, mine))
        if ca_record.has_signed(found, cert):
            return None
        ca, me = settings["tls"]["ca"], settings["id"]
        return (
            f"{ca}, the CA (swarm:tls:ca), has signed for {me} by a CA that it has not published:"
            f" apply swarm on {ca}"
        )

    core_wait.until(probe, settings["timeout"])
    return found


def _untold(settings: Settings, found: dict[str, Any]) -> str:
    """Return what the CA has to publish before this node can have a certificate."""
    ca, me = settings["tls"]["ca"], settings["id"]
    if found:
        titles = [ca_state.TITLES[one] for one in ca_record.lacking(found, settings)]
        lacking = " and no ".join(titles)
        mode = settings["mode"]
        return (
            f"{ca}, the CA (swarm:tls:ca), has no {lacking} yet, without which {me} gets no"
            f" certificate in {mode} mode: apply swarm on {ca}, with this version of the formula"
            f" and mode: {mode} in its pillar"
        )
    return (
        f"{ca}, the CA (swarm:tls:ca), has not told {me} whom to trust: apply swarm there, with a"
        f" pillar that has {me} in swarm:nodes"
    )


def _refuse_moved(settings: Settings) -> None:
    """
    Raise an error if ``swarm:tls:ca`` no longer names the CA that this node trusts.

    A CA does not move with the pillar; a changed list of managers may make it appear so.
    """
    ca, me = ca_state.minion(settings), settings["id"]
    if cert_files.NODE.read() is None:
        return
    if (was := _former(ca, me)) != ca:
        raise errors.SwarmError(
            f"swarm:tls:ca is {ca} by now (by default, it is the first manager), and {was} is the"
            f" CA that {me} trusts: nothing was changed. Name {was} in swarm:tls:ca. If the CA is"
            f" to be on {ca}: apply there first, where a manager restores it from a copy; without"
            f" one, bring {ca_state.FILE} there before. If {me} is"
            f" to move to another swarm, that of {ca}: name {me} in swarm:nodes there, apply there,"
            f" then salt {me} swarm_tls.distrust, and apply again"
        )


def _former(ca: str, me: str) -> str:
    """Return the minion that was the CA of this node's certificate, ``ca`` if unknown."""
    return host_files.record(_RECORD).get("ca") or (me if ca_state.load() else ca)


def refuse_stranger(
    settings: Settings, have: cert_files.Set | None, authority: dict[str, Any]
) -> None:
    """Raise an error for an unannounced CA: the old one was lost, or the new one is foreign."""
    if not (have and authority):
        return
    known = set(pem_text.fingerprints(have.ca))
    if known.isdisjoint(pem_text.fingerprints(authority["trust"])):
        ca, me = ca_state.minion(settings), settings["id"]
        if (was := _former(ca, me)) != ca:
            raise errors.SwarmError(
                f"the CA of {ca} is another one than {me} trusts, which is that of {was}: nothing"
                f" was changed. If {me} is to move to the swarm of {ca}: salt {me}"
                f" swarm_tls.distrust, and apply again. If not, name {was} in swarm:tls:ca"
            )
        raise errors.SwarmError(
            f"the CA of {ca} is another one than {me} trusts, and was not announced by it: give"
            f" {ca} back its {ca_state.FILE}, or, if it is lost or this is on purpose:"
            f" salt '*' swarm_tls.distrust, and apply again"
        )
