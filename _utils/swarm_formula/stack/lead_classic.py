"""
Act on the stacks of classic mode on one host: the one whose manager is the primary.
"""

from collections.abc import Mapping
from typing import Any

from swarm_formula.classic import lead, services
from swarm_formula.cluster.leading import FOUNDS, IDLE, LEADS
from swarm_formula.compose.target import CLASSIC
from swarm_formula.salt import dry_run
from swarm_formula.salt.execution import Minion
from swarm_formula.spec import option_table
from swarm_formula.stack import options as stack_options
from swarm_formula.stack import projects, reading


def apply(minion: Minion, wanted: Mapping[str, dict[str, Any]], test: bool) -> Any:
    """
    Ensure stacks are as their files say, and run; return what changed, by stack.

    ``None`` if this node does not act.
    """
    who = lead.role(minion, test)
    if who == IDLE:
        return None
    found, settings = reading.given(minion, wanted, CLASSIC), minion.settings()
    if who == FOUNDS:
        return reading.noted(minion, projects.promised([one.stack for one in found]), test)
    limits = [one.get("timeout") or 0 for one in wanted.values()]
    pending = dry_run.noted(minion.context, test)
    networks = {*pending.networks, *settings["networks"]} if test else set()
    run = services.Run(settings["timeout"], networks, test)
    with lead.connect(settings, max([settings["timeout"], *limits])) as client:
        changes = projects.Projects(client, minion.salt, run).deploy(found)
    return reading.noted(minion, changes, test)


def apply_one(minion: Minion, name: str, spec: dict[str, Any], test: bool) -> Any:
    """Do so for one stack, with options as a user writes them."""
    options = stack_options.parsed(name, spec)
    option_table.refuse([*stack_options.classic_faults(name, options, f"stack {name}")])
    return apply(minion, {name: options}, test)


def remove(minion: Minion, name: str, test: bool) -> dict[str, Any] | None:
    """Remove all objects of a stack; return what changed, ``None`` if this node is idle."""
    who = lead.role(minion, test)
    if who != LEADS:
        return None if who == IDLE else {}
    settings = minion.settings()
    run = services.Run(settings["timeout"], test=test)
    with lead.connect(settings, settings["timeout"]) as client:
        gone = {name: projects.Projects(client, minion.salt, run).remove(name)}
    return reading.noted(minion, gone, test)[name]
