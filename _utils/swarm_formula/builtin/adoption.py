"""
Record whether this host is an adopted node, which the formula leaves in its cluster.
"""

from swarm_formula.core import host_files

_SECTION = "builtin"
_NODE, _ADOPTED = "node", "adopted"
# Instead of the ID of a node that the formula is creating.
_NEXT = ""


def begin() -> None:
    """
    Record that the formula is about to bring this host into a cluster, by a node ID yet unknown.

    The run may end before the host is a node: Docker continues a join in the background.
    """
    host_files.note(_SECTION, {_NODE: _NEXT, _ADOPTED: False})


def note(node: str, adopted: bool) -> None:
    """
    Record whether this host is an adopted node, unless the record already covers this node.

    node
        Its ID: a host that leaves and rejoins manually has another node ID.
    """
    if host_files.record(_SECTION).get(_NODE) != node:
        host_files.note(_SECTION, {_NODE: node, _ADOPTED: adopted})


def forget() -> None:
    """Remove the node of this host from the record."""
    host_files.note(_SECTION, {})


def is_adopted(node: str, told: bool) -> bool:
    """
    Check whether this host was this node before the formula managed it.

    told
        Whether the mine holds this node ID for this minion: without a record, a former version of
        the formula has joined the node.
    """
    noted = host_files.record(_SECTION)
    return noted[_ADOPTED] if noted.get(_NODE) in {node, _NEXT} else not told


def stays(me: str, node: str) -> str:
    """Return the message that an adopted node stays in its cluster."""
    return (
        f"{me} stays in its cluster: it was node {node} before this formula, which leaves it as it"
        f" was. To take it out: salt-run swarm.remove {me}, or salt {me} swarm_builtin.leave"
    )
