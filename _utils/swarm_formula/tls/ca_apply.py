"""
Ensure the CA exists on its host, and take it one step further.
"""

from typing import Any

from swarm_formula.core import errors, host_files
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt.execution import Minion
from swarm_formula.tls import (
    ca_copy_search,
    ca_load,
    ca_publication,
    ca_rotation,
    ca_state,
    cert_files,
)


def apply(minion: Minion, settings: Settings, test: bool) -> dict[str, Any]:
    """Create or restore the CA, and take the next step of its rotation; return the changes."""
    with host_files.alone(ca_state.LOCK):
        state, changes = _planned(minion, settings, test)
        if test:
            return changes
        if changes:
            ca_state.save(state)
    ca_publication.tell(minion, settings, state)
    return changes


def _planned(
    minion: Minion, settings: Settings, test: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the state of the CA as it is due, and the changes."""
    state, changes = ca_load.find(settings["id"]), {}
    if not state:
        state, how = _begun(minion, settings, test)
        changes["CA"] = {"old": None, "new": how}
    before, state = state, ca_state.with_apart(state, settings)
    for chain in ca_state.chains(state).keys() - ca_state.chains(before).keys():
        changes[ca_state.TITLES[chain]] = {"old": None, "new": "made"}
    # A CA that comes back in its rotation goes on with the next apply.
    state, step = (state, None) if "CA" in changes else _advanced(minion, settings, state)
    if step:
        changes["CA"] = {"old": "in its change", "new": step}
    before, state = state, ca_state.with_token(state, settings)
    if state != before:
        changes["Consul's management token"] = {"old": None, "new": "made"}
    return state, changes


def _begun(minion: Minion, settings: Settings, test: bool) -> tuple[dict[str, Any], str]:
    """Return the state of a CA that this host has not had, and where it comes from."""
    if copy := ca_copy_search.Search(minion.salt, settings, minion.mine()).result(test):
        return copy.state, f"restored from {copy.holder}"
    _refuse_second(settings)
    return ca_state.found(settings), "made"


def _refuse_second(settings: Settings) -> None:
    """Raise an error if this host has certificates of a CA: a second CA would split the swarm."""
    if cert_files.NODE.read() is None:
        return
    me = settings["id"]
    raise errors.SwarmError(
        f"{me} is to be the CA (swarm:tls:ca) and has certificates of another one: have"
        f" swarm:tls:ca name the minion that has been it, or bring its {ca_state.FILE} to"
        f" {me}; if that is lost, salt '*' swarm_tls.distrust, and apply again"
    )


def _advanced(
    minion: Minion, settings: Settings, state: dict[str, Any]
) -> tuple[dict[str, Any], str | None]:
    # Read the reports of all members only during a rotation.
    changing = ca_rotation.is_changing(state)
    reports = ca_publication.reports(minion, settings) if changing else {}
    return ca_rotation.advanced(state, settings, reports)
