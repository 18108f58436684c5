"""
Give a runner its access to the minions: ask them, compile their pillars, report progress.

Holds the Salt dunders of the runner for utilities, which have none of their own.
"""

import sys
import time
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, NamedTuple

import salt.client
import salt.utils.event
import salt.utils.jid
import salt.utils.minions
from salt.exceptions import SaltClientError, SaltReqTimeoutError

from swarm_formula.core import errors
from swarm_formula.core.salt_types import Salt
from swarm_formula.salt import minion_reports, pillars

# Seconds until the master checks whether a job is still running, and for the replies to that check.
# A state may run for any length of time; a dead minion costs the sum of both.
_LOOK, _ANSWER = 15, 15
# Seconds after which a member that could not do something has waited for it: others would as well.
_WAITED = 60
# Seconds between two looks at minions with a state in their queue, and at most for all of them;
# and in how many looks a minion is idle until it has none: it starts a while after the one before.
_PAUSE, _LONGEST, _IDLE = 2, 1200, 3


class Master(NamedTuple):
    """``__salt__``, ``__opts__`` and ``__context__`` of the calling runner."""

    salt: Salt
    opts: Mapping[str, Any]
    context: MutableMapping[str, Any]

    def accepted(self) -> list[str]:
        """Return the minions whose keys are accepted."""
        known = salt.utils.minions.CkMinions(self.opts).check_minions("*", "glob")
        found: list[str] = known["minions"]
        return found

    def pillar(self, minion: str) -> object:
        """Return the pillar that the master compiles for a minion."""
        return self.salt["pillar.show_pillar"](minion)

    def pillars(self, minions: Iterable[str]) -> dict[str, object]:
        """Return the pillars that the master compiles for minions, by their IDs."""
        return pillars.compiled(minions, self.pillar)

    def ask(
        self, minions: Iterable[str], function: str, *args: object, **kwargs: object
    ) -> dict[str, Any]:
        """
        Return the answers of minions; minions that do not answer are missing.

        With ``queue``, those are waited for that have to apply something else before.
        """
        if not minions:
            return {}
        jid = salt.utils.jid.gen_jid(self.opts)
        answers = self._answers(self._publish(minions, function, args, kwargs, jid))
        if kwargs.get("queue"):
            answers |= self._queued(set(minions) - set(answers), jid)
        return answers

    @staticmethod
    def _answers(found: Mapping[str, Any]) -> dict[str, Any]:
        """Return what minions have answered, from the returns of Salt's client."""
        # For a minion that does not answer, Salt 3008 returns a message to that effect without a
        # jid.
        return {
            minion: one["ret"]
            for minion, one in found.items()
            if isinstance(one, dict) and "jid" in one
        }

    def _queued(self, waiting: Iterable[str], jid: str) -> dict[str, Any]:
        """
        Return the answers of those that still have a job in the queue of their states.

        Salt's own client does not wait for them: ``saltutil.find_job`` does not see the job where
        the queue is from 3006.26 on.
        """
        answers: dict[str, Any] = {}
        pending, idle, end = set(waiting), 0, time.monotonic() + _LONGEST
        while pending and idle < _IDLE and time.monotonic() < end:
            time.sleep(_PAUSE)
            states = self.ask(sorted(pending), "saltutil.is_running", "state.*")
            answers |= self._returned(pending, jid)
            pending &= set(states) - set(answers)
            idle = 0 if any(states.get(minion) for minion in pending) else idle + 1
        return answers

    def _returned(self, minions: Iterable[str], jid: str) -> dict[str, Any]:
        """Return what minions have returned for a job so far."""
        with salt.client.get_local_client(mopts=self.opts) as client:
            found = client.get_cache_returns(jid)
        return {minion: found[minion]["ret"] for minion in minions if minion in found}

    def _publish(
        self,
        minions: Iterable[str],
        function: str,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        jid: str,
    ) -> dict[str, Any]:
        with salt.client.get_local_client(mopts=self.opts) as client:
            try:
                found: dict[str, Any] = client.cmd(
                    list(minions),
                    function,
                    args,
                    timeout=_LOOK,
                    gather_job_timeout=_ANSWER,
                    tgt_type="list",
                    kwarg=kwargs,
                    full_return=True,
                    jid=jid,
                )
            except (SaltClientError, SaltReqTimeoutError) as err:
                raise errors.SwarmError(
                    f"the master did not publish {function}. If all its workers are busy"
                    f" (worker_threads, 5 by default), run this again in a minute. It said: {err}"
                ) from err
        return found

    def ask_until_done(
        self, others: Iterable[str], function: str, *args: object, **kwargs: object
    ) -> object:
        """
        Run a function on the other members one by one until it succeeds; return the answer.

        A member that has waited in vain is the last one: the others would wait as long.
        """
        answer = "no other member answers"
        for other in others:
            since = time.monotonic()
            answer = self.ask([other], function, *args, **kwargs).get(other, answer)
            if answer is True or isinstance(answer, dict):
                return answer
            if not isinstance(answer, str):
                answer = f"the answer of {other} to {function} is nonsense: {answer!r}"
            if time.monotonic() - since > _WAITED:
                return answer
        return answer

    def fire(self, member: str, word: str, **data: object) -> None:
        """Fire the event ``swarm/node/<member>/<word>``."""
        with salt.utils.event.get_master_event(
            self.opts, self.opts["sock_dir"], listen=False
        ) as bus:
            bus.fire_event({"id": member, **data}, f"swarm/node/{member}/{word}")

    def tell(self, member: str, text: str) -> None:
        """Report a step that takes time: as an event, and to the operator at the command line."""
        member, text = minion_reports.shown(member), minion_reports.shown(text)
        self.fire(member, "progress", message=text)
        if self.opts.get("__cli") == "salt-run":
            # Not to the standard output, which may be read as JSON.
            print(f"{member}: {text}", file=sys.stderr, flush=True)

    def refused(self, why: object) -> dict[str, str]:
        """Return a refusal, and have the command fail."""
        # If an error were raised, Salt would print a traceback as well, which does not help the
        # user.
        self.context["retcode"] = 1
        return {"refused": minion_reports.shown(why)}
