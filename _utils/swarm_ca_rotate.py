"""
Rotate the CA by command, and tell what a rotation waits for.

``swarm_ca_rotation`` decides which step is next.
"""

from collections.abc import Collection

import swarm_ca_load
import swarm_ca_publication
import swarm_ca_rotation
import swarm_ca_state
import swarm_errors
import swarm_files
import swarm_renewal
from swarm_minion import Minion


def begin(minion: Minion) -> dict:
    """Begin a rotation, or resume the one in progress; return its status."""
    settings = minion.settings()
    swarm_ca_publication.update(
        minion, settings, lambda state: swarm_ca_rotation.begun(state, settings)
    )
    return status(minion)


def status(minion: Minion) -> dict:
    """Return whether a rotation is in progress, its last step, and whom it waits for."""
    state, late = swarm_ca_load.require(minion.opts["id"]), []
    changing = swarm_ca_rotation.is_changing(state)
    if changing:
        reports = swarm_ca_publication.reports(minion, minion.settings())
        late = swarm_ca_rotation.lagging(state, reports)
    return {"changing": changing, "since": state.get("since"), "waits for": late}


def complaints(minion: Minion) -> list[str]:
    """Return the rotations that are not finished, and what they wait for, as sentences."""
    settings, state = minion.settings(), swarm_ca_state.load()
    if not (settings["is_ca"] and state):
        return []
    found = swarm_renewal.unfinished(state)
    if not swarm_ca_rotation.is_changing(state):
        return found
    reports = swarm_ca_publication.reports(minion, settings)
    said = swarm_ca_rotation.waiting(state, reports, settings["id"])
    return [said, *found] if said else found


def advance(minion: Minion, without: Collection[str]) -> dict:
    """Take the next step without the members that the rotation waits for; return the changes."""
    settings = minion.settings()
    with swarm_files.alone(swarm_ca_state.LOCK):
        state = swarm_ca_load.require(settings["id"])
        reports = swarm_ca_publication.reports(minion, settings)
        late = swarm_ca_rotation.lagging(state, reports)
        _refuse_others(late, without)
        there = {name: said for name, said in reports.items() if name not in without}
        state, step = swarm_ca_rotation.advanced(state, settings, there)
        swarm_ca_state.save(state)
    swarm_ca_publication.tell(minion, settings, state)
    names = ", ".join(late)
    back = f"to bring one back: salt ID swarm_tls.distrust, then apply swarm there. ID: {names}"
    return {
        "CA": {"old": "in its change", "new": f"{step}, without {names}"},
        "left behind": back,
    }


def _refuse_others(late: list[str], named: Collection[str]) -> None:
    """Raise an error unless exactly the members that the rotation waits for are named."""
    if late and set(named) == set(late):
        return
    names = ", ".join(late) or "nobody"
    raise swarm_errors.SwarmError(
        f"no step of the CA's change was taken: it waits for {names}, all of which, and"
        " nobody else, are to be named"
    )
