"""
Give a copy of the CA to another minion, and ask other minions for theirs.

Managers are root on all engines, so a copy gives them nothing new. The master and the mine see only
ciphertext. Who gets a copy depends on the pillar of the minion that gives it, never on a request.
"""

from typing import Any

from swarm_formula.core import errors, wait
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt import peer_call
from swarm_formula.tls import ca_copy, ca_copy_store, ca_load, ca_state, seal
from swarm_formula.tls.ca_copy import Copy

_FUNCTION = "swarm_ca_copy.give"
# Seconds to wait for the CA: it may be busy with others.
_BUSY = 30
PEER = (
    "that minion is down, or the master does not let minions ask it (peer: swarm_ca_copy.give in"
    " the master's configuration, see the state swarm.master)"
)


def given(minion: str, key: object, settings: Settings) -> dict[str, Any]:
    """
    Return the CA encrypted for another minion's key, ``{"ca", "box"}``, or ``{"none": why}``.

    The CA gives it to managers, and a manager to the CA's minion, both by the pillar of the giver.
    """
    me = settings["id"]
    if settings["is_ca"]:
        if minion not in settings["managers"]:
            raise _refused(minion, f"the pillar of {me}, the CA, does not name it as a manager")
        if not (state := ca_load.find(me)):
            return {"none": f"{me} is no CA (yet)"}
        return _sealed(Copy(me, me, state), minion, key)
    if not settings["is_manager"] or minion != settings["tls"]["ca"]:
        raise _refused(minion, f"it is not the CA (swarm:tls:ca) in the pillar of {me}, a manager")
    if not (copy := ca_copy_store.own(me)):
        return {"none": f"{me} has no copy"}
    if copy.issuer not in ca_copy_store.trusted():
        return {"none": f"{me} does not trust the CA of its copy any more"}
    return _sealed(copy, minion, key)


def _refused(minion: str, why: str) -> errors.SwarmError:
    return errors.SwarmError(f"no copy of the CA for {minion}: {why}")


def _sealed(copy: Copy, minion: str, key: object) -> dict[str, Any]:
    if not isinstance(key, str):
        raise _refused(minion, "its request has no key")
    return ca_copy.sealed(copy, minion, key)


def fetch(salt: Salt, settings: Settings, published: dict[str, Any]) -> None:
    """Replace this host's copy by the CA's present state; the old one stays after an error."""
    me, ca = settings["id"], ca_state.minion(settings)
    key, cure = ca_copy_store.own_key(), f"{me} has no current copy of the CA of {ca}"

    def asked() -> dict[str, Any]:
        answer = ask(salt, [ca], key).get(ca)
        if not isinstance(answer, dict) or answer.keys() & {"busy", "none"}:
            raise errors.BusyError(f"{cure}: {_unanswered(answer)}")
        return answer

    answer = wait.asked(asked, errors.BusyError, _BUSY)
    if "box" not in answer:
        raise errors.SwarmError(f"{cure}: {_unanswered(answer)}")
    try:
        copy = ca_copy.opened(ca, answer, key, me)
    except errors.SwarmError as err:
        raise errors.SwarmError(f"{cure}: of what it sends, {err}") from err
    if copy.issuer not in ca_copy_store.trusted():
        raise errors.SwarmError(f"{cure}: it sends a CA that {me} does not trust")
    told = {"ca": ca, "issuer": copy.issuer, "published": published.get(ca_state.SERIAL)}
    ca_copy_store.keep({**told, "box": answer["box"]})


def ask(salt: Salt, minions: list[str], key: str) -> dict[str, object]:
    """Return the answers of minions, ``{minion: answer}``, encrypted for a key of this host."""
    request = {"key": seal.public(key)}
    return peer_call.answers(salt, minions, _FUNCTION, [request])


def _unanswered(answer: object) -> str:
    if isinstance(answer, dict):
        return str(next(iter(answer.values()), "its answer is empty"))
    return f"its minion answers {answer[:200]}" if isinstance(answer, str) else PEER
