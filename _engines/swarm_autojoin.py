"""
Join minions to the swarm when they come online.

Start events are hints: any accepted minion can forge both the tag and the data of
``salt/minion/<id>/start``. So nothing but the ID is taken from one; it has to look like an ID, to
be in ``targets`` and to have an accepted key. What happens then is what an operator would do: the
minion's own pillar, compiled by the master for its authenticated ID, decides what it becomes.

A minion that starts is first asked whether it is a member in order: a question costs the master
little, a state run much. Only those that are not get ``state.apply swarm.join``. A lone minion is
asked at once; those that follow within ``window`` are gathered, and asked by one publish for many.
Who fails is tried again, each time after twice as long; ``swarm/node/<id>/joined`` and
``.../failed`` (with the ``reason``) tell those who watch. What is lost all the same, with the
master for example, the minions' own schedule and ``salt-run swarm.reconcile`` make up for.

.. code-block:: yaml

    # /etc/salt/master.d/swarm.conf, as the SLS swarm.master writes it
    engines:
      - swarm_autojoin:
          targets: ['swarm-*']   # globs of minion IDs: whom the pillar's top file may make members
          window: 5              # seconds in which those who follow are gathered
          batch: 50              # minions in one publish of a state
          batches: 2             # as many as are in so many of these join at the same time
          cooldown: 60           # seconds until the same minion is asked again
          backoff: 30            # seconds until the second try; doubles up to 20 minutes
          tries: 7               # then it is left to the schedule and to reconcile
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
# How long a publish is waited for: a question, and a join that may install an engine.
_LIMITS = {ASK: 15, JOIN: 1200}
_LONGEST = 1200
# Seconds between two looks at the accepted keys, after an event and without one; and between two
# removals, so that the managers have settled one before the next.
_KEYS_LOOK, _KEYS_POLL, _KEYS_PACE = 1, 60, 60
_MEMBER = "swarm_node_|-"


class Flight(NamedTuple):
    """A publish that has not come back from all of its minions."""

    what: str
    minions: set
    until: float


class Outcome(NamedTuple):
    """What has come of one minion, for those who watch."""

    minion: str
    joined: bool
    reason: str = ""


class Queue:
    """Who is to be asked and who is to be joined, and when. No Salt in here: it tests plainly."""

    def __init__(  # noqa: PLR0913, PLR0917
        self, targets, window=5, batch=50, batches=2, cooldown=60, backoff=30, tries=7
    ):
        self.targets = [targets] if isinstance(targets, str) else list(targets)
        self.window, self.cooldown, self.backoff = window, cooldown, backoff
        self.batch, self.batches, self.tries = batch, batches, tries
        self.waiting = {ASK: {}, JOIN: {}}  # minion: not before
        self.published = {ASK: float("-inf"), JOIN: float("-inf")}
        self.asked = {}  # minion: when
        self.failed = {}  # minion: how often in a row
        self.flights = {}  # job: Flight

    def wanted(self, minion):
        """Say whether an ID is one of ``targets``."""
        return any(fnmatch.fnmatchcase(minion, glob) for glob in self.targets)

    def hint(self, tag, data, now):
        """Take note of a start event; return why it is none, ``None`` if it is one."""
        match = _START.fullmatch(tag)
        if not match:
            return "that is no ID of a minion"
        minion = match[1]
        if not isinstance(data, dict) or data.get("id") != minion:
            return "the ID in it is another one"
        if self.wanted(minion) and not self._busy(minion):
            # Put off, never dropped: a forged event must not hide the real one.
            earliest = self.asked.get(minion, float("-inf")) + self.cooldown
            self.waiting[ASK][minion] = max(now, earliest)
        return None

    def _busy(self, minion):
        flying = (flight.minions for flight in self.flights.values() if flight.what == JOIN)
        waiting = minion in self.waiting[ASK] or minion in self.waiting[JOIN]
        return waiting or any(minion in minions for minions in flying)

    def due(self, what, now):
        """Return the minions for the next publish, none if it is not time for one."""
        size = _ASK_BATCH if what == ASK else self.batch
        ready = [minion for minion, when in self.waiting[what].items() if when <= now]
        ready = ready[: size if what == ASK else min(size, self._free())]
        if len(ready) < size and now - self.published[what] < self.window:
            return []
        return ready

    def _free(self):
        """Return how many more may join now: those under way may be waiting for just these."""
        flying = (len(one.minions) for one in self.flights.values() if one.what == JOIN)
        return max(self.batch * self.batches - sum(flying), 0)

    def sent(self, what, minions, job, accepted, now):
        """Take note of a publish; minions that the master does not know drop out."""
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
        """Take note of a publish that failed: the same minions are due again after a while."""
        self.published[what] = now

    def returned(self, tag, data, now):
        """Take note of a return; give the ``Outcome`` if there is one to tell."""
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
        # Who was told that it failed is told that it is well after all: its run had only been cut
        # short, and went on to become healthy.
        told = self.failed.pop(minion, 0)
        return Outcome(minion, joined=True) if told else None

    def overdue(self, now):
        """Return the outcomes of those that have not come back in time."""
        found = []
        for job, flight in list(self.flights.items()):
            if flight.until <= now:
                del self.flights[job]
                found += [self._unanswered(one, flight.what, now) for one in flight.minions]
        return [outcome for outcome in found if outcome]

    def _unanswered(self, minion, what, now):
        if what == ASK and minion not in self.failed:
            # After a restart of the master, a minion tells that it is there before it can hear.
            self.failed[minion] = 0
            self.waiting[ASK][minion] = now
            return None
        return self._again(minion, "it does not answer", now)

    def _again(self, minion, reason, now):
        """Try again later, each time after twice as long, and not for ever."""
        count = self.failed[minion] = self.failed.get(minion, 0) + 1
        if count < self.tries:
            self.waiting[ASK][minion] = now + min(self.backoff * 2 ** (count - 1), _LONGEST)
        else:
            del self.failed[minion]
            reason = f"{reason}; given up after {count} tries: salt-run swarm.reconcile"
        return Outcome(minion, joined=False, reason=reason)


def joined(data):
    """Say whether a return of ``swarm.join`` is that of a member; others do nothing in it."""
    states = data.get("return")
    return isinstance(states, dict) and any(str(key).startswith(_MEMBER) for key in states)


def failure(data):
    """Return why a state run failed, empty if it did not. Whatever a minion returns is a text."""
    states = data.get("return")
    if isinstance(states, dict):
        bad = [
            str(state.get("comment"))
            for state in states.values()
            if isinstance(state, dict) and state.get("result") is False
        ]
        # What only failed because of another does not tell why.
        first = [text for text in bad if not text.startswith("One or more requisite failed")] or bad
        return first[0][:1000] if first else ""
    text = "; ".join(map(str, states)) if isinstance(states, list) else str(states)
    return text[:1000] or "it returned nothing"


class Leaving:
    """
    Members whose key was deleted, until the time is come to remove them; one after the other.

    An event about a key only says that it is time to look: any accepted minion can forge one.
    Who had a key when this was looked at before, and has none now, is to go.
    """

    def __init__(self, after, wanted, accepted):
        self.after, self.wanted, self.accepted = after, wanted, accepted
        self.known = set(accepted()) if after is not None else set()
        self.waiting = {}  # minion: when
        self.hinted = False
        self.looked = self.removed = float("-inf")

    def hint(self):
        """Take note of an event about a key."""
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
        """Return whose time is come, ``None`` if it is nobody's."""
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
        # A list: the master looks up these IDs only, and those without an accepted key drop out.
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
    log.log(level, "swarm_autojoin: %s %s %s", outcome.minion, word, outcome.reason)
    data = {"id": outcome.minion, **({"reason": outcome.reason} if outcome.reason else {})}
    bus.fire_event(data, f"swarm/node/{outcome.minion}/{word}")


def _accepted(minions="*"):
    kind = "glob" if minions == "*" else "list"
    return salt.utils.minions.CkMinions(__opts__).check_minions(minions, kind)["minions"]


def _remove(minion):
    """Remove a member whose key is gone; one whose key is back stays."""
    if _accepted([minion]):
        return
    log.info("swarm_autojoin: the key of %s is gone, removing it", minion)
    low = {"fun": "swarm.remove", "arg": [minion], "kwarg": {}}
    salt.runner.RunnerClient(__opts__).asynchronous("swarm.remove", low, user="swarm_autojoin")


def _took(queue, leaving, event, now):
    """Take note of an event; give the outcome that it tells of."""
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
    """Listen to the master's bus, for ever."""
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
            # To look who is due is off the path of each event of a crowd.
            if event and now - looked < 0.2:  # noqa: PLR2004
                continue
            looked = now
            for outcome in queue.overdue(now):
                _tell(bus, outcome)
            for what in (ASK, JOIN):
                _publish(client, queue, what, now)
            if minion := leaving.due(now):
                _remove(minion)
