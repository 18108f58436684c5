"""
What other members tell of the cluster: through Salt's mine, and when asked by way of the master.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import swarm_address
import swarm_leave
import swarm_membership
import swarm_mine
from swarm_membership import JOIN, WAIT, Step

CLUSTER, NODE = "swarm_cluster", "swarm_node"
# Seconds that an answer by way of the master may take.
_ANSWER = 15
_LIST = "swarm_leader.list_nodes"
_GLOB = set("*?[")


class Known(NamedTuple):
    """What Salt's mine holds of the cluster, this minion's own word included."""

    records: dict[str, dict]  # of managers, those of pillar first
    claims: dict[str, str]  # which node a minion is
    unsure: frozenset[str] = frozenset()  # whose record may be that of another swarm


def known(mine: swarm_mine.Mine, settings: Mapping) -> Known:
    """Return what all members have told, also those that are managers no more."""
    found = mine.get(swarm_mine.members(settings), [CLUSTER, NODE])
    told, claims = found.get(CLUSTER) or {}, found.get(NODE) or {}
    order = [*(name for name in settings["managers"] if name in told), *sorted(told)]
    # Anything may be in the mine: each minion writes its own.
    records = {name: told[name] for name in order}
    return Known(
        {name: one for name, one in records.items() if swarm_membership.is_record(one)},
        {minion: node for minion, node in claims.items() if node and isinstance(node, str)},
    )


def own(known: Known, settings: Mapping, swarm: Mapping, ask: Callable[[list[str]], dict]) -> Known:
    """
    Return what the members of this swarm have told, without those of others under this master.

    The globs of ``swarm:nodes`` may fit minions of other swarms as well. If a manager of pillar has
    told of a cluster, that is the one. If none has, who has told of one may be a former manager or
    another swarm's, and is asked which managers its own pillar names now.

    ask
        Returns what some minions answer to ``swarm_leader.list_nodes``.
    """
    me, managers = settings["id"], settings["managers"]
    others = {name: one for name, one in known.records.items() if name not in {*managers, me}}
    named = [name for name in managers if name in known.records and name != me]
    if not others or swarm_membership.manager(dict(swarm)):
        return known
    if named:
        ours = swarm_membership.donors(dict(settings), known.records)
        foreign = {name: {one["node"]} for name, one in others.items() if name not in ours}
        return _without(known, foreign)
    if swarm.get("LocalNodeState") == "active":
        return known  # nobody can tell yet where it is to be
    answers = {name: one for name, one in ask(list(others)).items() if swarm_leave.is_listing(one)}
    foreign = {name: set(one["nodes"]) for name, one in answers.items() if _foreign(one, settings)}
    return _without(known, foreign)._replace(unsure=frozenset(others.keys() - answers.keys()))


def doubt(step: Step, known: Known, settings: Mapping) -> Step:
    """Have a node wait that would join by those alone that do not tell which swarm they are of."""
    by = swarm_membership.donors(dict(settings), known.records) if step.what == JOIN else {}
    if not by or not by.keys() <= known.unsure:
        return step
    return Step(
        WAIT,
        f"{', '.join(by)} told of a cluster, and do not answer whether it is that of"
        f" {', '.join(settings['managers'])} or another swarm's: bring them up, and let minions ask"
        " them (peer, see the state swarm.master)",
    )


def _foreign(answer: Mapping, settings: Mapping) -> bool:
    """Say whether a manager's pillar names others than that of this minion."""
    theirs = answer.get("managers")
    return isinstance(theirs, list) and bool(theirs) and not set(theirs) & set(settings["managers"])


def _without(known: Known, foreign: Mapping[str, set]) -> Known:
    nodes = set().union(*foreign.values())
    return Known(
        {name: one for name, one in known.records.items() if name not in foreign},
        {minion: node for minion, node in known.claims.items() if node not in nodes},
    )


def ask(salt: Mapping[str, Callable], names: Iterable[str], function: str) -> dict:
    """Have minions run a function, by way of the master; return what they answer."""
    wanted = list(names)
    if not wanted:
        return {}
    answer = salt["publish.publish"](",".join(wanted), function, tgt_type="list", timeout=_ANSWER)
    return answer if isinstance(answer, dict) else {}


def lists(salt: Mapping[str, Callable], names: Iterable[str]) -> dict:
    """Return what minions say of the nodes, as managers with a leader."""
    return ask(salt, names, _LIST)


def managers(salt: Mapping[str, Callable], settings: Mapping) -> list[str]:
    """Ask all other members whether they manage a cluster of this swarm; return who says so."""
    members = swarm_mine.members(settings)
    answers = salt["publish.publish"](members, _LIST, tgt_type="compound", timeout=_ANSWER)
    found = answers if isinstance(answers, dict) else {}
    return sorted(
        name
        for name, one in found.items()
        if swarm_leave.is_listing(one) and not _foreign(one, settings)
    )


def listing(salt: Mapping[str, Callable], settings: Mapping) -> dict:
    """
    Return what a manager with a leader says of the nodes, empty if none answers.

    Only managers of pillar are asked: what they say may have this node leave and join anew.
    """
    others = [name for name in settings["managers"] if name != settings["id"]]
    answers = lists(salt, others)
    return next((one for one in answers.values() if swarm_leave.is_listing(one)), {})


def places(settings: Mapping, swarm: Mapping) -> dict[str, str]:
    """
    Return where a manager of the cluster may be, ``{name: address}``, but here.

    These are pillar's managers, members whose name the host can resolve, and the managers that the
    engine knows.
    """
    managers = settings["managers"]
    names = [one for one in settings["nodes"] if not set(one) & _GLOB and one not in managers]
    found = {**managers, **{name: swarm_address.resolve(name) for name in names}}
    remotes = [swarm_address.host(one["Addr"]) for one in swarm.get("RemoteManagers") or []]
    found |= {address: address for address in remotes if address not in found.values()}
    found.pop(settings["id"], None)
    return {name: one for name, one in found.items() if one not in {None, settings["address"]}}
