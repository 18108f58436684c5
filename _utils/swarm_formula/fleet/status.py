"""
Ask the members of the swarms under one master for their state.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from swarm_formula.fleet import member_rows
from swarm_formula.fleet import swarms as fleet_swarms
from swarm_formula.fleet import views as fleet_views
from swarm_formula.fleet.member_nodes import Heard, Report, Reports
from swarm_formula.fleet.swarms import Swarm
from swarm_formula.salt import current_pillar, minion_reports
from swarm_formula.salt.runner import Master


class Status(NamedTuple):
    """What the members report, and the managers about the nodes."""

    rows: list[dict[str, Any]]  # by swarm
    reports: dict[str, Report | str]
    joining: set[str]  # the members that join automatically
    disputes: list[str]  # how the managers' lists differ


def swarms(master: Master, swarm: str | None = None) -> list[Swarm]:
    """Return the swarms under this master, or only the swarm of the given member."""
    found = fleet_swarms.swarms(master.pillars(master.accepted()))
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


def _current(master: Master, pillars: Mapping[str, Any]) -> dict[str, Report | str]:
    """
    Return the reports of the members with these pillars, from their current pillars.

    The master compiles a pillar for each refresh. A member that has the master's pillar is not told
    to refresh it; one that only claims so could lie in the rest of its report as well.
    """
    heard = master.ask(list(pillars), "swarm_node.report")
    fresh = {name: one for name, one in heard.items() if _is_current(one, pillars[name])}
    found = {name: minion_reports.read(one) for name, one in fresh.items()}
    return {**found, **reports(master, [name for name in heard if name not in fresh])}


def _is_current(report: object, pillar: Mapping[str, Any]) -> bool:
    wanted = current_pillar.digest(pillar["swarm"])
    return isinstance(report, dict) and report.get("pillar") == wanted


def views(
    master: Master, swarm: Swarm, reports: Heard, but: str | None = None
) -> fleet_views.Views:
    """Return what the managers in the pillar report about the nodes; see ``fleet.views``."""
    return fleet_views.read(master.ask(swarm.speakers(reports, but), "swarm_node.managers"))


def read(master: Master, swarm: str | None = None) -> Status:
    """Return the state of all members, or only of those of one swarm."""
    pillars = master.pillars(master.accepted())
    found = fleet_swarms.named(fleet_swarms.swarms(pillars), swarm)
    heard = _current(master, {name: pillars[name] for one in found for name in one.members})
    rows: list[dict[str, Any]] = []
    disputes: list[str] = []
    for one in found:
        ours = {name: heard[name] for name in one.members if name in heard}
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
