"""
Rotate the CA by command, and tell what a rotation waits for.

``tls.ca_rotation`` decides which step is next.
"""

from collections.abc import Collection
from typing import Any

from swarm_formula.core import errors, host_files
from swarm_formula.salt.execution import Minion
from swarm_formula.tls import ca_load, ca_publication, ca_rotation, ca_state, consul_secrets


def begin(minion: Minion) -> dict[str, Any]:
    """Begin a rotation, or resume the one in progress; return its status."""
    settings = minion.settings()
    ca_publication.update(minion, settings, lambda state: ca_rotation.begun(state, settings))
    return status(minion)


def status(minion: Minion) -> dict[str, Any]:
    """Return whether a rotation is in progress, its last step, and whom it waits for."""
    state, late = ca_load.require(minion.opts["id"]), []
    changing = ca_rotation.is_changing(state)
    if changing:
        reports = ca_publication.reports(minion, minion.settings())
        late = ca_rotation.lagging(state, reports)
    return {"changing": changing, "since": state.get("since"), "waits for": late}


def complaints(minion: Minion) -> list[str]:
    """Return the rotations that are not finished, and what they wait for, as sentences."""
    settings, state = minion.settings(), ca_state.load()
    if not (settings["is_ca"] and state):
        return []
    found = consul_secrets.unfinished(state)
    if not ca_rotation.is_changing(state):
        return found
    reports = ca_publication.reports(minion, settings)
    said = ca_rotation.waiting(state, reports, settings["id"])
    return [said, *found] if said else found


def advance(minion: Minion, without: Collection[str]) -> dict[str, Any]:
    """Take the next step without the members that the rotation waits for; return the changes."""
    settings = minion.settings()
    with host_files.alone(ca_state.LOCK):
        state = ca_load.require(settings["id"])
        reports = ca_publication.reports(minion, settings)
        late = ca_rotation.lagging(state, reports)
        _refuse_others(late, without)
        there = {name: said for name, said in reports.items() if name not in without}
        state, step = ca_rotation.advanced(state, settings, there)
        ca_state.save(state)
    ca_publication.tell(minion, settings, state)
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
    raise errors.SwarmError(
        f"no step of the CA's change was taken: it waits for {names}, all of which, and"
        " nobody else, are to be named"
    )
