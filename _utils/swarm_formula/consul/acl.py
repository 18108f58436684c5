"""
Manage Consul's ACLs: without a token, only what the swarm needs is allowed.

``consul.acl_rules`` has the rights: those of managers' hosts, and those of all others. Everything
else requires the management token, which only servers have in their configuration.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import requests

from swarm_formula.consul import acl_rules, agent_api, config_file, container_spec
from swarm_formula.core import addresses, errors, host_files
from swarm_formula.core.settings_types import Settings

POLICY, MANAGERS, DENY = "swarm-formula", "swarm-formula-managers", "deny"
# Consul's accessor ID of the anonymous token.
_ANONYMOUS = "00000000-0000-0000-0000-000000000002"
_MANAGEMENT = "Management token of the swarm formula"
_DESCRIPTION = "What Docker Swarm needs; kept by the swarm formula"
_OF_MANAGERS = "Managers' hosts; kept by the swarm formula"


def noted() -> dict[str, Any]:
    """Return the ``acl`` part of Consul's configuration on this host, ``{}`` if there is none."""
    return config_file.config().get("acl") or {}


def management() -> str | None:
    """Return the management token, ``None`` without ACLs or if this host is not a server."""
    token: str | None = noted().get("tokens", {}).get("master")
    return token


def added() -> str | None:
    """Return the token that this host's Consul adds to requests without one, ``None`` if none."""
    return acl_rules.added(noted())


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
    return not acl or (acl.get("default_policy") == DENY and management() is not None)


def config(token: str | None, policy: str = DENY, managers: str | None = None) -> dict[str, Any]:
    """
    Return the ``acl`` part of Consul's configuration.

    token
        The management token, for servers only.

    managers
        The managers' token, for managers' hosts only.
    """
    # The name from before Consul 1.11: consul.schema writes that of the version.
    given = {"master": token, "default": managers}
    tokens = {key: one for key, one in given.items() if one}
    return {
        "enabled": True,
        "default_policy": policy,
        **({"tokens": tokens} if tokens else {}),
    }


def grant(client: agent_api.Client, test: bool, settings: Settings, token: str | None) -> bool:
    """
    Ensure that all hosts have the rights of the swarm in Consul; return whether any was lacking.

    client
        A Consul client with the management token.

    token
        The managers' token; ``None`` if all hosts have the same rights.
    """
    try:
        lacks = token is not None and _grant_managers(client, test, settings, token)
        # Until the last manager has its token, its host needs the rights of all.
        late = token is not None and waits_for(client, settings)
        lacks = _grant_all(client, test, None if late else acl_rules.of_all(settings)) or lacks
    except (AttributeError, KeyError, TypeError, ValueError) as err:
        raise errors.StoreError(
            f"Consul's answer on its ACLs is not understood ({type(err).__name__}: {err})"
        ) from err
    if not test and not marked(client):
        agent_api.call("ACLs", client.kv.put, acl_rules.MARK, POLICY)
    return lacks


def _grant_managers(client: agent_api.Client, test: bool, settings: Settings, token: str) -> bool:
    """Ensure that the managers' token exists, with its rights; return whether it lacked them."""
    lacks = _write(client, MANAGERS, acl_rules.MANAGERS, test)
    if is_known(config_file.connect(settings, token)):
        return lacks
    if not test:
        _create(client, token, _OF_MANAGERS, MANAGERS)
    return True


def _grant_all(client: agent_api.Client, test: bool, rules: str | None) -> bool:
    """
    Ensure that the anonymous token has the rights of the swarm; return whether it lacked any.

    rules
        ``None`` to keep those that the token has, if it has any.
    """
    lacks = _write(client, POLICY, rules, test)
    # Keep policies that an operator has added.
    links = _ask(client, f"token/{_ANONYMOUS}").get("Policies") or []
    if POLICY in {one["Name"] for one in links}:
        return lacks
    if not test:
        _link(client, [*links, {"Name": POLICY}])
    return True


def unreleased(settings: Settings) -> str | None:
    """
    Return why Consul on this host must keep the managers' token for now, ``None`` if it need not.

    Without the token, this host has the rights of all, which must be wide enough for it: they are
    the managers' rights if all hosts have the same, and do not protect this host if it is none.
    """
    me, anonymous = settings["id"], config_file.connect(settings, "anonymous")
    try:
        if management():
            _write(connect(settings), POLICY, acl_rules.of_all(settings), test=False)
        session = agent_api.call("ACLs", anonymous.session.create, ttl=10)
        agent_api.call("ACLs", anonymous.session.destroy, session)
    except errors.StoreError as err:
        # If Consul does not answer, nothing depends on its rights.
        if "permission denied" in str(err).lower():
            return f"Consul of {me} needs the managers' token until a server has released it"
    return None


def waits_for(client: agent_api.Client, settings: Settings) -> list[str]:
    """Return the managers with a Consul agent that does not use the managers' token yet."""
    found = agent_api.nodes(client)
    unmarked = {one["Node"] for one in found if not acl_rules.is_marked(one)}
    return sorted(unmarked & set(settings["managers"]))


def _write(client: agent_api.Client, name: str, rules: str | None, test: bool) -> bool:
    """
    Ensure that a policy has these rules; return whether it had others.

    rules
        ``None`` to keep the present ones; a policy that is not there gets those of managers.
    """
    known = {one["Name"]: one["ID"] for one in _ask(client, "policies")}
    id_ = known.get(name)
    if id_ and (rules is None or _ask(client, f"policy/{id_}")["Rules"] == rules):
        return False
    if not test:
        body = {"Name": name, "Description": _DESCRIPTION, "Rules": rules or acl_rules.MANAGERS}
        _ask(client, f"policy/{id_}" if id_ else "policy", {**body, "ID": id_ or ""})
    return True


def create(client: agent_api.Client, settings: Settings, management: str) -> None:
    """
    Ensure that a second management token exists in Consul, and the managers' token of it.

    client
        A client with the present management token.
    """
    given = {management: (_MANAGEMENT, "global-management")}
    if acl_rules.is_split(settings):
        given[acl_rules.token(management)] = (_OF_MANAGERS, MANAGERS)
    for token, (description, policy) in given.items():
        own = config_file.connect(settings, token)
        if not is_known(own):
            _create(client, token, description, policy)
        if not is_known(own):
            raise errors.StoreError("Consul does not know the new tokens yet")


def _create(client: agent_api.Client, token: str, description: str, policy: str) -> None:
    body = {"SecretID": token, "Description": description, "Policies": [{"Name": policy}]}
    _ask(client, "token", body)


def delete(client: agent_api.Client, settings: Settings, management: str) -> None:
    """
    Ensure that Consul does not know a former management token, and the managers' token of it.

    client
        A client with the present management token.
    """
    for token in (acl_rules.token(management), management):
        if accessor := _own(config_file.connect(settings, token)):
            _accepted(_send(client.http.delete, f"token/{accessor}"))


def is_known(client: agent_api.Client) -> bool:
    """Check whether Consul knows the token of a client."""
    return _own(client) is not None


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
    return agent_api.call("ACLs", client.kv.get, acl_rules.MARK)[1] is not None


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
