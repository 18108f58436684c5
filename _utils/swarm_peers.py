"""
What other members tell of the cluster: through Salt's mine, and when asked by way of the master.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import swarm_address
import swarm_leave
import swarm_membership
import swarm_mine

CLUSTER, NODE = "swarm_cluster", "swarm_node"
# Seconds that an answer by way of the master may take.
_ANSWER = 15
_LIST = "swarm_leader.list_nodes"
_GLOB = set("*?[")


class Known(NamedTuple):
    """What Salt's mine holds of the cluster, this minion's own word included."""

    records: dict[str, dict]  # of managers, those of pillar first
    claims: dict[str, str]  # which node a minion is


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


def ask(salt: Mapping[str, Callable], names: Iterable[str], function: str) -> dict:
    """Have minions run a function, by way of the master; return what they answer."""
    wanted = list(names)
    if not wanted:
        return {}
    answer = salt["publish.publish"](",".join(wanted), function, tgt_type="list", timeout=_ANSWER)
    return answer if isinstance(answer, dict) else {}


def managers(salt: Mapping[str, Callable], settings: Mapping) -> list[str]:
    """Ask all other members whether they manage a cluster; return those that say so."""
    members = swarm_mine.members(settings)
    answers = salt["publish.publish"](members, _LIST, tgt_type="compound", timeout=_ANSWER)
    found = answers if isinstance(answers, dict) else {}
    return sorted(name for name in found if swarm_leave.is_listing(found[name]))


def listing(salt: Mapping[str, Callable], settings: Mapping) -> dict:
    """
    Return what a manager with a leader says of the nodes, empty if none answers.

    Only managers of pillar are asked: what they say may have this node leave and join anew.
    """
    others = [name for name in settings["managers"] if name != settings["id"]]
    answers = ask(salt, others, _LIST)
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
