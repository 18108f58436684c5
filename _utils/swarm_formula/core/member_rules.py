"""
Decide by the pillar which minions are members of a swarm, and what it sets for each. Pure.
"""

import fnmatch
from collections.abc import Iterable, Mapping
from typing import Any

from swarm_formula.core import modes
from swarm_formula.core.settings_types import Availability, Node, NodeLabels, Settings


def members(settings: Settings) -> list[str]:
    """Return the minion IDs, and globs of minion IDs, that may be members."""
    return [*dict.fromkeys([*settings["managers"], *settings["servers"], *settings["nodes"]])]


def is_member(minion: str, swarm: Mapping[str, Any]) -> bool:
    """
    Check whether a pillar makes a minion a member of the swarm: the one rule for all.

    The formula's CA signs for a minion, and in builtin mode a manager gives it the join token, only
    if the pillar names it among the managers, the Consul servers, or in ``nodes``. In classic mode
    without the formula's CA, nobody is asked: there, the pillar itself makes a member.

    swarm
        The pillar ``swarm``, as given or with its defaults. Where it is malformed, it names every
        minion, so that an apply reports the fault.
    """
    tls, mode = _section(swarm, "tls"), modes.named(swarm.get("mode"))
    if not mode.join_tokens and (tls.get("enabled") is False or tls.get("cert")):
        return True
    managed_store = mode.standalone and not swarm.get("store")
    servers = _section(swarm, "consul").get("servers") if managed_store else None
    return any(_names(minion, one) for one in (swarm.get("managers"), servers, swarm.get("nodes")))


def _section(swarm: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = swarm.get(key)
    return found if isinstance(found, Mapping) else {}


def _names(minion: str, globs: object) -> bool:
    if not isinstance(globs, list | tuple | Mapping):
        return bool(globs)
    # Of thousands of IDs, most minions match their own.
    return minion in globs or is_among(minion, map(str, globs))


def is_among(minion: str, globs: Iterable[str]) -> bool:
    """Check whether a minion matches one of these IDs and globs."""
    return any(fnmatch.fnmatchcase(minion, one) for one in globs)


def unnamed(minion: str) -> str:
    """Return that the pillar does not name a minion, with the cure."""
    return (
        f"the pillar of {minion} has swarm:managers and does not name {minion}: not as a manager or"
        f" Consul server, and not in swarm:nodes. If it is to be a node, add it in the pillar of"
        f" all, e.g. swarm: {{nodes: {{{minion}: {{}}}}}}, or a glob, and apply again; if not, take"
        " the pillar, and the formula's states in the top file, away from it"
    )


def settings_of(minion: str, nodes: Mapping[str, Node]) -> Node:
    """Return the labels and the availability that ``swarm:nodes`` sets for a minion."""
    labels: NodeLabels = {}
    availability: Availability | None = None
    for glob, one in nodes.items():
        if fnmatch.fnmatchcase(minion, glob):
            labels |= one["labels"]
            availability = one["availability"] or availability
    return {"labels": labels, "availability": availability}
