"""
Keep the managers' encrypted copies of the CA, and restore the CA from them.

Managers are root on all engines, so a copy gives them nothing new. The master and the mine see only
ciphertext. Who gets a copy depends on the pillar of the minion that gives it, never on a request.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import swarm_ca_record
import swarm_ca_rotation
import swarm_ca_state
import swarm_certs
import swarm_errors
import swarm_files
import swarm_pki
import swarm_renewal
import swarm_seal
import swarm_wait
from swarm_mine import Mine

FUNCTION = "swarm_ca_copy.give"
# Seconds to wait for the answers of other minions.
_ANSWER = 15
_KEYS = {"ca": dict, "old": list, "gossip": str, "issued": dict, "rotation": object}
_PEER = (
    "that minion is down, or the master does not let minions ask it (peer: swarm_ca_copy.give in"
    " the master's configuration, see the state swarm.master)"
)


class Copy(NamedTuple):
    """A copy of the CA's state, the minion that it comes from, and the CA that it is of."""

    holder: str
    ca: str
    state: dict

    @property
    def issuer(self) -> str:
        """Return the fingerprint of the CA that signs."""
        return swarm_pki.fingerprint(self.state["ca"]["cert"])


def _file() -> Path:
    return swarm_files.CONFIG / "ca.sealed"


def _key_file() -> Path:
    return swarm_files.CONFIG / "sealing.key"


def is_due(settings: dict) -> bool:
    """Check whether this host keeps a copy: each manager, except for the CA itself."""
    return bool(settings["tls"]["ca"]) and settings["is_manager"] and not settings["is_ca"]


def held() -> dict:
    """Return this host's encrypted copy, ``{}`` if it has none, or a damaged one."""
    try:
        return swarm_files.read_json(_file())
    except swarm_errors.SwarmError:
        return {}


def is_kept() -> bool:
    """Check whether this host has a copy or the key for one."""
    return _file().exists() or _key_file().exists()


def drop() -> None:
    """Remove this host's copy and its key."""
    for path in (_file(), _key_file()):
        swarm_files.write(path, None)


def _purpose(minion: str) -> str:
    return f"CA for {minion}"


def _key() -> str:
    """Return this host's key for copies; create it if it does not exist."""
    if not (key := (swarm_files.read(_key_file()) or "").strip()):
        key = swarm_seal.new_key()
        swarm_files.write(_key_file(), f"{key}\n", mode=0o600)
    return key


def parsed(text: str) -> dict:
    """Return the state of a CA; raise an error if it is not a complete and valid one."""
    try:
        state = json.loads(text)
        wrong = [key for key, kind in _KEYS.items() if not isinstance(state[key], kind)]
        pairs = [state["ca"], state["next"], *_of_clients(state)]
        faults = [fault for pair in pairs if pair for fault in _faults(pair)]
        swarm_ca_record.record(state)
    except (AttributeError, KeyError, TypeError, ValueError, swarm_errors.SwarmError) as err:
        # The text of the error could hold a part of the key.
        raise swarm_errors.SwarmError("it holds no CA") from err
    if wrong or faults:
        raise swarm_errors.SwarmError(f"it holds no valid CA: {', '.join([*wrong, *faults])}")
    return state


def _of_clients(state: dict) -> list[dict]:
    clients = state.get("clients")
    return [clients["ca"], clients["next"]] if clients else []


def _faults(pair: dict) -> list[str]:
    return swarm_pki.faults(pair["cert"], pair["key"], pair["cert"], (), ())


def given(minion: str, key: object, settings: dict) -> dict:
    """
    Return the CA encrypted for another minion's key, ``{"ca", "box"}``, or ``{"none": why}``.

    The CA gives it to managers, and a manager to the CA's minion, both by the pillar of the giver.
    """
    me = settings["id"]
    if settings["is_ca"]:
        if minion not in settings["managers"]:
            raise _refused(minion, f"the pillar of {me}, the CA, does not name it as a manager")
        if not (state := swarm_ca_state.load()):
            return {"none": f"{me} is no CA (yet)"}
        refuse_older(me, state)
        return _sealed(Copy(me, me, state), minion, key)
    if not settings["is_manager"] or minion != settings["tls"]["ca"]:
        raise _refused(minion, f"it is not the CA (swarm:tls:ca) in the pillar of {me}, a manager")
    if not (copy := own(me)):
        return {"none": f"{me} has no copy"}
    if copy.issuer not in _trusted():
        return {"none": f"{me} does not trust the CA of its copy any more"}
    return _sealed(copy, minion, key)


def _refused(minion: str, why: str) -> swarm_errors.SwarmError:
    return swarm_errors.SwarmError(f"no copy of the CA for {minion}: {why}")


def _sealed(copy: Copy, minion: str, key: object) -> dict:
    if not isinstance(key, str):
        raise _refused(minion, "its request has no key")
    text = swarm_files.to_json(copy.state)
    return {"ca": copy.ca, "box": swarm_seal.sealed(text, key, _purpose(minion))}


def _trusted() -> list[str]:
    """Return the fingerprints of the CAs that this host's certificate trusts."""
    have = swarm_certs.NODE.read()
    return swarm_pki.fingerprints(have.ca) if have else []


def own(me: str) -> Copy | None:
    """Return this host's copy, ``None`` if it has none."""
    if not (have := held()):
        return None
    try:
        return _opened(me, have, _key(), me)
    except swarm_errors.SwarmError as err:
        raise swarm_errors.SwarmError(f"{_file()} of {me} is no copy of the CA: {err}") from err


def refuse_older(me: str, state: dict) -> None:
    """
    Raise an error if the state in the CA's file is older than this host's copy.

    The CA has been on another host meanwhile: with the file's old secrets, members would go back.
    """
    try:
        copy = own(me)
    except swarm_errors.SwarmError:
        return  # a damaged copy says nothing of the file
    if not copy or copy.issuer not in _trusted() or _serial(copy.state) <= _serial(state):
        return
    raise swarm_errors.SwarmError(
        f"{swarm_ca_state.FILE} of {me} is older than its copy of the CA, which has been on"
        f" {copy.ca} meanwhile; nothing was changed. To continue with the CA as it was there,"
        f" remove {swarm_ca_state.FILE} from {me}; to go back to the file, salt {me}"
        " swarm_ca_copy.remove. Then apply again"
    )


def _opened(holder: str, answer: Mapping, key: str, me: str) -> Copy:
    state = parsed(swarm_seal.opened(answer.get("box"), key, _purpose(me)))
    return Copy(holder, str(answer.get("ca")), state)


def is_current(published: dict, me: str) -> bool:
    """Check whether this host's copy is good, and the CA has published no change since."""
    try:
        copy = own(me)
        # Another CA, or one from a backup, may have reached the same number.
        fits = copy and not _stale(copy, [published])
        return bool(fits) and held().get("published") == published.get(swarm_ca_state.SERIAL)
    except swarm_errors.SwarmError:
        return False


def fetch(salt: Mapping[str, Callable], settings: dict, published: dict) -> None:
    """Replace this host's copy by the CA's present state; the old one stays after an error."""
    me, ca = settings["id"], settings["tls"]["ca"]
    key, cure = _key(), f"{me} has no current copy of the CA of {ca}"
    answer = _ask(salt, [ca], key).get(ca)
    if not isinstance(answer, dict) or "box" not in answer:
        raise swarm_errors.SwarmError(f"{cure}: {_unanswered(answer)}")
    try:
        copy = _opened(ca, answer, key, me)
    except swarm_errors.SwarmError as err:
        raise swarm_errors.SwarmError(f"{cure}: of what it sends, {err}") from err
    if copy.issuer not in _trusted():
        raise swarm_errors.SwarmError(f"{cure}: it sends a CA that {me} does not trust")
    told = {"ca": ca, "issuer": copy.issuer, "published": published.get(swarm_ca_state.SERIAL)}
    text = swarm_files.to_json({**told, "box": answer["box"]})
    swarm_files.write(_file(), text, mode=0o600)


def _ask(salt: Mapping[str, Callable], minions: list[str], key: str) -> dict:
    request = {"key": swarm_seal.public(key)}
    answers = salt["publish.publish"](
        ",".join(minions), FUNCTION, arg=[request], tgt_type="list", timeout=_ANSWER
    )
    return answers if isinstance(answers, dict) else {}


def _unanswered(answer: object) -> str:
    if isinstance(answer, dict):
        return str(next(iter(answer.values()), "its answer is empty"))
    return f"its minion answers {answer[:200]}" if isinstance(answer, str) else _PEER


class Search:
    """The search of a CA's host for the copies of the CA that it has lost or never had."""

    def __init__(self, salt: Mapping[str, Callable], settings: dict, mine: Mine) -> None:
        self._salt, self._settings, self._mine = salt, settings, mine
        self._me = settings["id"]
        self._copies: list[Copy] = []
        self._faults: dict[str, str] = {}
        self._silent = self._holders()
        # For this search only: nothing has to be stored, not even in test mode.
        self._key = swarm_seal.new_key() if self._silent else ""

    def _holders(self) -> list[str]:
        """Return the other managers that have a copy, by their reports."""
        others = [one for one in self._settings["managers"] if one != self._me]
        said = self._mine.get(others, swarm_ca_record.REPORT) if others else {}
        return sorted(
            one for one, told in said.items() if isinstance(told, dict) and told.get("holds")
        )

    def result(self, test: bool) -> Copy | None:
        """Return the copy to restore, ``None`` if no manager has one."""
        self._take_own()
        if self._silent:
            swarm_wait.until(self._probe, 0 if test else self._settings["timeout"])
        if found := self._best():
            return found._replace(state=self._renewed(found))
        if self._faults:
            raise swarm_errors.SwarmError(self._hopeless())
        return None

    def _take_own(self) -> None:
        # After swarm_tls.distrust, the copy counts no more.
        if not (trusted := _trusted()):
            return
        try:
            copy = own(self._me)
        except swarm_errors.SwarmError as err:
            self._faults[self._me] = str(err)
            return
        if copy and copy.issuer in trusted:
            self._copies.append(copy)

    def _probe(self) -> str | None:
        for holder, answer in _ask(self._salt, self._silent, self._key).items():
            if holder in self._silent:
                self._take(holder, answer)
        if not self._silent or self._best():
            return None
        return (
            f"{self._me} is the CA by pillar (swarm:tls:ca) and has none. A copy is on"
            f" {', '.join(self._silent)}, of which no usable answer has come: {_PEER}. No second CA"
            f" was made. Have one of them answer and apply again, or bring a backup of"
            f" {swarm_ca_state.FILE} to {self._me}. If all are gone for good: take them out of"
            " swarm:managers, salt '*' swarm_tls.distrust, and apply again"
        )

    def _take(self, holder: str, answer: object) -> None:
        if not isinstance(answer, dict) or "busy" in answer:
            return
        self._silent.remove(holder)
        if "none" in answer:
            return
        if "refused" in answer:
            self._faults[holder] = str(answer["refused"])
            return
        try:
            self._copies.append(_opened(holder, answer, self._key, self._me))
        except swarm_errors.SwarmError as err:
            self._faults[holder] = str(err)

    def _best(self) -> Copy | None:
        """Return the newest of the copies that are of the CA that members trust."""
        published = [*self._published().values()]
        self._faults = {one: why for one, why in self._faults.items() if one not in self._holding()}
        good = []
        for copy in (_followed(one, published) for one in self._copies):
            if why := _stale(copy, published):
                self._faults[copy.holder] = why
            else:
                good.append(copy)
        if len({one.issuer for one in good}) > 1:
            self._faults |= {one.holder: f"its copy is of {one.issuer[:16]}" for one in good}
            return None

        def order(one: Copy) -> tuple:
            # Of two that are equal always the same: a dry run names the one that the run takes.
            return -_serial(one.state), one.holder != self._me, one.holder

        return min(good, key=order, default=None)

    def _renewed(self, copy: Copy) -> dict:
        """Return the state of a copy, with Consul's secrets as published since it was made."""
        published = self._published()
        # Above all of before: a later change must not have the number of a copy that exists.
        serials = [_serial(one) for one in (*published.values(), *(c.state for c in self._copies))]
        state = {**copy.state, swarm_ca_state.SERIAL: max(serials)}
        newer = {
            minion: one
            for minion, one in published.items()
            if _serial(one) > _serial(copy.state) and not _stale(copy, [one])
        }
        if not newer:
            return state
        last = max(newer, key=lambda minion: _serial(newer[minion]))
        gossip = newer[last]["gossip"]
        state = swarm_renewal.restored(state, swarm_renewal.GOSSIP, gossip, newer[last])
        token = self._mine.get([last], swarm_ca_record.ACL).get(last)
        if isinstance(token, dict) and isinstance(token.get("token"), str):
            state = swarm_renewal.restored(state, swarm_renewal.TOKEN, token["token"], token)
        return state

    def _holding(self) -> set[str]:
        return {one.holder for one in self._copies}

    def _published(self) -> dict[str, dict]:
        """Return what the lost CA has published last, from the mine of its minion."""
        former = {self._me, swarm_files.record("tls").get("ca")}
        # Nobody who gives a copy vouches for it: its giver was not the CA.
        names = former | {one.ca for one in self._copies if one.ca != one.holder}
        found = self._mine.get(sorted(filter(None, names)), swarm_ca_record.RECORD)
        return {minion: one for minion, one in found.items() if isinstance(one, dict) and one}

    def _hopeless(self) -> str:
        told = "; ".join(f"{one}: {why}" for one, why in sorted(self._faults.items()))
        return (
            f"{self._me} is the CA by pillar (swarm:tls:ca) and has none, and no copy can be used:"
            f" {told}. No second CA was made. Bring a backup of {swarm_ca_state.FILE} to"
            f" {self._me}; without one, for a new CA: salt '*' swarm_tls.distrust, and apply again"
        )


def _serial(state: dict) -> int:
    """Return the number of a CA's state, or of its record."""
    serial = state.get(swarm_ca_state.SERIAL)
    return serial if isinstance(serial, int) else 0


def _followed(copy: Copy, published: list[dict]) -> Copy:
    """Return a copy from before the new CA of a rotation signs as one from after that."""
    following, issuers = copy.state["next"], {one.get("issuer") for one in published}
    missed = following and copy.issuer not in issuers
    if missed and swarm_pki.fingerprint(following["cert"]) in issuers:
        return copy._replace(state=swarm_ca_rotation.followed(copy.state))
    return copy


def _stale(copy: Copy, published: list[dict]) -> str | None:
    """Return why a copy is not of the CA that was published last, ``None`` if it is."""
    if not published:
        return None
    if copy.issuer not in {one.get("issuer") for one in published}:
        return f"its copy is of another CA ({copy.issuer[:16]}) than the one that members trust"
    # In a renewal, the copy may have the published key as the next one.
    followed = swarm_renewal.followed(copy.state, swarm_renewal.GOSSIP)
    keys = {copy.state["gossip"], str(followed["gossip"])}
    if keys.isdisjoint(one.get("gossip") for one in published):
        return "its copy is older than Consul's gossip key"
    return None
