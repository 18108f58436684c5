"""
Access Consul through ``python-consul`` or its fork ``py-consul`` (both are imported as ``consul``).
"""

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests

from swarm_formula.consul import acl_rules
from swarm_formula.core import addresses, deadlines, errors
from swarm_formula.core.settings_types import Settings
from swarm_formula.tls.cert_files import Files

# A client of ``python-consul``, which has no types; its answers have none either.
Client = Any

# The library prefers these environment variables to its arguments: a token could go elsewhere.
_VARIABLES = "CONSUL_HTTP_"
# Serf's status of a member that is alive, and of a member that failed without leaving.
ALIVE, FAILED = 1, 4


class _Session(deadlines.Session):
    """A session with a timeout for each request: the library sets none."""

    def __init__(self, timeout: float) -> None:
        super().__init__()
        self._timeout = timeout

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request, with the timeout of the session unless it has one."""
        return super().request(*args, **{"timeout": self._timeout, **kwargs})


@contextlib.contextmanager
def _without_variables() -> Iterator[None]:
    """Hide Consul's environment variables within this context."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if _VARIABLES in name}
    try:
        yield
    finally:
        os.environ.update(hidden)


def connect(
    settings: Settings, files: Files, timeout: float = 5, token: str | None = None
) -> Client:
    """
    Return a client of this host's Consul, with the rights of the token if one is given.

    The library is imported here because the formula installs it in the same run.
    """
    importlib.invalidate_caches()
    try:
        library = importlib.import_module("consul")
    except ImportError as err:
        raise errors.sdk_missing("python-consul") from err
    secure = (
        {"verify": files.ca, "cert": (files.cert, files.key)} if settings["tls"]["used"] else {}
    )
    with _without_variables():
        client = library.Consul(
            host="127.0.0.1",
            port=settings["consul"]["http_port"],
            scheme="https" if secure else "http",
            **secure,
        )
    session = client.http.session = _Session(timeout)
    for key, value in secure.items():
        # For requests that the library does not support and that use the session directly.
        setattr(session, key, value)
    # Requests to this host itself must not use a proxy.
    session.trust_env = False
    if token:
        # The library would put the token into the URL, which is logged.
        session.headers["X-Consul-Token"] = token
    return client


def call(what: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function of the client; raise a ``StoreError`` that names ``what`` if it fails."""
    try:
        return function(*args, **kwargs)
    except OSError as err:
        # That of requests, and the one for a certificate that this host has not, or has no more.
        raise errors.StoreError(
            f"Consul on this host does not answer ({what}: {_reason(err)})"
        ) from err
    except Exception as err:
        # The errors have no common base class in both forks; their module identifies them.
        if type(err).__module__.partition(".")[0] != "consul":
            raise
        raise errors.StoreError(f"Consul refuses ({what}): {err}") from err


def _reason(err: Exception) -> str:
    """Return why there was no answer: a TLS error does not mean that Consul is down."""
    if isinstance(err, requests.exceptions.SSLError):
        return f"TLS fails: {err}"
    if isinstance(err, requests.exceptions.Timeout):
        return "no answer in time"
    return "no connection" if isinstance(err, requests.exceptions.RequestException) else str(err)


def members(client: Client) -> list[dict[str, Any]]:
    """Return the members that Consul lists; raise an error if the answer is not from Consul."""
    return _named(call("members", client.agent.members), "Name")


def nodes(client: Client) -> list[dict[str, Any]]:
    """Return the nodes of Consul's catalog; raise an error if the answer is not from Consul."""
    _, found = call("nodes", client.catalog.nodes)
    return _named(found, "Node")


def _named(found: Any, key: str) -> list[dict[str, Any]]:
    """Return a list of mappings that all have a name; raise an error for anything else."""
    shaped = isinstance(found, list) and all(
        isinstance(one, dict) and isinstance(one.get(key), str) for one in found
    )
    if not shaped:
        raise errors.StoreError("what answers on Consul's port of this host is no Consul")
    named: list[dict[str, Any]] = found
    return named


def leader(client: Client) -> str:
    """Return the address of Consul's leader, empty if there is no leader."""
    return str(call("leader", client.status.leader) or "")


def put(client: Client, verb: str, path: str, what: str) -> None:
    """Send a request to the agent that the library lacks, or sends in a wrong form."""
    answer = call(verb, client.http.put, lambda response: response, f"/v1/agent/{path}")
    if answer.code != requests.codes.ok:
        raise errors.StoreError(f"Consul refuses ({what}): {answer.body}")


def expel(client: Client, name: str) -> None:
    """Remove a member that is gone from Consul (force-leave)."""
    # The library's force_leave sends a GET request, which Consul refuses since 1.0.
    put(client, "expel", f"force-leave/{name}", f"expel {name}")


def _lock(client: Client) -> tuple[str | None, str]:
    """Return the manager that holds the lock, ``None`` if none does, and its session."""
    _, entry = call("leader", client.kv.get, acl_rules.LEADER)
    session = (entry or {}).get("Session") or ""
    return (entry["Value"] or b"").decode() if session else None, session


def hand_over(client: Client, manager: str) -> str | None:
    """
    Release the lock of the primary if it is on the host of ``host:port``; else return the primary.

    Once the session of the lock is destroyed, another manager takes the lock within a moment. A
    manager that is merely stopped keeps it until the session expires: 20 s without a primary.
    """
    holder, session = _lock(client)
    # Compare hosts only: the port may be what is about to change.
    if holder is None or addresses.host(holder) != addresses.host(manager):
        return holder
    call("hand over", client.session.destroy, session)
    return None


def snapshot(client: Client) -> bytes:
    """Return a snapshot of Consul's data, as ``consul snapshot save`` writes it."""
    return _snapshot(client, "get").content


def restore(client: Client, data: bytes) -> None:
    """Replace all of Consul's data with a snapshot."""
    _snapshot(client, "put", data=data)


def _snapshot(client: Client, method: str, **more: Any) -> requests.Response:
    # The library does not support snapshots, and would decode their bytes as text.
    send = getattr(client.http.session, method)
    response: requests.Response = call(
        "snapshot", send, f"{client.http.base_uri}/v1/snapshot", **more
    )
    if response.status_code != requests.codes.ok:
        raise errors.StoreError(f"Consul refuses (snapshot): {response.text.strip()}")
    return response


def missing(servers: Mapping[str, str], alive: set[str], leader: str) -> str | None:
    """Return a sentence on what Consul still lacks, ``None`` if it has a leader. Pure."""
    if leader:
        return None
    absent = sorted(set(servers) - alive)
    found = len(servers) - len(absent)
    verb = "answers" if found == 1 else "answer"
    text = f"Consul has no leader: {found} of {len(servers)} servers {verb}"
    return f"{text}; {', '.join(absent)} missing" if absent else f"{text}; they are still electing"


def names(members: list[dict[str, Any]], *statuses: int) -> set[str]:
    """Return the names of the members with one of these statuses. Pure."""
    return {one["Name"] for one in members if one.get("Status") in statuses}


def lost_servers(members: list[dict[str, Any]]) -> set[str]:
    """Return the names of the servers in Consul's member list that are not alive. Pure."""
    return set(_servers(members, alive=False))


def _servers(members: list[dict[str, Any]], alive: bool = True) -> dict[str, dict[str, Any]]:
    """Return ``{name: tags}`` of the servers in ``/v1/agent/members``, alive or not. Pure."""
    found = {
        one["Name"]: one.get("Tags") or {}
        for one in members
        if (one.get("Status") == ALIVE) is alive
    }
    return {name: tags for name, tags in found.items() if tags.get("role") == "consul"}


def alive_servers(members: list[dict[str, Any]]) -> set[str]:
    """Return the names of the servers in ``/v1/agent/members`` that are alive. Pure."""
    return set(_servers(members))


def builds(members: list[dict[str, Any]]) -> dict[str, str]:
    """Return ``{name: version}`` of the members that tell their version. Pure."""
    found = {one["Name"]: (one.get("Tags") or {}).get("build") for one in members}
    return {name: str(build).partition(":")[0] for name, build in found.items() if build}


def without_acls(members: list[dict[str, Any]]) -> set[str]:
    """Return the names of the servers that are alive and whose ACLs do not work (yet). Pure."""
    have = {name: tags.get("acls") for name, tags in _servers(members).items()}
    none = {name for name, mode in have.items() if mode == "0"}
    # "2": a server starts with the ACLs from before Consul 1.4 until all servers have ACLs.
    return none or {name for name, mode in have.items() if mode == "2"}


def servers_in_catalog(client: Client) -> set[str]:
    """Return the names of the servers that are alive according to the leader."""
    _, found = call("servers", client.health.service, "consul", passing=True)
    return {one["Node"]["Node"] for one in found}
