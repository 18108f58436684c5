"""
Restore a lost CA from the copies of the managers.
"""

from typing import Any

from swarm_formula.core import errors, host_files, wait
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt.mine import Mine
from swarm_formula.tls import (
    ca_copy,
    ca_copy_exchange,
    ca_copy_store,
    ca_record,
    ca_state,
    consul_secrets,
    seal,
)
from swarm_formula.tls.ca_copy import Copy


class Search:
    """The search of a CA's host for the copies of the CA that it has lost or never had."""

    def __init__(self, salt: Salt, settings: Settings, mine: Mine) -> None:
        self._salt, self._settings, self._mine = salt, settings, mine
        self._me = settings["id"]
        self._copies: list[Copy] = []
        self._faults: dict[str, str] = {}
        self._silent = self._holders()
        # For this search only: nothing has to be stored, not even in test mode.
        self._key = seal.new_key() if self._silent else ""

    def _holders(self) -> list[str]:
        """Return the other managers that have a copy, by their reports."""
        others = [one for one in self._settings["managers"] if one != self._me]
        said = self._mine.get(others, ca_record.REPORT) if others else {}
        return sorted(
            one for one, told in said.items() if isinstance(told, dict) and told.get("holds")
        )

    def result(self, test: bool) -> Copy | None:
        """Return the copy to restore, ``None`` if no manager has one."""
        self._take_own()
        if self._silent:
            wait.until(self._probe, 0 if test else self._settings["timeout"])
        if found := self._best():
            return found._replace(state=self._renewed(found))
        if self._faults:
            raise errors.SwarmError(self._hopeless())
        return None

    def _take_own(self) -> None:
        # After swarm_tls.distrust, the copy counts no more.
        if not (trusted := ca_copy_store.trusted()):
            return
        try:
            copy = ca_copy_store.own(self._me)
        except errors.SwarmError as err:
            self._faults[self._me] = str(err)
            return
        if copy and copy.issuer in trusted:
            self._copies.append(copy)

    def _probe(self) -> str | None:
        for holder, answer in ca_copy_exchange.ask(self._salt, self._silent, self._key).items():
            if holder in self._silent:
                self._take(holder, answer)
        if not self._silent or self._best():
            return None
        return (
            f"{self._me} is the CA by pillar (swarm:tls:ca) and has none. A copy is on"
            f" {', '.join(self._silent)}, of which no usable answer has come:"
            f" {ca_copy_exchange.PEER}. No second CA was made. Have one of them answer"
            f" and apply again, or bring a backup of"
            f" {ca_state.FILE} to {self._me}. If all are gone for good: take them out of"
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
            self._copies.append(ca_copy.opened(holder, answer, self._key, self._me))
        except errors.SwarmError as err:
            self._faults[holder] = str(err)

    def _best(self) -> Copy | None:
        """Return the newest of the copies that are of the CA that members trust."""
        published = [*self._published().values()]
        self._faults = {one: why for one, why in self._faults.items() if one not in self._holding()}
        good = []
        for copy in (ca_copy.followed(one, published) for one in self._copies):
            if why := ca_copy.stale(copy, published):
                self._faults[copy.holder] = why
            else:
                good.append(copy)
        if len({one.issuer for one in good}) > 1:
            self._faults |= {one.holder: f"its copy is of {one.issuer[:16]}" for one in good}
            return None

        def order(one: Copy) -> tuple[int, bool, str]:
            # Of two that are equal always the same: a dry run names the one that the run takes.
            return -ca_copy.serial(one.state), one.holder != self._me, one.holder

        return min(good, key=order, default=None)

    def _renewed(self, copy: Copy) -> dict[str, Any]:
        """Return the state of a copy, with Consul's secrets as published since it was made."""
        published = self._published()
        # Above all of before: a later change must not have the number of a copy that exists.
        serials = [
            ca_copy.serial(one) for one in (*published.values(), *(c.state for c in self._copies))
        ]
        state = {**copy.state, ca_state.SERIAL: max(serials)}
        newer = {
            minion: one
            for minion, one in published.items()
            if ca_copy.serial(one) > ca_copy.serial(copy.state) and not ca_copy.stale(copy, [one])
        }
        if not newer:
            return state
        last = max(newer, key=lambda minion: ca_copy.serial(newer[minion]))
        gossip = newer[last]["gossip"]
        state = consul_secrets.restored(state, consul_secrets.GOSSIP, gossip, newer[last])
        token = self._mine.get([last], ca_record.ACL).get(last)
        if isinstance(token, dict) and isinstance(token.get("token"), str):
            state = consul_secrets.restored(state, consul_secrets.TOKEN, token["token"], token)
        return state

    def _holding(self) -> set[str]:
        return {one.holder for one in self._copies}

    def _published(self) -> dict[str, dict[str, Any]]:
        """Return what the lost CA has published last, from the mine of its minion."""
        former = {self._me, host_files.record("tls").get("ca")}
        # Nobody who gives a copy vouches for it: its giver was not the CA.
        names = former | {one.ca for one in self._copies if one.ca != one.holder}
        found = self._mine.get(sorted(filter(None, names)), ca_record.RECORD)
        return {minion: one for minion, one in found.items() if isinstance(one, dict) and one}

    def _hopeless(self) -> str:
        told = "; ".join(f"{one}: {why}" for one, why in sorted(self._faults.items()))
        return (
            f"{self._me} is the CA by pillar (swarm:tls:ca) and has none, and no copy can be used:"
            f" {told}. No second CA was made. Bring a backup of {ca_state.FILE} to"
            f" {self._me}; without one, for a new CA: salt '*' swarm_tls.distrust, and apply again"
        )
