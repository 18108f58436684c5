"""
Join minions to the swarm when they come online.

Start events are hints: any accepted minion can forge both the tag and the data of
``salt/minion/<id>/start``. The engine therefore uses only the ID; it must be a valid minion ID,
match ``targets`` and have an accepted key. The engine then does what an operator would do: the
minion's own pillar, compiled by the master for its authenticated ID, determines the node's role.

When a minion starts, the engine first asks it whether it is already a healthy member, because a
query is much cheaper for the master than a state run. Only minions that are not healthy members get
``state.apply swarm.join``. A single minion is queried at once; minions that start within ``window``
after that are collected and queried with one publish. A failed join is retried, and the delay
doubles each time. The events ``swarm/node/<id>/joined`` and ``.../failed`` (with the ``reason``)
report the result. If an event is lost, for example while the master is down, the minions' own
schedule and ``salt-run swarm.reconcile`` join the minion later.

.. code-block:: yaml

    # /etc/salt/master.d/swarm.conf, as the SLS swarm.master writes it
    engines:
      - swarm_autojoin:
          targets: ['swarm-*']   # globs of minion IDs: minions that may get the `swarm` pillar
          window: 5              # seconds in which further start events are collected
          batch: 50              # minions in one publish of a state
          batches: 2             # at most batch * batches minions join at the same time
          cooldown: 60           # seconds until the same minion is asked again
          backoff: 30            # seconds until the second try; doubles up to 20 minutes
          tries: 7               # then the schedule and swarm.reconcile take over
          remove_after: null     # seconds after `salt-key -d` until swarm.remove; null: never
"""

import fnmatch
import logging
import re
import time
from typing import NamedTuple

import salt.client
import salt.runner
import salt.utils.event
import salt.utils.minions

log = logging.getLogger(__name__)

_ID = r"([A-Za-z0-9][A-Za-z0-9._-]{0,252})"
_START = re.compile(rf"salt/minion/{_ID}/start")
_RETURN = re.compile(rf"salt/job/([0-9_]+)/ret/{_ID}")
_KEY = "salt/key"

ASK, JOIN = "swarm_node.joined", "state.apply"
_ASK_BATCH = 200
# Seconds to wait for the returns of a publish: a query, and a join that may install an engine.
_LIMITS = {ASK: 15, JOIN: 1200}
_LONGEST = 1200
# Seconds between two checks of the accepted keys, after a key event and without one; and between
# two removals, so that the managers have finished one before the next starts.
_KEYS_LOOK, _KEYS_POLL, _KEYS_PACE = 1, 60, 60
_MEMBER = "swarm_node_|-"


class Flight(NamedTuple):
    """A publish for which some minions have not returned yet."""

    what: str
    minions: set
    until: float


class Outcome(NamedTuple):
    """The result for one minion, which is sent as an event."""

    minion: str
    joined: bool
    reason: str = ""


class Queue:
    """Decide which minions to query and to join, and when. It does not use Salt: easy to test."""

    def __init__(  # noqa: PLR0913, PLR0917
        self, targets, window=5, batch=50, batches=2, cooldown=60, backoff=30, tries=7
    ):
        self.targets = [targets] if isinstance(targets, str) else list(targets)
        self.window, self.cooldown, self.backoff = window, cooldown, backoff
        self.batch, self.batches, self.tries = batch, batches, tries
        self.waiting = {ASK: {}, JOIN: {}}  # minion: earliest time
        self.published = {ASK: float("-inf"), JOIN: float("-inf")}
        self.asked = {}  # minion: time of the last query
        self.failed = {}  # minion: consecutive failures
        self.flights = {}  # job: Flight

    def wanted(self, minion):
        """Return whether a minion ID matches ``targets``."""
        return any(fnmatch.fnmatchcase(minion, glob) for glob in self.targets)

    def hint(self, tag, data, now):
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

    def _busy(self, minion):
        flying = (flight.minions for flight in self.flights.values() if flight.what == JOIN)
        waiting = minion in self.waiting[ASK] or minion in self.waiting[JOIN]
        return waiting or any(minion in minions for minions in flying)

    def due(self, what, now):
        """Return the minions for the next publish, or an empty list if it is not due yet."""
        size = _ASK_BATCH if what == ASK else self.batch
        ready = [minion for minion, when in self.waiting[what].items() if when <= now]
        ready = ready[: size if what == ASK else min(size, self._free())]
        if len(ready) < size and now - self.published[what] < self.window:
            return []
        return ready

    def _free(self):
        """Return how many more minions may join now; running joins may be waiting for them."""
        flying = (len(one.minions) for one in self.flights.values() if one.what == JOIN)
        return max(self.batch * self.batches - sum(flying), 0)

    def sent(self, what, minions, job, accepted, now):
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

    def unsent(self, what, now):
        """Record a failed publish: the same minions are due again later."""
        self.published[what] = now

    def returned(self, tag, data, now):
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

    def _answered(self, minion, answer, now):
        if answer is not True:
            self.waiting[JOIN][minion] = now
            return None
        # After a reported failure, report that the minion is healthy after all: its run was only
        # cut short, and the node became healthy later.
        told = self.failed.pop(minion, 0)
        return Outcome(minion, joined=True) if told else None

    def overdue(self, now):
        """Return the outcomes of the minions that have not returned in time."""
        found = []
        for job, flight in list(self.flights.items()):
            if flight.until <= now:
                del self.flights[job]
                found += [self._unanswered(one, flight.what, now) for one in flight.minions]
        return [outcome for outcome in found if outcome]

    def _unanswered(self, minion, what, now):
        if what == ASK and minion not in self.failed:
            # After a restart of the master, a minion sends its start event before it can receive
            # a publish.
            self.failed[minion] = 0
            self.waiting[ASK][minion] = now
            return None
        return self._again(minion, "it does not answer", now)

    def _again(self, minion, reason, now):
        """Schedule a retry; the delay doubles each time, and the number of tries is limited."""
        count = self.failed[minion] = self.failed.get(minion, 0) + 1
        if count < self.tries:
            self.waiting[ASK][minion] = now + min(self.backoff * 2 ** (count - 1), _LONGEST)
        else:
            del self.failed[minion]
            reason = f"{reason}; given up after {count} tries: salt-run swarm.reconcile"
        return Outcome(minion, joined=False, reason=reason)


def joined(data):
    """Return whether a return of ``swarm.join`` is from a member; other minions do nothing."""
    states = data.get("return")
    return isinstance(states, dict) and any(str(key).startswith(_MEMBER) for key in states)


def failure(data):
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


class Leaving:
    """
    Members whose key was deleted, until they are due for removal; removed one at a time.

    A key event only triggers a check of the accepted keys, because any accepted minion can forge
    one. A member is removed if it had an accepted key at the previous check and has none now.
    """

    def __init__(self, after, wanted, accepted):
        self.after, self.wanted, self.accepted = after, wanted, accepted
        self.known = set(accepted()) if after is not None else set()
        self.waiting = {}  # minion: time of its removal
        self.hinted = False
        self.looked = self.removed = float("-inf")

    def hint(self):
        """Record a key event."""
        self.hinted = True

    def _look(self, now):
        if now - self.looked < (_KEYS_LOOK if self.hinted else _KEYS_POLL):
            return
        there = set(self.accepted())
        for minion in sorted(filter(self.wanted, self.known - there)):
            self.waiting.setdefault(minion, now + self.after)
        self.waiting = {one: when for one, when in self.waiting.items() if one not in there}
        self.known, self.looked, self.hinted = there, now, False

    def due(self, now):
        """Return the next minion to remove, or ``None`` if none is due."""
        if self.after is None:
            return None
        self._look(now)
        ready = [minion for minion, when in self.waiting.items() if when <= now]
        if not ready or now - self.removed < _KEYS_PACE:
            return None
        self.removed = now
        del self.waiting[ready[0]]
        return ready[0]


def _publish(client, queue, what, now):
    minions = queue.due(what, now)
    if not minions:
        return
    kwarg = {"mods": "swarm.join", "queue": True} if what == JOIN else {}
    try:
        # With a list, the master looks up only these IDs, and drops those without an accepted key.
        job = client.run_job(minions, what, tgt_type="list", kwarg=kwarg)
    except Exception:
        log.exception("swarm_autojoin: publish failed, trying again")
        queue.unsent(what, now)
        return
    unknown = queue.sent(what, minions, job.get("jid"), job.get("minions", ()), now)
    log.info("swarm_autojoin: %s to %d minions, job %s", what, len(minions), job.get("jid"))
    if unknown:
        log.warning("swarm_autojoin: no accepted key for %s", ", ".join(unknown))


def _tell(bus, outcome):
    word = "joined" if outcome.joined else "failed"
    level = logging.INFO if outcome.joined else logging.WARNING
    # The minion has written the reason: it must not add lines to the log.
    reason = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in outcome.reason)
    log.log(level, "swarm_autojoin: %s %s %s", outcome.minion, word, reason)
    data = {"id": outcome.minion, **({"reason": reason} if reason else {})}
    bus.fire_event(data, f"swarm/node/{outcome.minion}/{word}")


def _accepted(minions="*"):
    kind = "glob" if minions == "*" else "list"
    return salt.utils.minions.CkMinions(__opts__).check_minions(minions, kind)["minions"]


def _remove(minion):
    """Remove a member whose key was deleted, unless the key has been accepted again."""
    if _accepted([minion]):
        return
    log.info("swarm_autojoin: the key of %s is gone, removing it", minion)
    low = {"fun": "swarm.remove", "arg": [minion], "kwarg": {}}
    salt.runner.RunnerClient(__opts__).asynchronous("swarm.remove", low, user="swarm_autojoin")


def _took(queue, leaving, event, now):
    """Process an event; return the outcome that it reports, if any."""
    tag, data = event["tag"], event["data"]
    if tag == _KEY:
        leaving.hint()
    elif tag.startswith("salt/job/"):
        return queue.returned(tag, data, now)
    elif tag.startswith("salt/minion/") and tag.endswith("/start"):
        refused = queue.hint(tag, data, now)
        if refused:
            log.warning("swarm_autojoin: %.200r is left alone: %s", tag, refused)
    return None


def start(targets, remove_after=None, **options):
    """Listen on the master's event bus until the engine is stopped."""
    queue = Queue(targets, **options)
    leaving = Leaving(remove_after, queue.wanted, _accepted)
    looked = 0
    with (
        salt.utils.event.get_event(
            "master", sock_dir=__opts__["sock_dir"], opts=__opts__, listen=True
        ) as bus,
        salt.client.get_local_client(mopts=__opts__) as client,
    ):
        while True:
            event = bus.get_event(wait=0.5, tag="salt/", full=True, auto_reconnect=True)
            now = time.monotonic()
            outcome = event and _took(queue, leaving, event, now)
            if outcome:
                _tell(bus, outcome)
            # In a burst of events, do not check after each of them what is due.
            if event and now - looked < 0.2:  # noqa: PLR2004
                continue
            looked = now
            for outcome in queue.overdue(now):
                _tell(bus, outcome)
            for what in (ASK, JOIN):
                _publish(client, queue, what, now)
            if minion := leaving.due(now):
                _remove(minion)
