"""
Consul's ACLs: what the swarm may do there, and nobody without a token more than that.

Neither ``swarm`` nor the engine can be given a token that would not stand in its arguments or its
environment. So Consul's anonymous token has the rights that they need: who shows a certificate of
the swarm has them without a token. All else takes the management token, which only servers have.
"""

import json
from collections.abc import Mapping

import requests
import swarm_address
import swarm_consul_file
import swarm_errors
import swarm_files
import swarm_kv
import swarm_roles

POLICY, DENY = "swarm-formula", "deny"
# Consul's own ID of the token that is none.
_ANONYMOUS = "00000000-0000-0000-0000-000000000002"
# Who may read no policy sees by this key that it is in force.
_MARK = "swarm-formula/acl"
_DESCRIPTION = "What Docker Swarm needs; kept by the swarm formula"
# The store of swarm and of overlay networks, the formula's turns, and that agents say who they are.
RULES = """\
key_prefix "docker/" { policy = "write" }
key_prefix "swarm-formula/" { policy = "write" }
session_prefix "" { policy = "write" }
node_prefix "" { policy = "write" }
service_prefix "" { policy = "read" }
"""


def noted() -> dict:
    """Return what Consul's configuration on this host says of ACLs, ``{}`` for nothing."""
    return swarm_consul_file.config().get("acl") or {}


def management() -> str | None:
    """Return the management token, ``None`` on who is no server or without ACLs."""
    return noted().get("tokens", {}).get("master")


def beginning() -> str:
    """
    Return what a server of this host does with what nobody has granted: ``deny``, or ``allow``.

    Where Consul ran without ACLs, the swarm needs its rights before all else is denied; and nobody
    can grant them before all servers have ACLs. So there it first allows everything, as before.
    """
    runs = swarm_files.read(swarm_roles.consul_file()) is not None
    return "allow" if runs and noted().get("default_policy") != DENY else DENY


def vouches() -> bool:
    """
    Say whether this host's Consul knows by itself who is a member.

    With ACLs it cannot tell while the leader has none, and that is so while they are switched on.
    """
    acl = noted()
    return not acl or (acl.get("default_policy") == DENY and "tokens" in acl)


def config(token: str | None, policy: str = DENY) -> dict:
    """Return the part of Consul's configuration; ``token`` is a server's."""
    # "master" is what Consul called it before 1.11, and takes to this day.
    tokens = {"tokens": {"master": token}} if token else {}
    return {"enabled": True, "default_policy": policy, **tokens}


def grant(client: object, test: bool) -> bool:
    """
    Ensure the anonymous token has the rights of the swarm; return whether it had not.

    client
        With the management token.
    """
    try:
        known = {one["Name"]: one["ID"] for one in _ask(client, "policies")}
        id_ = known.get(POLICY)
        lacks = id_ is None or _ask(client, f"policy/{id_}")["Rules"] != RULES
        if lacks and not test:
            body = {"Name": POLICY, "Description": _DESCRIPTION, "Rules": RULES}
            _ask(client, f"policy/{id_}" if id_ else "policy", {**body, "ID": id_ or ""})
        # An operator may have given it more.
        links = _ask(client, f"token/{_ANONYMOUS}").get("Policies") or []
        if POLICY not in {one["Name"] for one in links}:
            lacks = True
            if not test:
                _link(client, [*links, {"Name": POLICY}])
    except (AttributeError, KeyError, TypeError, ValueError) as err:
        raise swarm_errors.StoreError(
            f"Consul's answer on its ACLs is not understood ({type(err).__name__}: {err})"
        ) from err
    if not test and not marked(client):
        swarm_kv.call("ACLs", client.kv.put, _MARK, POLICY)
    return lacks


def _link(client: object, links: list) -> None:
    body = {"Description": "Anonymous Token", "Policies": links}
    _ask(client, f"token/{_ANONYMOUS}", {"AccessorID": _ANONYMOUS, **body})


def marked(client: object) -> bool:
    """Return whether the swarm has its rights, as far as this host's Consul knows."""
    return swarm_kv.call("ACLs", client.kv.get, _MARK)[1] is not None


def laggards(client: object, settings: Mapping) -> str | None:
    """Return the servers that have no ACLs yet as a sentence, ``None`` if all have."""
    try:
        found = swarm_kv.without_acls(swarm_kv.members(client))
    except swarm_errors.StoreError as err:
        # With ACLs, an agent tells no members while its leader has none.
        leader = _leader(client, settings["servers"])
        if leader in (None, settings["id"]):
            return str(err)
        found = {leader}
    names = ", ".join(sorted(found))
    return f"Consul of {names} has no ACLs yet: apply swarm there as well" if names else None


def _leader(client: object, servers: Mapping) -> str | None:
    """Return the server that leads, ``None`` if none does that pillar names."""
    try:
        address = swarm_address.host(swarm_kv.leader(client))
    except swarm_errors.StoreError:
        return None
    return next((name for name, one in servers.items() if one == address), None)


def _ask(client: object, what: str, body: dict | None = None) -> object:
    # The library knows only the ACLs of before Consul 1.4.
    path, method = f"/v1/acl/{what}", client.http.get if body is None else client.http.put
    more = {} if body is None else {"data": json.dumps(body)}
    answer = swarm_kv.call("ACLs", method, lambda response: response, path, **more)
    if answer.code != requests.codes.ok:
        raise swarm_errors.StoreError(f"Consul refuses (ACLs): {answer.body}")
    return json.loads(answer.body)
