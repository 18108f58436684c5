"""
Read mode, replicas and restart of a compose file's service: they become options together. Pure.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from swarm_formula.compose import values


def modes(
    given: Mapping[str, Any],
    options: Mapping[str, Any],
    skip: Callable[[str, str], None] | None,
) -> Iterator[tuple[str, Any, str]]:
    """
    Yield the options of mode, replicas and restart, each with its value and its key in the file.

    options
        The options that the service has already.

    skip
        Notes a key that has no effect, and the reason; ``None`` if `restart: "no"` has one.
    """
    mode = given.get("mode")
    replicas = given.get("replicas", given.get("scale"))
    yield "mode", mode, "deploy.mode"
    if replicas is not None:
        job = ("completions", "max_concurrent")
        for option in job if mode == "replicated-job" else ("replicas",):
            yield option, values.loosely(option, replicas), "deploy.replicas"
    if "restart" in given and not any(one.startswith("restart_") for one in options):
        yield from _restart(given["restart"], skip)


def _restart(
    policy: str, skip: Callable[[str, str], None] | None
) -> Iterator[tuple[str, Any, str]]:
    """Keep a restart policy of containers, by default as ``docker stack deploy`` does."""
    kind, _, most = policy.partition(":")
    if kind in ("no", "false", ""):
        if not skip:
            yield "restart_policy.condition", "none", "restart"
            return
        skip("restart", "use deploy.restart_policy: {condition: none}")
        return
    known = {"always": "any", "unless-stopped": "any", "on-failure": "on-failure"}
    yield "restart_policy.condition", known.get(kind, kind), "restart"
    if most:
        yield "restart_policy.max_attempts", values.whole(most), "restart"
