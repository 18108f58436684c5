"""
Manage Consul's ACLs: without a token, only what the swarm needs is allowed.

``swarm`` and the engine can be given a token only in their arguments or their environment.
Therefore Consul's anonymous token has the rights that they need: a client with a certificate of the
swarm has them without a token. All else requires the management token, which only servers have.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import requests

from swarm_formula.consul import agent_api, config_file, container_spec
from swarm_formula.core import addresses, errors, host_files
from swarm_formula.core.settings_types import Settings

POLICY, DENY = "swarm-formula", "deny"
# Consul's accessor ID of the anonymous token.
_ANONYMOUS = "00000000-0000-0000-0000-000000000002"
# This key shows clients that may not read policies that the policy is in force.
_MARK = "swarm-formula/acl"
_MANAGEMENT = "Management token of the swarm formula"
_DESCRIPTION = "What Docker Swarm needs; kept by the swarm formula"
# The store of Swarm and of overlay networks, the formula's turns, and the registration of agents.
RULES = """\
key_prefix "docker/" { policy = "write" }
key_prefix "swarm-formula/" { policy = "write" }
session_prefix "" { policy = "write" }
node_prefix "" { policy = "write" }
service_prefix "" { policy = "read" }
"""


def noted() -> dict[str, Any]:
    """Return the ``acl`` part of Consul's configuration on this host, ``{}`` if there is none."""
    return config_file.config().get("acl") or {}


def management() -> str | None:
    """Return the management token, ``None`` without ACLs or if this host is not a server."""
    token: str | None = noted().get("tokens", {}).get("master")
    return token


def connect(settings: Settings, timeout: float = 5) -> agent_api.Client:
    """Return a client with all rights of this host: a server has the management token."""
    return config_file.connect(settings, management(), timeout)


def beginning() -> str:
    """
    Return the default policy with which a server on this host starts: ``deny`` or ``allow``.

    Where Consul ran without ACLs, the swarm needs its rights before all else is denied, and these
    cannot be granted before all servers have ACLs. There, everything is allowed first, as before.
    """
    runs = host_files.read(container_spec.consul_file()) is not None
    return "allow" if runs and noted().get("default_policy") != DENY else DENY


def vouches() -> bool:
    """
    Check whether this host's Consul can list the members by itself.

    With ACLs, it cannot while the leader has none, as happens while ACLs are being enabled.
    """
    acl = noted()
    return not acl or (acl.get("default_policy") == DENY and "tokens" in acl)


def config(token: str | None, policy: str = DENY) -> dict[str, Any]:
    """Return the ``acl`` part of Consul's configuration; ``token`` is for servers only."""
    # The name from before Consul 1.11: consul.schema writes that of the version.
    tokens = {"tokens": {"master": token}} if token else {}
    return {"enabled": True, "default_policy": policy, **tokens}


def grant(client: agent_api.Client, test: bool) -> bool:
    """
    Ensure that the anonymous token has the rights of the swarm; return whether it lacked them.

    client
        A Consul client with the management token.
    """
    try:
        known = {one["Name"]: one["ID"] for one in _ask(client, "policies")}
        id_ = known.get(POLICY)
        lacks = id_ is None or _ask(client, f"policy/{id_}")["Rules"] != RULES
        if lacks and not test:
            body = {"Name": POLICY, "Description": _DESCRIPTION, "Rules": RULES}
            _ask(client, f"policy/{id_}" if id_ else "policy", {**body, "ID": id_ or ""})
        # Keep policies that an operator has added.
        links = _ask(client, f"token/{_ANONYMOUS}").get("Policies") or []
        if POLICY not in {one["Name"] for one in links}:
            lacks = True
            if not test:
                _link(client, [*links, {"Name": POLICY}])
    except (AttributeError, KeyError, TypeError, ValueError) as err:
        raise errors.StoreError(
            f"Consul's answer on its ACLs is not understood ({type(err).__name__}: {err})"
        ) from err
    if not test and not marked(client):
        agent_api.call("ACLs", client.kv.put, _MARK, POLICY)
    return lacks


def create(client: agent_api.Client, new: agent_api.Client, token: str) -> None:
    """
    Ensure that a second management token exists in Consul.

    client, new
        Clients with the present token and with the new one.
    """
    if _own(new) is None:
        links = [{"Name": "global-management"}]
        body = {"SecretID": token, "Description": _MANAGEMENT, "Policies": links}
        _ask(client, "token", body)
    if _own(new) is None:
        raise errors.StoreError("Consul does not know the new management token yet")


def delete(client: agent_api.Client, old: agent_api.Client) -> None:
    """
    Ensure that a management token does not exist in Consul any more.

    client, old
        Clients with the present token and with the old one.
    """
    if accessor := _own(old):
        _accepted(_send(client.http.delete, f"token/{accessor}"))


def _own(client: agent_api.Client) -> str | None:
    """Return the accessor ID of a client's own token, ``None`` if Consul does not know it."""
    answer = _send(client.http.get, "token/self")
    if answer.code == requests.codes.forbidden and "not found" in str(answer.body).lower():
        return None
    return str(json.loads(_accepted(answer))["AccessorID"])


def _link(client: agent_api.Client, links: list[dict[str, Any]]) -> None:
    body = {"Description": "Anonymous Token", "Policies": links}
    _ask(client, f"token/{_ANONYMOUS}", {"AccessorID": _ANONYMOUS, **body})


def marked(client: agent_api.Client) -> bool:
    """Check whether the swarm has its rights according to this host's Consul."""
    return agent_api.call("ACLs", client.kv.get, _MARK)[1] is not None


def laggards(client: agent_api.Client, settings: Settings) -> str | None:
    """Return a sentence naming the servers without ACLs, ``None`` if all servers have ACLs."""
    try:
        found = agent_api.without_acls(agent_api.members(client))
    except errors.StoreError as err:
        # An agent with ACLs lists no members while the leader has no ACLs.
        leader = _leader(client, settings["servers"])
        if leader in (None, settings["id"]):
            return str(err)
        found = {leader}
    names = ", ".join(sorted(found))
    return f"Consul of {names} has no ACLs yet: apply swarm there as well" if names else None


def _leader(client: agent_api.Client, servers: Mapping[str, str]) -> str | None:
    """Return the ID of the leader, ``None`` without a leader or if the pillar does not name it."""
    try:
        address = addresses.host(agent_api.leader(client))
    except errors.StoreError:
        return None
    return next((name for name, one in servers.items() if one == address), None)


def _ask(client: agent_api.Client, what: str, body: dict[str, Any] | None = None) -> Any:
    # The library supports only the ACL system from before Consul 1.4.
    method = client.http.get if body is None else client.http.put
    more = {} if body is None else {"data": json.dumps(body)}
    return json.loads(_accepted(_send(method, what, **more)))


def _send(method: Callable[..., Any], what: str, **more: str) -> Any:
    return agent_api.call("ACLs", method, lambda response: response, f"/v1/acl/{what}", **more)


def _accepted(answer: Any) -> str:
    if answer.code != requests.codes.ok:
        raise errors.StoreError(f"Consul refuses (ACLs): {answer.body}")
    return str(answer.body)
