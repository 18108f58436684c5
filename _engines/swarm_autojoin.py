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

import logging
import time

import salt.client
import salt.runner
import salt.utils.event
import salt.utils.minions
from swarm_autojoin_leaving import Leaving
from swarm_autojoin_queue import ASK, JOIN, Queue

log = logging.getLogger(__name__)

_KEY = "salt/key"


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
