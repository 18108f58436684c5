"""
Rotate a swarm's CA: decide which step is next, and which members it waits for.
"""

import time
from collections.abc import Mapping
from typing import Any

from swarm_formula.core import pem_text
from swarm_formula.core.settings_types import Settings
from swarm_formula.tls import ca_record, ca_state

_ANNOUNCED = "a new CA is trusted beside the old"


def is_changing(state: dict[str, Any]) -> bool:
    """Check whether a rotation of the CA is in progress."""
    return bool(state["next"] or state["old"])


def begun(state: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Return the CA with a rotation in progress: that of now, or a new one."""
    if is_changing(state):
        return state
    return {**_announced(state, settings), "since": int(time.time())}


def _announced(state: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Return the CA with a new one that members are to trust as well."""
    return ca_state.in_each(state, lambda _, chain: {"next": ca_state.new(settings, chain)})


def advanced(
    state: dict[str, Any], settings: Settings, reports: Mapping[str, object]
) -> tuple[dict[str, Any], str | None]:
    """
    Return the CA one step further in its rotation, and that step; ``None`` if there is no step.

    First, all members trust the new CA as well; then they get certificates signed by it; then they
    remove the old CA. A step is taken when all members have completed the previous one.

    reports
        Reports of the members: ``{minion: {"trusts": [...], "issuer": ...}}``.
    """
    further, step = _next(state, settings, reports)
    return ({**further, "since": int(time.time())} if step else state), step


def _next(
    state: dict[str, Any], settings: Settings, reports: Mapping[str, object]
) -> tuple[dict[str, Any], str | None]:
    rotation = settings["tls"]["ca_rotation"]
    if rotation not in (None, state["rotation"]) and not is_changing(state):
        state = {**state, "rotation": rotation}
        return _announced(state, settings), _ANNOUNCED
    if ca_state.is_shared(state) and not is_changing(state):
        # For the nodes only: with the old one go the certificates that an earlier version has
        # signed for workers as clients; Consul keeps it.
        return {**state, "next": ca_state.new(settings)}, _ANNOUNCED
    if lagging(state, reports):
        return state, None
    if state["next"]:
        return followed(state), "the new CA signs"
    if state["old"]:
        state = ca_state.in_each(state, lambda *_: {"old": []})
        return state, "the old CA is trusted no more"
    return state, None


def followed(state: dict[str, Any]) -> dict[str, Any]:
    """Return the CA with the new one as the one that signs, and the old one only trusted."""
    return ca_state.in_each(state, _followed)


def _followed(chain: dict[str, Any], _: str) -> dict[str, Any]:
    # A CA apart may be newer than the change that is in progress, or not part of it.
    if not chain["next"]:
        return {}
    return {"ca": chain["next"], "next": None, "old": [chain["ca"]["cert"]]}


def lagging(state: dict[str, Any], reports: Mapping[str, object]) -> list[str]:
    """
    Return the members that have not completed the last step of a rotation.

    Each member writes its own report, so it may be any value; an invalid one counts as late.
    """
    if state["next"]:
        following = [one["next"] for one in ca_state.chains(state).values() if one["next"]]
        wanted = [("trusts", pem_text.fingerprint(one["cert"])) for one in following]
    elif state["old"]:
        wanted = [
            (ca_record.issuer_key(key), pem_text.fingerprint(one["ca"]["cert"]))
            for key, one in ca_state.chains(state).items()
        ]
    else:
        return []
    return sorted(one for one, said in reports.items() if not _holds_all(said, wanted))


def waiting(state: dict[str, Any], reports: Mapping[str, object], me: str) -> str | None:
    """Return which members a rotation of the CA waits for and since when, ``None`` if for none."""
    late = lagging(state, reports)
    if not late:
        return None
    since = state.get("since")
    stamp = time.strftime(" since %Y-%m-%d %H:%M UTC", time.gmtime(since)) if since else ""
    what = "trust the new one" if state["next"] else "have a certificate of the new one"
    names = ", ".join(late)
    return (
        f"the change of the CA waits{stamp} for {names} to {what}: apply swarm there. Those that"
        " will not come back: take them out of pillar and delete their keys (salt-key -d). To shut"
        f" them out at once: salt {me} swarm_ca.advance {' '.join(late)}"
    )


def _holds_all(said: object, wanted: list[tuple[str, str]]) -> bool:
    # Most members have no client's certificate, and none for Consul without the formula's.
    optional = {ca_record.issuer_key(one) for one in ca_state.APART}
    lacks = optional - said.keys() if isinstance(said, dict) else set()
    return all(key in lacks or _holds(said, key, one) for key, one in wanted)


def _holds(said: object, key: str, wanted: str) -> bool:
    value = said.get(key) if isinstance(said, dict) else None
    return wanted == value or (isinstance(value, list) and wanted in value)
