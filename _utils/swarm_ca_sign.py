"""
Answer the members' requests for certificates, on the CA's host.

``swarm_ca_issue`` decides who gets which certificate.
"""

import contextlib
from collections.abc import Mapping

import swarm_ca_addresses
import swarm_ca_issue
import swarm_ca_load
import swarm_ca_request
import swarm_ca_state
import swarm_caller
import swarm_errors
import swarm_files
import swarm_member_rules
from swarm_minion import Minion

# Seconds for which a request of another minion waits for its turn: below the time that it asks for.
_PATIENCE = 5


def sign(minion: Minion, request: object, kwargs: Mapping) -> dict:
    """Return ``{"cert": PEM}`` for the caller that ``kwargs`` names, else why there is none."""
    me = minion.opts["id"]
    try:
        caller = swarm_caller.name(kwargs, me)
        asked = swarm_ca_request.parsed(request)
        known = [me] if caller == me else swarm_member_rules.members(minion.settings())
        with swarm_caller.admitted(caller, known), _turn(caller == me):
            return {"cert": _issue(minion, caller, asked)}
    except swarm_errors.BusyError as err:
        return {"busy": str(err)}
    except swarm_errors.SwarmError as err:
        return {"refused": str(err)}


def _turn(own: bool) -> contextlib.AbstractContextManager:
    """Sign one request at a time; other minions do not wait in a queue, but ask again."""
    limit = {} if own else {"limit": _PATIENCE}
    lock = swarm_files.alone(swarm_ca_state.LOCK, **limit)
    return swarm_caller.unqueued(lock, lambda err: f"busy with other requests: {err}")


def _issue(minion: Minion, caller: str, request: dict) -> str:
    me = minion.opts["id"]
    # Refresh the pillar: the requester may have been added since the last refresh.
    settings = minion.salt["swarm_settings.get"](fresh=caller != me)
    asked = swarm_ca_request.Asked(caller, request["kind"], request["address"])
    state = swarm_ca_load.find(me)
    if not state:
        # A host that is made anew, whose members have found the record of its lost CA, will be.
        raise swarm_errors.BusyError(f"{me} is no CA (yet): apply swarm there")
    state, cert = swarm_ca_issue.issue(asked, request["csr"], settings, state)
    swarm_ca_state.save(state)
    return cert


def forget(minion: str) -> dict:
    """Release the addresses of a minion's certificates; return the changes."""
    with swarm_files.alone(swarm_ca_state.LOCK):
        state = swarm_ca_state.load()
        if minion not in state.get("issued", {}):
            return {}
        address = state["issued"][minion]
        swarm_ca_state.save(swarm_ca_addresses.without(state, minion))
    return {minion: {"old": address, "new": None}}
