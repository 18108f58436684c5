"""
Decide which member the swarm can spare: for good in a removal, or for the time of a backup. Pure.

``reports`` and ``said`` are as in ``fleet.member_nodes``.
"""

from collections.abc import Collection

from swarm_formula.consul import raft
from swarm_formula.core import errors, modes
from swarm_formula.fleet import member_nodes
from swarm_formula.fleet.member_nodes import Heard, Report, Reports, Said


def guard(
    member: str,
    others: Reports,
    said: Said,
    alive: set[str],
    voters: set[str] | None = None,
) -> None:
    """
    Raise an error if removing this member would break the swarm.

    others
        Reports of the other managers in the pillar; each report lists the managers and servers.

    voters
        The voters of Consul's Raft. Defaults to the servers in the pillar.
    """
    report = next(iter(others.values()), None)
    if report is None:
        raise errors.SwarmError(
            f"{member} was not removed: no other manager of the pillar answers, so nobody can tell"
            " what it would cost; bring one up, or remove the whole swarm: state swarm.clean"
        )
    if member == member_nodes.authority(others):
        raise errors.SwarmError(
            f"{member} was not removed: it is the CA; have another minion be it first, as"
            " docs/security.md tells (Another CA)"
        )
    servers = voters or set(report["servers"])
    if member in servers:
        if len(servers) == 1:
            raise errors.SwarmError(_only(member, "Consul server"))
        if refusal := raft.refusal(servers, alive, member, "removing"):
            raise errors.SwarmError(refusal)
    answering = [name for name, one in said.items() if "role" in one and name != member]
    if not answering:
        raise errors.SwarmError(
            f"{member} was not removed: no other manager answers, or none leads at the moment; try"
            " again in a minute, or give pillar another one and apply it first"
        )


def guard_registry(member: str, registries: Collection[str]) -> None:
    """Raise an error if this member runs the swarm's registry, which would be gone."""
    if member in registries:
        raise errors.SwarmError(
            f"{member} was not removed: it runs the swarm's registry (swarm:registry:node); name"
            " another node there and push the images to it, or take swarm:registry out of pillar,"
            " and apply to all minions first"
        )


def _only(member: str, what: str) -> str:
    return (
        f"{member} was not removed: it is the only {what};"
        " give pillar another one and apply it first"
    )


def keeper(reports: Heard, said: Said, holders: Collection[str], mode: modes.Mode) -> str | None:
    """
    Return the member best suited for a backup, ``None`` if no member has the state.

    holders
        The managers in the pillar, or in classic mode its Consul servers. Others have no state,
        whatever they report.
    """
    there: dict[str, Report] = {
        name: report for name in holders if isinstance(report := reports.get(name), dict)
    }
    if mode.standalone:
        return min(there, default=None)
    known = member_nodes.nodes(said)

    def cost(name: str) -> tuple[bool, bool, str]:
        drained = known.get(there[name]["endpoint"], {}).get("status") == "Drain"
        return said[name].get("role") == "leader", not drained, name

    return min((name for name in there if name in said), key=cost, default=None)
