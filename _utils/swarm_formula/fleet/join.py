"""
Join members from the master: those that the pillar names and that are not Healthy.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from swarm_formula.fleet import member_rows, members, status
from swarm_formula.fleet import returns as fleet_returns
from swarm_formula.salt import minion_reports
from swarm_formula.salt.runner import Master

_BATCH = 50


def reconcile(master: Master, test: bool = False, swarm: str | None = None) -> dict[str, Any]:
    """Join the members that are up and not Healthy; return what was done."""
    rows, reports, joining, disputes = status.read(master, swarm)
    wanted = [one for one in member_rows.to_join(rows, reports) if one in joining]
    healthy = sum(map(member_rows.is_good, rows))
    down = [row["id"] for row in rows if row["id"] not in reports and row["role"] != "no member"]
    found: dict[str, Any] = {"healthy": healthy, "down": down}
    if disputes:
        found["complaints"] = minion_reports.plain(disputes)
    if test:
        return {**found, "would join": wanted}
    return {**found, **_join(master, wanted)}


def join(master: Master, minions: Iterable[str]) -> dict[str, Any]:
    """Join these minions if their pillars make them members that join automatically."""
    pillars = master.pillars(minions)
    wanted = [minion for minion, pillar in pillars.items() if members.joins(minion, pillar)]
    others = sorted(set(minions) - set(wanted))
    return {**_join(master, wanted), **({"no members": others} if others else {})}


def _join(master: Master, minions: Sequence[str]) -> dict[str, Any]:
    failed: dict[str, str] = {}
    for start in range(0, len(minions), _BATCH):
        batch = minions[start : start + _BATCH]
        options = {"mods": "swarm.join", "queue": True}
        returns = master.ask(batch, "state.apply", **options)
        failed |= fleet_returns.outcomes(returns, batch)
    joined = [minion for minion in minions if minion not in failed]
    for minion in joined:
        master.fire(minion, "joined")
    for minion, reason in failed.items():
        master.fire(minion, "failed", reason=reason)
    return {"joined": joined, "failed": failed}
