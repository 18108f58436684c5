"""
Wait until the tasks of services run as wanted.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from swarm_formula.core import errors, wait
from swarm_formula.service import api, rollout
from swarm_formula.spec import service_spec

# Seconds after which a job that has failed, and of which no task is due, is not tried again.
_OVER = 3


class Watched(NamedTuple):
    """A service whose tasks are to run."""

    plan: api.Plan
    timeout: float
    written: bool  # whether this run has changed it
    since: float  # when, by the leader's clock


class _Watch:
    """Services that do not run yet as wanted, and since when each of their tasks has been seen."""

    def __init__(self, client: Any, services: list[Watched]) -> None:
        self._client, self._open = client, {one.plan.name: one for one in services}
        self._begun = time.monotonic()
        self._seen: dict[str, float] = {}
        self._over: dict[str, float] = {}
        self.failures: dict[str, str] = {}

    def probe(self) -> str | None:
        """Look once; return the services that are still waited for."""
        try:
            cluster = api.look(self._client)
            known = api.networks(self._client, cluster)
        except errors.ApiError as err:
            text = str(err)
            # While managers come and go, there may be no leader for a moment.
            self._judge_all(lambda _: (None, text))
        else:
            self._judge_all(lambda one: self._judge(one, cluster, known))
        return f"waiting for {', '.join(self._open)}" if self._open else None

    def _judge_all(self, judge: Callable[[Watched], tuple[bool | None, str]]) -> None:
        elapsed = time.monotonic() - self._begun
        for name, one in list(self._open.items()):
            good, why = judge(one)
            if good is None and elapsed >= one.timeout:
                good, why = False, f"gave up after {one.timeout:g} s (timeout): {why}"
            if good is not None:
                del self._open[name]
            if good is False:
                self.failures[name] = why

    def _judge(
        self, one: Watched, cluster: api.Cluster, known: dict[str, str]
    ) -> tuple[bool | None, str]:
        """Return whether a service runs as wanted, ``None`` if it may yet; and why not."""
        service = cluster.services.get(one.plan.name)
        if service is None:
            return False, "somebody has removed it"
        found = rollout.view(service, cluster.tasks, cluster.nodes)
        differing = service_spec.diff(
            service_spec.with_names(service["Spec"], known), one.plan.wanted
        )
        # Not if it is as wanted: then somebody else's update was rolled back.
        if (one.written or differing) and found.update in rollout.GIVEN_UP:
            causes = rollout.errors(service, cluster.tasks, cluster.nodes, one.since)
            what = f"Docker has {rollout.GIVEN_UP[found.update]} ({found.said})"
            return False, "; ".join([what, *causes])
        if differing and not found.update.startswith("rollback"):
            return False, (
                f"after the change, Docker has other values for {', '.join(sorted(differing))}:"
                " this engine cannot take what is wanted, or somebody has changed the service"
            )
        if found.over and self._is_over(one.plan.name):
            return False, found.missing
        if found.missing or differing:
            return None, found.missing or "Docker rolls the service back"
        return self._is_steady(one, found, service) or None, "its tasks have only just started"

    def _is_over(self, name: str) -> bool:
        """Check whether a job has been over for some time: managers may start a task again."""
        now = time.monotonic()
        return now - self._over.setdefault(name, now) >= _OVER

    def _is_steady(self, one: Watched, found: rollout.View, service: dict[str, Any]) -> bool:
        """Check whether all tasks have run for long enough, by this host's clock."""
        if rollout.is_job(service):
            return True
        due, now = service_spec.monitor(service["Spec"]), time.monotonic()
        for task in found.running:
            self._seen.setdefault(task, now)
        # The managers may not have noticed the change yet, and old tasks run on.
        if one.written and service_spec.moves_tasks(one.plan.changes) and now - self._begun < due:
            return False
        return all(
            now - self._seen[task] >= due or time.time() - since >= due
            for task, since in found.running.items()
        )


def watch(client: Any, services: list[Watched]) -> dict[str, str]:
    """Wait until services run as wanted; return why they do not, ``{service: reason}``."""
    if not services:
        return {}
    watched = _Watch(client, services)
    longest = max(one.timeout for one in services)
    # Each service has its own limit: this one is never reached.
    wait.until(watched.probe, 2 * longest + 60)
    return watched.failures
