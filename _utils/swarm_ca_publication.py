"""
Publish the CA's records in Salt's mine, and read the reports of the members there.
"""

from collections.abc import Callable, Iterable

import swarm_ca_load
import swarm_ca_record
import swarm_ca_state
import swarm_files
import swarm_member_rules
import swarm_mine
from swarm_minion import Minion


def record(minion: Minion) -> dict:
    """Return the CA's record for the members; its secrets are masked unless the mine asks."""
    found = swarm_ca_record.record(swarm_ca_load.require(minion.opts["id"]))
    # Include the members: if the pillar changes them, the record differs and is sent again.
    members = _readers(minion, swarm_member_rules.members(minion.settings()))
    return {**_masked(minion, found, "gossip"), "members": members}


def management(minion: Minion) -> dict:
    """Return Consul's management token, and the servers that may read it; masked as a record."""
    servers = _readers(minion, minion.settings()["servers"])
    found = swarm_ca_record.management(swarm_ca_load.require(minion.opts["id"]))
    return {**_masked(minion, found, ""), "servers": servers}


def _readers(minion: Minion, globs: Iterable[str]) -> str:
    """Return the target of the minions that may read a record of this CA, itself among them."""
    me, globs = minion.opts["id"], [*globs]
    return swarm_mine.target(globs if swarm_member_rules.is_among(me, globs) else [*globs, me])


def _masked(minion: Minion, found: dict, kind: str) -> dict:
    """Return a record; the values of keys that begin with ``kind`` are secrets."""
    secret = minion.mine().secret
    return {key: secret(one) if key.startswith(kind) else one for key, one in found.items()}


def tell(minion: Minion, settings: dict, state: dict) -> None:
    """Publish what the members and the Consul servers have to know of the CA's state."""
    mine, me = minion.mine(), settings["id"]
    wanted = settings["consul"]["acl"] and state.get("acl")
    with mine.sending():
        told, token = record(minion), management(minion) if wanted else None
    mine.tell(me, swarm_ca_record.RECORD, told, "swarm_ca.record", told["members"])
    if token:
        mine.tell(me, swarm_ca_record.ACL, token, "swarm_ca.management", token["servers"])
    elif state.get("acl") and mine.get([me], swarm_ca_record.ACL):
        # Remove it from the mine only: the CA keeps it in case ACLs are enabled again.
        mine.forget(swarm_ca_record.ACL)


def update(minion: Minion, settings: dict, change: Callable[[dict], dict]) -> dict:
    """Change the state of the CA by a function, and publish it; return the new state."""
    with swarm_files.alone(swarm_ca_state.LOCK):
        before = swarm_ca_load.require(settings["id"])
        state = change(before)
        if state != before:
            swarm_ca_state.save(state)
    tell(minion, settings, state)
    return state


def reports(minion: Minion, settings: dict) -> dict:
    """Return the reports of the members that have certificates of this CA."""
    found = minion.mine().get(swarm_mine.members(settings), swarm_ca_record.REPORT)
    found = {member: said for member, said in found.items() if said}
    return swarm_ca_record.own_reports(swarm_ca_state.load(), found)
