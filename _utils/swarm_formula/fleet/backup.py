"""
Back up the state of a swarm from the master, on the member that is best suited for it.
"""

from typing import Any

from swarm_formula.core import errors
from swarm_formula.fleet import member_guard, status, swarms
from swarm_formula.salt import minion_reports
from swarm_formula.salt.runner import Master


def save(
    master: Master, minion: str | None, swarm: str | None, options: dict[str, Any]
) -> dict[str, Any]:
    """
    Back up the swarm's state to a file on a member; return what that member reports.

    minion
        The member; chosen automatically if ``None``.

    options
        The options of ``swarm_backup.save``.
    """
    if minion:
        return _told(master, minion, _saved(master, minion, options))
    try:
        ours = swarms.only(status.swarms(master, swarm), "nothing was backed up")
    except errors.SwarmError as err:
        return master.refused(err)
    reports = status.reports(master, ours.members)
    said = status.views(master, ours, reports).said
    left = list(ours.holders)
    first: tuple[str, object] | None = None
    while chosen := member_guard.keeper(reports, said, left, ours.facts):
        answer = _saved(master, chosen, options)
        # In builtin mode, a refusal is about the cluster, and each try stops an engine.
        if isinstance(answer, dict) or not ours.facts.standalone:
            return _told(master, chosen, answer)
        first = first or (chosen, answer)
        # Its report does not tell whether its Consul is up.
        left.remove(chosen)
    if first:
        return _told(master, *first)
    return master.refused("no member answers that has the state of the swarm: name a minion")


def _saved(master: Master, minion: str, options: dict[str, Any]) -> object:
    return master.ask([minion], "swarm_backup.save", **options).get(minion, "it does not answer")


def _told(master: Master, minion: str, answer: object) -> dict[str, Any]:
    plain = minion_reports.plain(answer) if isinstance(answer, dict) else master.refused(answer)
    return {**plain, "minion": minion}
