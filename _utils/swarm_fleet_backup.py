"""
Back up the state of a swarm from the master, on the member that is best suited for it.
"""

import swarm_errors
import swarm_fleet
import swarm_fleet_status
import swarm_members
import swarm_report
from swarm_master import Master


def save(master: Master, minion: str | None, swarm: str | None, options: dict) -> dict:
    """
    Back up the swarm's state to a file on a member; return what that member reports.

    minion
        The member; chosen automatically if ``None``.

    options
        The options of ``swarm_backup.save``.
    """
    chosen = minion
    if not chosen:
        try:
            ours = swarm_fleet.only(
                swarm_fleet_status.swarms(master, swarm), "nothing was backed up"
            )
        except swarm_errors.SwarmError as err:
            return master.refused(err)
        reports = swarm_fleet_status.reports(master, ours.members)
        said = swarm_fleet_status.views(master, ours, reports).said
        chosen = swarm_members.keeper(reports, said, ours.holders, ours.is_builtin)
    if not chosen:
        return master.refused("no member answers that has the state of the swarm: name a minion")
    answer = master.ask([chosen], "swarm_backup.save", **options).get(chosen, "it does not answer")
    answer = swarm_report.plain(answer) if isinstance(answer, dict) else master.refused(answer)
    return {**answer, "minion": chosen}
