"""
Ask the members of the swarms under one master for their state.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from swarm_formula.fleet import member_rows
from swarm_formula.fleet import swarms as fleet_swarms
from swarm_formula.fleet import views as fleet_views
from swarm_formula.fleet.member_nodes import Heard, Report, Reports
from swarm_formula.fleet.swarms import Swarm
from swarm_formula.salt import minion_reports
from swarm_formula.salt.runner import Master


class Status(NamedTuple):
    """What the members report, and the managers about the nodes."""

    rows: list[dict[str, Any]]  # by swarm
    reports: dict[str, Report | str]
    joining: set[str]  # the members that join automatically
    disputes: list[str]  # how the managers' lists differ


def swarms(master: Master, swarm: str | None = None) -> list[Swarm]:
    """Return the swarms under this master, or only the swarm of the given member."""
    found = fleet_swarms.swarms({minion: master.pillar(minion) for minion in master.accepted()})
    return fleet_swarms.named(found, swarm)


def reports(master: Master, members: Iterable[str]) -> dict[str, Report | str]:
    """Return the reports of members, from their current pillars; the silent ones are missing."""
    # A minion's own pillar dates from its start or from its last refresh.
    there = master.ask(members, "saltutil.refresh_pillar", wait=True)
    # Each request to a minion that does not answer takes half a minute.
    asked = [member for member in members if member in there]
    return {
        member: minion_reports.read(report)
        for member, report in master.ask(asked, "swarm_node.report").items()
    }


def views(
    master: Master, swarm: Swarm, reports: Heard, but: str | None = None
) -> fleet_views.Views:
    """Return what the managers in the pillar report about the nodes; see ``fleet.views``."""
    return fleet_views.read(master.ask(swarm.speakers(reports, but), "swarm_node.managers"))


def read(master: Master, swarm: str | None = None) -> Status:
    """Return the state of all members, or only of those of one swarm."""
    found = swarms(master, swarm)
    heard = reports(master, [member for one in found for member in one.members])
    rows: list[dict[str, Any]] = []
    disputes: list[str] = []
    for one in found:
        ours = {name: report for name, report in heard.items() if name in one.members}
        lists = views(master, one, ours)
        problems = fleet_views.doubles(ours, one.members, lists.said) | lists.problems()
        rows += member_rows.rows(list(one.members), ours, lists.said, one.name, problems)
        disputes += [lists.dispute] if lists.dispute else []
    return Status(rows, heard, {member for one in found for member in one.joining}, disputes)


def servers(master: Master, swarm: Swarm, speakers: Reports) -> tuple[set[str], set[str]]:
    """Return the names of the Consul servers that are alive, and of Raft's voters."""
    if not swarm.facts.standalone:
        return set(), set()
    return minion_reports.read_servers(master.ask(speakers, "swarm_consul.status").values())
