"""
Decide which minions the engine ``swarm_autojoin`` asks and joins, and when.

It does not use Salt and has no clock: easy to test.
"""

import fnmatch
import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

_ID = r"([A-Za-z0-9][A-Za-z0-9._-]{0,252})"
_START = re.compile(rf"salt/minion/{_ID}/start")
_RETURN = re.compile(rf"salt/job/([0-9_]+)/ret/{_ID}")

ASK, JOIN = "swarm_node.joined", "state.apply"
_ASK_BATCH = 200
# Seconds to wait for the returns of a publish: a query, and a join that may install an engine.
_LIMITS = {ASK: 15, JOIN: 1200}
_LONGEST = 1200
_MEMBER = "swarm_node_|-"


class Flight(NamedTuple):
    """A publish for which some minions have not returned yet."""

    what: str
    minions: set[str]
    until: float


class Outcome(NamedTuple):
    """The result for one minion, which is sent as an event."""

    minion: str
    joined: bool
    reason: str = ""


class Queue:
    """The minions that are to be queried or joined, and the publishes that are on their way."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        targets: str | Iterable[str],
        window: float = 5,
        batch: int = 50,
        batches: int = 2,
        cooldown: float = 60,
        backoff: float = 30,
        tries: int = 7,
    ) -> None:
        self.targets = [targets] if isinstance(targets, str) else list(targets)
        self.window, self.cooldown, self.backoff = window, cooldown, backoff
        self.batch, self.batches, self.tries = batch, batches, tries
        self.waiting = {ASK: {}, JOIN: {}}  # minion: earliest time
        self.published = {ASK: float("-inf"), JOIN: float("-inf")}
        self.asked = {}  # minion: time of the last query
        self.failed = {}  # minion: consecutive failures
        self.flights = {}  # job: Flight

    def wanted(self, minion: str) -> bool:
        """Return whether a minion ID matches ``targets``."""
        return any(fnmatch.fnmatchcase(minion, glob) for glob in self.targets)

    def hint(self, tag: str, data: object, now: float) -> str | None:
        """Record a start event; return why it is rejected, or ``None`` if it is valid."""
        match = _START.fullmatch(tag)
        if not match:
            return "that is no ID of a minion"
        minion = match[1]
        if not isinstance(data, dict) or data.get("id") != minion:
            return "the ID in it is another one"
        if self.wanted(minion) and not self._busy(minion):
            # Delayed, but never dropped: a forged event must not suppress the real one.
            earliest = self.asked.get(minion, float("-inf")) + self.cooldown
            self.waiting[ASK][minion] = max(now, earliest)
        return None

    def _busy(self, minion: str) -> bool:
        flying = (flight.minions for flight in self.flights.values() if flight.what == JOIN)
        waiting = minion in self.waiting[ASK] or minion in self.waiting[JOIN]
        return waiting or any(minion in minions for minions in flying)

    def due(self, what: str, now: float) -> list[str]:
        """Return the minions for the next publish, or an empty list if it is not due yet."""
        size = _ASK_BATCH if what == ASK else self.batch
        ready = [minion for minion, when in self.waiting[what].items() if when <= now]
        ready = ready[: size if what == ASK else min(size, self._free())]
        if len(ready) < size and now - self.published[what] < self.window:
            return []
        return ready

    def _free(self) -> int:
        """Return how many more minions may join now; running joins may be waiting for them."""
        flying = (len(one.minions) for one in self.flights.values() if one.what == JOIN)
        return max(self.batch * self.batches - sum(flying), 0)

    def sent(
        self, what: str, minions: Collection[str], job: str, accepted: Collection[str], now: float
    ) -> list[str]:
        """Record a publish; return the minions without an accepted key, which are dropped."""
        self.published[what] = now
        for minion in minions:
            del self.waiting[what][minion]
            if what == ASK:
                self.asked[minion] = now
        if accepted:
            self.flights[job] = Flight(what, set(accepted), now + _LIMITS[what])
        self.asked = {one: when for one, when in self.asked.items() if now - when < self.cooldown}
        return sorted(set(minions) - set(accepted))

    def unsent(self, what: str, now: float) -> None:
        """Record a failed publish: the same minions are due again later."""
        self.published[what] = now

    def returned(self, tag: str, data: object, now: float) -> Outcome | None:
        """Record a job return; return the ``Outcome`` if there is one to report."""
        match = _RETURN.fullmatch(tag)
        flight = self.flights.get(match[1]) if match else None
        if not flight or not isinstance(data, dict) or match[2] not in flight.minions:
            return None
        minion = match[2]
        flight.minions.discard(minion)
        if not flight.minions:
            del self.flights[match[1]]
        if flight.what == ASK:
            return self._answered(minion, data.get("return"), now)
        reason = failure(data)
        if reason:
            return self._again(minion, reason, now)
        self.failed.pop(minion, None)
        return Outcome(minion, joined=True) if joined(data) else None

    def _answered(self, minion: str, answer: object, now: float) -> Outcome | None:
        if answer is not True:
            self.waiting[JOIN][minion] = now
            return None
        # After a reported failure, report that the minion is healthy after all: its run was only
        # cut short, and the node became healthy later.
        told = self.failed.pop(minion, 0)
        return Outcome(minion, joined=True) if told else None

    def overdue(self, now: float) -> list[Outcome]:
        """Return the outcomes of the minions that have not returned in time."""
        found = []
        for job, flight in list(self.flights.items()):
            if flight.until <= now:
                del self.flights[job]
                found += [self._unanswered(one, flight.what, now) for one in flight.minions]
        return [outcome for outcome in found if outcome]

    def _unanswered(self, minion: str, what: str, now: float) -> Outcome | None:
        if what == ASK and minion not in self.failed:
            # After a restart of the master, a minion sends its start event before it can receive
            # a publish.
            self.failed[minion] = 0
            self.waiting[ASK][minion] = now
            return None
        return self._again(minion, "it does not answer", now)

    def _again(self, minion: str, reason: str, now: float) -> Outcome:
        """Schedule a retry; the delay doubles each time, and the number of tries is limited."""
        count = self.failed[minion] = self.failed.get(minion, 0) + 1
        if count < self.tries:
            self.waiting[ASK][minion] = now + min(self.backoff * 2 ** (count - 1), _LONGEST)
        else:
            del self.failed[minion]
            reason = f"{reason}; given up after {count} tries: salt-run swarm.reconcile"
        return Outcome(minion, joined=False, reason=reason)


def joined(data: dict) -> bool:
    """Return whether a return of ``swarm.join`` is from a member; other minions do nothing."""
    states = data.get("return")
    return isinstance(states, dict) and any(str(key).startswith(_MEMBER) for key in states)


def failure(data: dict) -> str:
    """Return why a state run failed, as a string for any kind of return; empty if it succeeded."""
    states = data.get("return")
    if isinstance(states, dict):
        bad = [
            str(state.get("comment"))
            for state in states.values()
            if isinstance(state, dict) and state.get("result") is False
        ]
        # A state that failed because of its requisite does not contain the reason.
        first = [text for text in bad if not text.startswith("One or more requisite failed")] or bad
        return first[0][:1000] if first else ""
    text = "; ".join(map(str, states)) if isinstance(states, list) else str(states)
    return text[:1000] or "it returned nothing"
