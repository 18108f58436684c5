"""
Publish the CA's records in Salt's mine, and read the reports of the members there.
"""

from collections.abc import Callable, Iterable
from typing import Any

from swarm_formula.core import host_files, member_rules
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt import mine as salt_mine
from swarm_formula.salt.execution import Minion
from swarm_formula.tls import ca_load, ca_record, ca_state


def record(minion: Minion) -> dict[str, Any]:
    """Return the CA's record for the members, with its secrets."""
    found = ca_record.record(ca_load.require(minion.opts["id"]))
    # Include the members: if the pillar changes them, the record differs and is sent again.
    members = _readers(minion, member_rules.members(minion.settings()))
    return {**found, "members": members}


def management(minion: Minion) -> dict[str, Any]:
    """
    Return Consul's management token, and the minions that may read it.

    These are the servers, and the managers: the managers' token follows from it, and the managers
    have it in their copies of the CA anyway.
    """
    settings = minion.settings()
    servers = _readers(minion, {**settings["servers"], **settings["managers"]})
    found = ca_record.management(ca_load.require(minion.opts["id"]))
    return {**found, "servers": servers}


def _readers(minion: Minion, globs: Iterable[str]) -> str:
    """Return the target of the minions that may read a record of this CA, itself among them."""
    me, globs = minion.opts["id"], [*globs]
    return salt_mine.target(globs if member_rules.is_among(me, globs) else [*globs, me])


def tell(minion: Minion, settings: Settings, state: dict[str, Any]) -> None:
    """Publish what the members and the Consul servers have to know of the CA's state."""
    mine, me = minion.mine(), settings["id"]
    wanted = settings["consul"]["acl"] and state.get("acl")
    told, token = record(minion), management(minion) if wanted else None
    mine.tell(me, ca_record.RECORD, told, told["members"])
    if token:
        mine.tell(me, ca_record.ACL, token, token["servers"])
    elif state.get("acl") and mine.get([me], ca_record.ACL):
        # Remove it from the mine only: the CA keeps it in case ACLs are enabled again.
        mine.forget(ca_record.ACL)


def update(
    minion: Minion, settings: Settings, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """Change the state of the CA by a function, and publish it; return the new state."""
    with host_files.alone(ca_state.LOCK):
        before = ca_load.require(settings["id"])
        state = change(before)
        if state != before:
            ca_state.save(state)
    tell(minion, settings, state)
    return state


def reports(minion: Minion, settings: Settings) -> dict[str, object]:
    """Return the reports of the members that have certificates of this CA."""
    found = minion.mine().get(salt_mine.members(settings), ca_record.REPORT)
    found = {member: said for member, said in found.items() if said}
    return ca_record.own_reports(ca_state.load(), found)
