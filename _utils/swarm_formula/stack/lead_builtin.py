"""
Act on the stacks of builtin mode on one host: the leader of the cluster.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from swarm_formula.cluster import leading, swarm_api
from swarm_formula.compose.target import BUILTIN
from swarm_formula.salt import dry_run
from swarm_formula.salt.dry_run import Pending
from swarm_formula.salt.execution import Minion
from swarm_formula.service import apply as service_apply
from swarm_formula.stack import changes, reading, stacks
from swarm_formula.stack import options as stack_options


def apply(minion: Minion, wanted: Mapping[str, dict[str, Any]], test: bool) -> Any:
    """
    Ensure stacks are as their files say, and run; return what changed, by stack.

    ``None`` if this node does not act.
    """
    pending = functools.partial(service_apply.pending, minion.salt, minion.context, test)
    return _apply(minion, wanted, pending, test)


def apply_one(minion: Minion, name: str, spec: dict[str, Any], test: bool) -> Any:
    """Do so for one stack, with options as a user writes them."""
    wanted = {name: stack_options.parsed(name, spec)}
    return _apply(minion, wanted, lambda: dry_run.noted(minion.context, test), test)


def _apply(
    minion: Minion,
    wanted: Mapping[str, dict[str, Any]],
    find_pending: Callable[[], Pending],
    test: bool,
) -> Any:
    """Apply stacks; only a node that acts looks for what is pending."""
    who = leading.role(minion.salt, test)
    if who == leading.IDLE:
        return None
    pending, found = find_pending(), reading.given(minion, wanted, BUILTIN)
    if who == leading.FOUNDS:
        made = changes.promised([one.stack for one in found], pending.versions)
        return reading.noted(minion, made, test)
    warn = service_apply.noting(minion.context, reading.WARNINGS)
    run = service_apply.Run(minion.settings()["timeout"], pending, test, warn)
    with swarm_api.connect(minion.salt) as client:
        return reading.noted(minion, stacks.deploy(client, found, run), test)


def remove(minion: Minion, name: str, test: bool) -> dict[str, Any] | None:
    """Remove all objects of a stack; return what changed, ``None`` if this node is idle."""
    who = leading.role(minion.salt, test)
    if who != leading.LEADS:
        return None if who == leading.IDLE else {}
    timeout = minion.settings()["timeout"]
    with swarm_api.connect(minion.salt) as client:
        gone = {name: stacks.remove(client, name, timeout, test)}
    return reading.noted(minion, gone, test)[name]
