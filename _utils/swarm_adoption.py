"""
Which nodes were in their cluster before this formula: those it leaves in.
"""

import swarm_files

_SECTION = "builtin"
_NODE, _ADOPTED = "node", "adopted"


def note(node: str, adopted: bool) -> None:
    """
    Note how this host came to be a node, unless that is noted.

    node
        Its ID: a host that leaves and joins by hand is another node.
    """
    if swarm_files.record(_SECTION).get(_NODE) != node:
        swarm_files.note(_SECTION, {_NODE: node, _ADOPTED: adopted})


def forget() -> None:
    """Forget the node that this host was."""
    swarm_files.note(_SECTION, {})


def is_adopted(node: str, told: bool) -> bool:
    """
    Say whether this host was this node before the formula came.

    told
        Whether the mine has that this minion is this node: then it was brought in by a version that
        noted nothing.
    """
    noted = swarm_files.record(_SECTION)
    return noted[_ADOPTED] if noted.get(_NODE) == node else not told


def stays(me: str, node: str) -> str:
    """Return that an adopted node stays in its cluster, as a sentence."""
    return (
        f"{me} stays in its cluster: it was node {node} before this formula, which leaves it as it"
        f" was. To take it out: salt-run swarm.remove {me}, or salt {me} swarm_builtin.leave"
    )
