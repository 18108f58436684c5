"""
Load the CA of this host, unless this host has a newer copy of it.
"""

from typing import Any

from swarm_formula.core import errors
from swarm_formula.tls import ca_copy, ca_copy_store, ca_state


def find(me: str) -> dict[str, Any]:
    """Return the state of the CA, ``{}`` if there is none on this host."""
    state = ca_state.load()
    if state:
        _refuse_older(me, state)
    return state


def require(me: str) -> dict[str, Any]:
    """Return the state of the CA; raise an error if there is none on this host."""
    state = find(me)
    if not state:
        raise errors.SwarmError(f"{me} is no CA (yet): apply swarm there")
    return state


def _refuse_older(me: str, state: dict[str, Any]) -> None:
    """
    Raise an error if the state in the CA's file is older than this host's copy.

    The CA has been on another host meanwhile: with the file's old secrets, members would go back.
    """
    try:
        copy = ca_copy_store.own(me)
    except errors.SwarmError:
        return  # a damaged copy says nothing of the file
    if not copy or copy.issuer not in ca_copy_store.trusted():
        return
    if ca_copy.serial(copy.state) <= ca_copy.serial(state):
        return
    raise errors.SwarmError(
        f"{ca_state.FILE} of {me} is older than its copy of the CA, which has been on"
        f" {copy.ca} meanwhile; nothing was changed. To continue with the CA as it was there,"
        f" remove {ca_state.FILE} from {me}; to go back to the file, salt {me}"
        " swarm_ca_copy.remove. Then apply again"
    )
