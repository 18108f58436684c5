"""
Parse the ``/info`` of a classic manager and its nodes. All functions but ``fetch`` are pure.

The format is defined in swarm 1.2.9, ``api/handlers.go``: ``SystemStatus`` is a list of pairs; a
node is a key with one leading space, its details are keys with two and a corner. Lines are never
split at columns or commas, because a label's value may contain both.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard

import requests

from swarm_formula.core import deadlines, errors

_DETAIL = "\u2514 "


class Node(NamedTuple):
    """A node as reported by a manager."""

    name: str
    address: str
    id: str = ""
    status: str = ""
    labels: str = ""
    error: str = ""
    version: str = ""
    updated: str = ""  # when the manager has last asked the engine, in RFC 3339


class Manager(NamedTuple):
    """The ``/info`` of one manager."""

    role: str  # primary or replica
    primary: str  # address of the primary; empty while none is known
    nodes: dict[str, Node]  # by the address that the agent advertises
    version: str


class Answers(NamedTuple):
    """The answers of the managers in the pillar, and the errors of those that do not answer."""

    managers: dict[str, Manager]
    errors: dict[str, str]


_FIELDS = {
    "ID": "id",
    "Status": "status",
    "Labels": "labels",
    "Error": "error",
    "ServerVersion": "version",
    "UpdatedAt": "updated",
}


def _node(pairs: list[list[str]]) -> Node:
    (name, address), *details = pairs
    given = {key.split(_DETAIL, 1)[1].strip(): value for key, value in details}
    return Node(
        name.strip(),
        address,
        **{field: given[key] for key, field in _FIELDS.items() if key in given},
    )


def _is_pair(value: object) -> TypeGuard[list[str]]:
    return (
        isinstance(value, list)
        and len(value) == 2  # noqa: PLR2004
        and all(isinstance(one, str) for one in value)
    )


def plain(manager: Manager) -> dict[str, Any]:
    """Return a ``Manager`` as plain dictionaries."""
    nodes = {address: node._asdict() for address, node in manager.nodes.items()}
    return {**manager._asdict(), "nodes": nodes}


def plain_answers(said: Answers) -> dict[str, dict[str, Any]]:
    """Return the answers as plain dictionaries by manager, ``{"error": text}`` for an error."""
    answers = {name: plain(one) for name, one in said.managers.items()}
    return {**answers, **{name: {"error": text} for name, text in said.errors.items()}}


def from_plain(value: Mapping[str, object]) -> Answers:
    """Return what ``plain_answers`` was given; raise ``ApiError`` for anything else."""
    found = Answers({}, {})
    for name, one in value.items():
        if isinstance(one, dict) and isinstance(one.get("error"), str):
            found.errors[name] = one["error"]
        else:
            found.managers[name] = _manager_from_plain(one)
    return found


def _manager_from_plain(value: object) -> Manager:
    if not (isinstance(value, dict) and value.keys() == {*Manager._fields}):
        raise errors.ApiError("this is no answer of a manager")
    nodes = value["nodes"]
    heads = [value[key] for key in Manager._fields if key != "nodes"]
    if not (isinstance(nodes, dict) and _all_texts(heads) and all(map(_is_node, nodes.values()))):
        raise errors.ApiError("this is no answer of a manager")
    return Manager(**{**value, "nodes": {key: Node(**one) for key, one in nodes.items()}})


def _is_node(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {*Node._fields}
        and _all_texts(list(value.values()))
    )


def _all_texts(values: list[object]) -> bool:
    return all(isinstance(one, str) for one in values)


def about(said: Answers, address: str) -> Answers:
    """Return the managers' answers with the node at this address only."""
    found = {
        name: one._replace(nodes={key: node for key, node in one.nodes.items() if key == address})
        for name, one in said.managers.items()
    }
    return said._replace(managers=found)


def parse(info: object, own: str = "") -> Manager:
    """
    Return ``/info`` of a manager as a ``Manager``; ``own`` is the address that was queried.

    Raises ``ApiError`` for anything else, in particular the ``/info`` of an engine.
    """
    pairs = info.get("SystemStatus") if isinstance(info, dict) else None
    version = str(info.get("ServerVersion", "")) if isinstance(info, dict) else ""
    if not isinstance(pairs, list) or not version.startswith("swarm/"):
        raise errors.ApiError(f"{own or 'this'} is not a Swarm manager: no SystemStatus")
    head: dict[str, str] = {}
    groups: list[list[list[str]]] = []
    for pair in pairs:
        if not _is_pair(pair):
            raise errors.ApiError(f"{own or 'a manager'} answers a broken SystemStatus: {pair!r}")
        key = pair[0]
        if _DETAIL in key and key.startswith("  ") and groups:
            groups[-1].append(pair)
        elif key.startswith(" "):
            groups.append([pair])
        else:
            head[key] = pair[1]
    nodes = [_node(group) for group in groups]
    role = head.get("Role", "")
    primary = own if role == "primary" else head.get("Primary", "")
    return Manager(role, primary, {node.address: node for node in nodes}, version)


def fetch(
    endpoint: str, tls: Mapping[str, str | None] | None = None, timeout: float = 3
) -> Manager:
    """
    Query the manager at ``host:port``. Replicas answer too; ``/info`` never blocks.

    ``tls`` has the paths ``cert`` and ``key`` of a client certificate, and ``ca`` (``None``: the
    server is not verified).
    """
    scheme = "https" if tls else "http"
    try:
        # Ignore proxies from the environment: managers are reached directly.
        with deadlines.Session() as session:
            session.trust_env = False
            if tls:
                if (cert := tls["cert"]) and (key := tls["key"]):
                    session.cert = (cert, key)
                session.verify = tls["ca"] or False
            answer = session.get(f"{scheme}://{endpoint}/info", timeout=timeout)
            answer.raise_for_status()
            info = answer.json()
    except requests.exceptions.JSONDecodeError as err:
        raise errors.ApiError(f"{endpoint} answers no JSON to /info") from err
    except (requests.exceptions.RequestException, OSError) as err:
        raise errors.ApiError(f"manager {endpoint}: {_reason(err)}") from err
    return parse(info, endpoint)


def _reason(err: Exception) -> str:
    if isinstance(err, requests.exceptions.HTTPError) and err.response is not None:
        return f"it answers {err.response.status_code}"
    if isinstance(err, requests.exceptions.Timeout):
        return "no answer in time"
    if isinstance(err, requests.exceptions.SSLError):
        return f"TLS fails: {err}"
    return "no connection" if isinstance(err, requests.exceptions.ConnectionError) else str(err)


def label_pairs(node: Node) -> set[str]:
    """Return the node's labels as the manager reports them: ``{"zone=a", ...}``."""
    return {pair.strip() for pair in node.labels.split(", ")}


def _primary(said: Answers) -> Manager | None:
    return next((one for one in said.managers.values() if one.role == "primary"), None)


def primary(said: Answers) -> str | None:
    """Return the primary's address from the managers' answers."""
    judge = _primary(said)
    return judge.primary if judge else None


def no_primary(said: Answers) -> str:
    """Return why there is no primary, as a sentence."""
    replicas = sorted(said.managers)
    parts = [f"replicas that wait for the lock: {', '.join(replicas)}"] if replicas else []
    return "no manager is primary; " + "; ".join([*parts, *said.errors.values()])


def _seen_by_primary(said: Answers, address: str) -> tuple[str, Node | None]:
    """Return the primary's address and its entry of a node; empty and ``None`` if no primary."""
    judge = _primary(said)
    return (judge.primary, judge.nodes.get(address)) if judge else ("", None)


def unhealthy(said: Answers, address: str) -> str | None:
    """Return why the scheduler does not use the node at ``address``, ``None`` if it does."""
    judge, node = _seen_by_primary(said, address)
    if not judge:
        return no_primary(said)
    if not node:
        return f"{address} is not in the list of the primary, {judge}"
    if node.status != "Healthy":
        reason = node.error or "the manager has not reached its engine yet"
        return f"{address} is {node.status or 'unknown'} to the primary {judge}: {reason}"
    return None


def unknown_labels(said: Answers, address: str, labels: set[str]) -> str | None:
    """Return which ``labels`` of a node the scheduler does not have yet, as a sentence."""
    judge, node = _seen_by_primary(said, address)
    lacking = sorted(labels - label_pairs(node)) if node else []
    return (
        f"the primary {judge} does not know {', '.join(lacking)} of {address} yet"
        if lacking
        else None
    )
