"""
What a classic manager says of itself and its nodes in ``/info``. Pure, but for ``fetch``.

The form is that of swarm 1.2.9, ``api/handlers.go``: ``SystemStatus`` is a list of pairs; a node is
a line with one leading space, its details are lines with two and a ``└``. Never taken apart by
columns or at commas: a label's value may hold both.
"""

from typing import NamedTuple

import requests
import swarm_errors

_DETAIL = "└ "


class Node(NamedTuple):
    """A node as its manager sees it."""

    name: str
    address: str
    id: str = ""
    status: str = ""
    labels: str = ""
    error: str = ""
    version: str = ""


class Manager(NamedTuple):
    """What one manager says."""

    role: str  # primary or replica
    primary: str  # address of the primary; empty while none is known
    nodes: dict[str, Node]  # by the address that the agent advertised
    version: str


_FIELDS = {
    "ID": "id",
    "Status": "status",
    "Labels": "labels",
    "Error": "error",
    "ServerVersion": "version",
}


def _node(pairs: list) -> Node:
    (name, address), *details = pairs
    given = {key.split(_DETAIL, 1)[1].strip(): value for key, value in details}
    return Node(
        name.strip(),
        address,
        **{field: given[key] for key, field in _FIELDS.items() if key in given},
    )


def _is_pair(value: object) -> bool:
    shaped = isinstance(value, list) and len(value) == 2  # noqa: PLR2004
    return shaped and all(isinstance(one, str) for one in value)


def parse(info: object, own: str = "") -> Manager:
    """
    Return ``/info`` of a manager as a ``Manager``; ``own`` is the address it was asked at.

    Raises ``ApiError`` for anything else, an engine's own ``/info`` above all.
    """
    pairs = info.get("SystemStatus") if isinstance(info, dict) else None
    version = str(info.get("ServerVersion", "")) if isinstance(info, dict) else ""
    if not isinstance(pairs, list) or not version.startswith("swarm/"):
        raise swarm_errors.ApiError(f"{own or 'this'} is not a Swarm manager: no SystemStatus")
    head, groups = {}, []
    for pair in pairs:
        if not _is_pair(pair):
            raise swarm_errors.ApiError(
                f"{own or 'a manager'} answers a broken SystemStatus: {pair!r}"
            )
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


def fetch(endpoint: str, timeout: float = 3) -> Manager:
    """Ask the manager at ``host:port``. Replicas answer too; ``/info`` never blocks."""
    try:
        # No proxy from the environment: a manager is a neighbour.
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(f"http://{endpoint}/info", timeout=timeout)
            answer.raise_for_status()
            info = answer.json()
    except requests.exceptions.JSONDecodeError as err:
        raise swarm_errors.ApiError(f"{endpoint} answers no JSON to /info") from err
    except requests.exceptions.HTTPError as err:
        raise swarm_errors.ApiError(f"manager {endpoint}: {err}") from err
    except requests.exceptions.RequestException as err:
        reason = "no answer in time" if isinstance(err, requests.Timeout) else "no connection"
        raise swarm_errors.ApiError(f"manager {endpoint}: {reason}") from err
    return parse(info, endpoint)


def label_pairs(node: Node) -> set[str]:
    """Return the node's labels as the manager has them: ``{"zone=a", ...}``."""
    return {pair.strip() for pair in node.labels.split(", ")}


def primary(said: dict[str, Manager | str]) -> str | None:
    """Return the address of the primary, of what each manager says (an error is a text)."""
    for manager in said.values():
        if isinstance(manager, Manager) and manager.role == "primary":
            return manager.primary
    return None


def _errors(said: dict[str, Manager | str]) -> list[str]:
    return [text for text in said.values() if isinstance(text, str)]


def no_primary(said: dict[str, Manager | str]) -> str:
    """Return why there is no primary, as a sentence."""
    replicas = sorted(name for name, one in said.items() if isinstance(one, Manager))
    parts = [f"replicas that wait for the lock: {', '.join(replicas)}"] if replicas else []
    return "no manager is primary; " + "; ".join(parts + _errors(said))


def unhealthy(said: dict[str, Manager | str], address: str, labels: set[str]) -> str | None:
    """Return what keeps the node at ``address`` from being scheduled, ``None`` if nothing does."""
    judged = [one for one in said.values() if isinstance(one, Manager) and one.role == "primary"]
    if not judged:
        return no_primary(said)
    node = judged[0].nodes.get(address)
    if not node:
        return f"{address} is not in the list of the primary, {judged[0].primary}"
    if node.status != "Healthy":
        reason = node.error or "the manager has not reached its engine yet"
        return (
            f"{address} is {node.status or 'unknown'} to the primary {judged[0].primary}: {reason}"
        )
    lacking = sorted(labels - label_pairs(node))
    return (
        f"the primary does not know these labels of {address} yet: {lacking}" if lacking else None
    )
