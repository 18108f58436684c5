"""
Get data on the cluster from other members, through Salt's mine or by a request through the master.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from swarm_formula.cluster import donors, leave, membership
from swarm_formula.cluster.membership import JOIN, WAIT, Step
from swarm_formula.core import addresses
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt import mine as salt_mine
from swarm_formula.salt import peer_call

CLUSTER, NODE = "swarm_cluster", "swarm_node"
_LIST = "swarm_leader.list_nodes"
_GLOB = set("*?[")


class Known(NamedTuple):
    """The data on the cluster in Salt's mine, including this minion's own."""

    records: dict[str, dict[str, Any]]  # of managers, the managers in the pillar first
    claims: dict[str, str]  # {minion ID: node ID}
    unsure: frozenset[str] = frozenset()  # IDs whose record may be of another swarm
    moved: Mapping[str, str] = {}  # {minion ID: the former address that its engine advertises}


def known(mine: salt_mine.Mine, settings: Settings) -> Known:
    """Return what all members have published, including former managers."""
    return _read(mine, settings, salt_mine.members(settings))


def node_ids(mine: salt_mine.Mine, settings: Settings) -> Known:
    """
    Return what all members have published of their nodes, without the managers' records.

    For each record, the master compares all accepted minions with those that may read it.
    """
    return _read(mine, settings, salt_mine.members(settings), (NODE,))


def _read(
    mine: salt_mine.Mine,
    settings: Settings,
    target: str | list[str],
    names: Iterable[str] = (CLUSTER, NODE),
) -> Known:
    found = mine.get(target, [*names])
    told, claims = found.get(CLUSTER) or {}, found.get(NODE) or {}
    order = [*(name for name in settings["managers"] if name in told), *sorted(told)]
    # The mine may contain anything: each minion writes its own data.
    records = {name: told[name] for name in order}
    return Known(
        {name: one for name, one in records.items() if donors.is_record(one)},
        {minion: node for minion, one in claims.items() if (node := _node(one))},
        moved={minion: at for minion, one in claims.items() if (at := _text(one, "address"))},
    )


def claim(node: str, former: str) -> str | dict[str, str]:
    """
    Return what a member publishes about its node: the ID, with the former address if its engine
    advertises one.

    A release that does not know the second form takes it for no claim, and leaves the node alone.
    """
    return {"node": node, "address": former} if former else node


def _node(claim: object) -> str:
    return claim if isinstance(claim, str) else _text(claim, "node")


def _text(claim: object, key: str) -> str:
    found = claim.get(key) if isinstance(claim, Mapping) else None
    return found if isinstance(found, str) else ""


def near(mine: salt_mine.Mine, settings: Settings, swarm: Mapping[str, Any]) -> Known | None:
    """
    Return what this minion and the managers in the pillar have published, if a node at rest needs
    no more than that; ``None`` otherwise.

    It is enough for a node in their cluster that has published its node, and as a manager its
    record. The cost for the master then does not depend on the number of members.
    """
    me, is_manager = settings["id"], membership.manager(swarm)
    leaderless = is_manager and not membership.cluster_id(swarm)
    if swarm.get("LocalNodeState") != "active" or leaderless:
        return None
    if is_manager and not settings["is_manager"]:
        return None
    local = _read(mine, settings, [me])
    told = local.claims.get(me) == swarm.get("NodeID") and (not is_manager or me in local.records)
    others = [name for name in settings["managers"] if name != me]
    found = _managers(mine, settings, swarm, others) if told and others else Known({}, {})
    nodes = {one["node"] for one in found.records.values()}
    if not told or (others and not nodes & membership.remote_managers(swarm)):
        return None
    return Known(
        {**found.records, **local.records},
        {**found.claims, **local.claims},
        moved={**found.moved, **local.moved},
    )


def entry(mine: salt_mine.Mine, settings: Settings, swarm: Mapping[str, Any]) -> Known | None:
    """
    Return what this minion and the managers in the pillar have published, if a node that is in no
    cluster can join by it; ``None`` otherwise.

    Another member's record counts only if it is of the same cluster, and the master's cost does not
    grow with the number of nodes that have joined before.
    """
    if (swarm.get("LocalNodeState") or "inactive") != "inactive":
        return None
    found = _read(mine, settings, [*dict.fromkeys([*settings["managers"], settings["id"]])])
    return found if donors.others(settings, found.records) else None


def is_enough(known: Known, swarm: Mapping[str, Any]) -> bool:
    """Check whether the records have one of the other managers that the engine knows, if any."""
    managers = membership.remote_managers(swarm) - {swarm.get("NodeID")}
    return not managers or any(one["node"] in managers for one in known.records.values())


def _managers(
    mine: salt_mine.Mine, settings: Settings, swarm: Mapping[str, Any], names: list[str]
) -> Known:
    """
    Return what is known of other managers, with their records only if this node may need a token.

    Otherwise their node IDs are enough: the engine lists the managers of its cluster, and the
    master need not compare all accepted minions with those that may read a record.
    """
    if settings["is_manager"] and not membership.manager(swarm):
        return _read(mine, settings, names)
    found = _read(mine, settings, names, (NODE,))
    cluster, managers = membership.cluster_id(swarm), membership.remote_managers(swarm)
    records = {
        name: {
            "cluster": cluster if node in managers else "",
            "node": node,
            "address": "",
            "token": "",
        }
        for name, node in found.claims.items()
    }
    return found._replace(records=records)


def own(
    known: Known,
    settings: Settings,
    swarm: Mapping[str, Any],
    ask: Callable[[list[str]], dict[str, Any]],
) -> Known:
    """
    Return the data of the members of this swarm, without other swarms of the same master.

    The globs in ``swarm:nodes`` may match minions of other swarms as well. If a manager in the
    pillar has published a cluster, this cluster is used. If none has, a minion that has published
    one may be a former manager or in another swarm, and is asked for the managers in its pillar. So
    is a minion that has published its node only, before this one would create a cluster.

    ask
        Returns the answers of the given minions to ``swarm_leader.list_nodes``.
    """
    me, managers = settings["id"], settings["managers"]
    others = {name: one for name, one in known.records.items() if name not in {*managers, me}}
    named = [name for name in managers if name in known.records and name != me]
    active = swarm.get("LocalNodeState") == "active"
    creates = membership.is_first(settings) and not active and not known.records
    asked = [*others, *(sorted(known.claims.keys() - {me}) if creates else ())]
    if not asked or membership.manager(swarm):
        return known
    if named:
        ours = donors.donors(settings, known.records)
        if active:
            # It joins nobody. A record from before a rotation of the CA has another digest of it.
            clusters = {known.records[name]["cluster"] for name in named}
            ours |= {name: one for name, one in others.items() if one["cluster"] in clusters}
        foreign = {name: {one["node"]} for name, one in others.items() if name not in ours}
        return _without(known, foreign)
    if active:
        return known  # its cluster cannot be determined yet
    answers = {name: one for name, one in ask(asked).items() if leave.is_listing(one)}
    foreign = {name: set(one["nodes"]) for name, one in answers.items() if _foreign(one, settings)}
    return _without(known, foreign)._replace(unsure=frozenset(others.keys() - answers.keys()))


def leading(known: Known, settings: Settings) -> list[str]:
    """
    Return the minions that may lead this swarm: its managers, and former ones of the same cluster.

    A former manager may still be the leader, and has to promote its successor.
    """
    managers = settings["managers"]
    clusters = {one["cluster"] for name, one in known.records.items() if name in managers}
    former = [
        name
        for name, one in known.records.items()
        if name not in managers and (not clusters or one["cluster"] in clusters)
    ]
    return [*managers, *former]


def doubt(step: Step, known: Known, settings: Settings) -> Step:
    """Make a node wait if it would join only through members whose swarm is unknown."""
    by = donors.donors(settings, known.records) if step.what == JOIN else {}
    if not by or not by.keys() <= known.unsure:
        return step
    return Step(
        WAIT,
        f"{', '.join(by)} told of a cluster, and do not answer whether it is that of"
        f" {', '.join(settings['managers'])} or another swarm's: bring them up, and let minions ask"
        " them (peer, see the state swarm.master)",
    )


def _foreign(answer: Mapping[str, Any], settings: Settings) -> bool:
    """Check whether a manager's pillar has no manager in common with this minion's pillar."""
    theirs = answer.get("managers")
    return isinstance(theirs, list) and bool(theirs) and not set(theirs) & set(settings["managers"])


def _without(known: Known, foreign: Mapping[str, set[str]]) -> Known:
    nodes: set[str] = set().union(*foreign.values())
    return known._replace(
        records={name: one for name, one in known.records.items() if name not in foreign},
        claims={minion: node for minion, node in known.claims.items() if node not in nodes},
    )


def ask(salt: Salt, names: Iterable[str], function: str) -> dict[str, Any]:
    """Run a function on minions through the master; return their answers."""
    wanted = list(names)
    return peer_call.answers(salt, wanted, function) if wanted else {}


def lists(salt: Salt, names: Iterable[str]) -> dict[str, Any]:
    """Ask minions for their lists of nodes; only managers with a leader return one."""
    return ask(salt, names, _LIST)


def managers(salt: Salt, settings: Settings) -> list[str]:
    """Ask all other members for a cluster of this swarm; return the IDs of its managers."""
    found = peer_call.answers(salt, salt_mine.others(settings), _LIST)
    return sorted(
        name for name, one in found.items() if leave.is_listing(one) and not _foreign(one, settings)
    )


def listing(salt: Salt, settings: Settings, former: Iterable[str] = ()) -> dict[str, Any]:
    """
    Return the list of nodes of a manager with a leader, empty if none answers.

    Managers in the pillar are asked: their answer may make this node leave and join again.

    former
        Other managers to ask if these do not answer. A node is listed if any of them lists it.
    """
    others = [name for name in settings["managers"] if name != settings["id"]]
    if found := _listings(salt, others):
        return found[0]
    found = _listings(salt, former)
    nodes: dict[str, str | None] = {}
    for one in found:
        nodes |= {node: nodes.get(node) or reach for node, reach in one["nodes"].items()}
    return {**found[0], "nodes": nodes} if found else {}


def _listings(salt: Salt, names: Iterable[str]) -> list[dict[str, Any]]:
    return [one for one in lists(salt, names).values() if leave.is_listing(one)]


def places(settings: Settings, swarm: Mapping[str, Any]) -> dict[str, str]:
    """
    Return other hosts on which a manager of the cluster may run, ``{name: address}``.

    These are the managers in the pillar, members whose name this host can resolve, and the managers
    that the engine lists.
    """
    managers = settings["managers"]
    names = [one for one in settings["nodes"] if not set(one) & _GLOB and one not in managers]
    found = {**managers, **{name: addresses.resolve(name) for name in names}}
    remotes = [addresses.host(one["Addr"]) for one in swarm.get("RemoteManagers") or []]
    found |= {address: address for address in remotes if address not in found.values()}
    found.pop(settings["id"], None)
    return {name: one for name, one in found.items() if one not in {None, settings["address"]}}
