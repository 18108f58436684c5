"""
Answer the members' requests for certificates, on the CA's host.

``tls.ca_issue`` decides who gets which certificate.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

from swarm_formula.core import errors, host_files, member_rules
from swarm_formula.salt import caller as salt_caller
from swarm_formula.salt.execution import Minion
from swarm_formula.tls import ca_addresses, ca_issue, ca_load, ca_request, ca_state

# Seconds for which a request of another minion waits for its turn: below the time that it asks for.
_PATIENCE = 5


def sign(minion: Minion, request: object, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return ``{"cert": PEM}`` for the caller that ``kwargs`` names, else why there is none.

    With a certificate for Consul, if the request asks for one: ``{"cert": PEM, "consul": PEM}``.
    """
    me = minion.opts["id"]
    try:
        caller = salt_caller.name(kwargs, me)
        asked = ca_request.parsed(request)
        known = [me] if caller == me else member_rules.members(minion.settings())
        with salt_caller.admitted(caller, known), _turn(caller == me):
            return _issue(minion, caller, asked)
    except errors.BusyError as err:
        return {"busy": str(err)}
    except errors.SwarmError as err:
        return {"refused": str(err)}


def _turn(own: bool) -> contextlib.AbstractContextManager[None]:
    """Sign one request at a time; other minions do not wait in a queue, but ask again."""
    limit = {} if own else {"limit": _PATIENCE}
    lock = host_files.alone(ca_state.LOCK, **limit)
    return salt_caller.unqueued(lock, lambda err: f"busy with other requests: {err}")


def _issue(minion: Minion, caller: str, request: dict[str, Any]) -> dict[str, str]:
    me = minion.opts["id"]
    # Refresh the pillar: the requester may have been added since the last refresh.
    settings = minion.salt["swarm_settings.get"](fresh=caller != me)
    state = ca_load.find(me)
    if not state:
        # A host that is made anew, whose members have found the record of its lost CA, will be.
        raise errors.BusyError(f"{me} is no CA (yet): apply swarm there")
    certs = {}
    # Both in one turn, with one pillar: many nodes ask at the same time.
    for key, kind, csr in (
        ("cert", request["kind"], request["csr"]),
        (ca_request.MORE, ca_request.MORE, request.get(ca_request.MORE)),
    ):
        if csr is not None:
            asked = ca_request.Asked(caller, kind, request["address"])
            state, certs[key] = ca_issue.issue(asked, csr, settings, state)
    ca_state.save(state)
    return certs


def forget(minion: str) -> dict[str, Any]:
    """Release the addresses of a minion's certificates; return the changes."""
    with host_files.alone(ca_state.LOCK):
        state = ca_state.load()
        if minion not in state.get("issued", {}):
            return {}
        address = state["issued"][minion]
        ca_state.save(ca_addresses.without(state, minion))
    return {minion: {"old": address, "new": None}}
