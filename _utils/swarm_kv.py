"""
Ask Consul, through the library ``python-consul`` (or its fork ``py-consul``: both are ``consul``).
"""

import contextlib
import functools
import importlib
import os
from collections.abc import Callable, Iterator, Mapping

import requests
import swarm_address
import swarm_deadline
import swarm_errors
from swarm_certs import Files

# Where the managers' lock is, if the URL of the store has no path.
_LEADER = "docker/swarm/leader"
# The library prefers these variables to its own arguments: they would send a token elsewhere.
_VARIABLES = "CONSUL_HTTP_"
# Serf's numbers for a member that is alive, and for one that is gone without a word.
ALIVE, FAILED = 1, 4


@contextlib.contextmanager
def _without_variables() -> Iterator[None]:
    """Hide Consul's variables of the environment for a moment."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if _VARIABLES in name}
    try:
        yield
    finally:
        os.environ.update(hidden)


def connect(
    settings: Mapping, files: Files, timeout: float = 5, token: str | None = None
) -> object:
    """
    Return a client of this host's Consul; with a token, it may do what that allows.

    The library is imported here, for the formula installs it in the same run.
    """
    importlib.invalidate_caches()
    try:
        library = importlib.import_module("consul")
    except ImportError as err:
        raise swarm_errors.SdkMissingError(
            "the Python library 'python-consul' is not in Salt's own Python;"
            " the state swarm.libraries installs it"
        ) from err
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
    session = client.http.session = swarm_deadline.Session()
    for key, value in secure.items():
        # For what the library has no function for, and for which it is no help.
        setattr(session, key, value)
    # The library has no deadline of its own; a proxy has no business between a host and itself.
    session.request = functools.partial(session.request, timeout=timeout)
    session.trust_env = False
    if token:
        # Not as the library does it: in an address, which is logged.
        session.headers["X-Consul-Token"] = token
    return client


def call(what: str, function: Callable, *args: object, **kwargs: object) -> object:
    """Call a function of the client; what goes wrong is a ``StoreError`` that says with what."""
    try:
        return function(*args, **kwargs)
    except requests.exceptions.RequestException as err:
        raise swarm_errors.StoreError(
            f"Consul on this host does not answer ({what}: {_reason(err)})"
        ) from err
    except Exception as err:
        # The library's errors have no common base in both of its forks; its own module names them.
        if type(err).__module__.partition(".")[0] != "consul":
            raise
        raise swarm_errors.StoreError(f"Consul refuses ({what}): {err}") from err


def _reason(err: Exception) -> str:
    """Return why there was no answer: a certificate that will not do is no Consul that is down."""
    if isinstance(err, requests.exceptions.SSLError):
        return f"TLS fails: {err}"
    if isinstance(err, requests.exceptions.Timeout):
        return "no answer in time"
    return "no connection"


def members(client: object) -> list[dict]:
    """Return the members that Consul knows; an error for an answer that is none of Consul's."""
    found = call("members", client.agent.members)
    shaped = isinstance(found, list) and all(
        isinstance(one, dict) and isinstance(one.get("Name"), str) for one in found
    )
    if not shaped:
        raise swarm_errors.StoreError("what answers on Consul's port of this host is no Consul")
    return found


def leader(client: object) -> str:
    """Return the address of Consul's leader, empty if there is none."""
    return call("leader", client.status.leader) or ""


def expel(client: object, name: str) -> None:
    """Have Consul forget a member that is gone."""
    # Not the library's own force_leave: it sends a GET, which Consul refuses since 1.0.
    path = f"/v1/agent/force-leave/{name}"
    answer = call("expel", client.http.put, lambda response: response, path)
    if answer.code != requests.codes.ok:
        raise swarm_errors.StoreError(f"Consul refuses (expel {name}): {answer.body}")


def _lock(client: object) -> tuple[str | None, str]:
    """Return which manager has the lock, ``None`` for none, and its session."""
    _, entry = call("leader", client.kv.get, _LEADER)
    session = (entry or {}).get("Session") or ""
    return (entry["Value"] or b"").decode() if session else None, session


def hand_over(client: object, manager: str) -> str | None:
    """
    Have the manager on the host of ``host:port`` lead no more; return who leads in place of it.

    It has a lock; once its session is gone, one of the others has it within a moment. A manager
    that is merely stopped keeps it until the session ends by itself: 20 s with nobody primary.
    """
    holder, session = _lock(client)
    # Whatever its port: that may be what is about to change.
    if holder is None or swarm_address.host(holder) != swarm_address.host(manager):
        return holder
    call("hand over", client.session.destroy, session)
    return None


def snapshot(client: object) -> bytes:
    """Return a snapshot of all that Consul holds, as ``consul snapshot save`` writes it."""
    return _snapshot(client, "get").content


def restore(client: object, data: bytes) -> None:
    """Put a snapshot in place of all that Consul holds."""
    _snapshot(client, "put", data=data)


def _snapshot(client: object, method: str, **more: object) -> requests.Response:
    # The library knows no snapshots, and would take their bytes for text.
    send = getattr(client.http.session, method)
    response = call("snapshot", send, f"{client.http.base_uri}/v1/snapshot", **more)
    if response.status_code != requests.codes.ok:
        raise swarm_errors.StoreError(f"Consul refuses (snapshot): {response.text.strip()}")
    return response


def missing(servers: dict[str, str], alive: set[str], leader: str) -> str | None:
    """Return what Consul still lacks as a sentence, ``None`` if it has a leader. Pure."""
    if leader:
        return None
    absent = sorted(set(servers) - alive)
    found = len(servers) - len(absent)
    verb = "answers" if found == 1 else "answer"
    text = f"Consul has no leader: {found} of {len(servers)} servers {verb}"
    return f"{text}; {', '.join(absent)} missing" if absent else f"{text}; they are still electing"


def names(members: list[dict], *statuses: int) -> set[str]:
    """Return the names of the members with one of these statuses. Pure."""
    return {one["Name"] for one in members if one.get("Status") in statuses}


def lost_servers(members: list[dict]) -> set[str]:
    """Return the names of the servers that Consul knows and that are not alive. Pure."""
    return set(_servers(members, alive=False))


def _servers(members: list[dict], alive: bool = True) -> dict[str, dict]:
    """Return ``{name: tags}`` of servers that are alive or not, of ``/v1/agent/members``. Pure."""
    found = {
        one["Name"]: one.get("Tags") or {}
        for one in members
        if (one.get("Status") == ALIVE) is alive
    }
    return {name: tags for name, tags in found.items() if tags.get("role") == "consul"}


def alive_servers(members: list[dict]) -> set[str]:
    """Return the names of the servers that are alive, of ``/v1/agent/members``. Pure."""
    return set(_servers(members))


def without_acls(members: list[dict]) -> set[str]:
    """Return the names of the servers that are alive and whose ACLs do not work (yet). Pure."""
    have = {name: tags.get("acls") for name, tags in _servers(members).items()}
    none = {name for name, mode in have.items() if mode == "0"}
    # "2": until all have some, a server begins with those of before Consul 1.4.
    return none or {name for name, mode in have.items() if mode == "2"}


def servers_in_catalog(client: object) -> set[str]:
    """Return the names of the servers that are alive, as the leader knows them."""
    _, found = call("servers", client.health.service, "consul", passing=True)
    return {one["Node"]["Node"] for one in found}
