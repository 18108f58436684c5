"""
Change the keys with which Consul encrypts its gossip, on all agents of a running cluster.
"""

from typing import Any

import requests

from swarm_formula.consul import agent_api
from swarm_formula.core import errors

_PATH = "/v1/operator/keyring"


def _send(
    client: agent_api.Client, method: str, what: str, key: str | None = None
) -> requests.Response:
    # The library does not support the keyring.
    send = getattr(client.http.session, method)
    body = {"json": {"Key": key}} if key else {}
    response: requests.Response = agent_api.call(
        "keyring", send, f"{client.http.base_uri}{_PATH}", **body
    )
    if response.status_code != requests.codes.ok:
        # Consul names no key in its words.
        raise errors.StoreError(f"Consul does not {what}: {response.text.strip()}")
    return response


def _pools(client: agent_api.Client) -> list[dict[str, Any]]:
    pools: list[dict[str, Any]] = _send(client, "get", "list its gossip keys").json()
    return pools


def admit(client: agent_api.Client, key: str) -> None:
    """Install a key on all agents, and encrypt with it once all of them have it."""
    _send(client, "post", "install the new gossip key on all agents", key)
    for pool in _pools(client):
        having, count = (pool.get("Keys") or {}).get(key, 0), pool.get("NumNodes", 0)
        if having < count:
            raise errors.StoreError(
                f"the new gossip key is on {having} of {count} agents of Consul: bring the others"
                " up, or remove them; the old key is in use"
            )
    _send(client, "put", "use the new gossip key", key)


def retire(client: agent_api.Client, key: str) -> None:
    """Remove a key from all agents, if any has it."""
    if any(key in (pool.get("Keys") or {}) for pool in _pools(client)):
        _send(client, "delete", "remove the old gossip key", key)
