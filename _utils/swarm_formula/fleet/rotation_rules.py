"""
Decide what a rotation replaces, and tell what a removed host can still do. Pure.
"""

from collections.abc import Collection

from swarm_formula.core import errors, modes
from swarm_formula.fleet import member_nodes
from swarm_formula.fleet.member_nodes import Reports, Said
from swarm_formula.tls import consul_secrets

GOSSIP, TOKEN = consul_secrets.GOSSIP, consul_secrets.TOKEN
# In this order: the rest does not depend on the CA.
KINDS = ("join-token", GOSSIP, TOKEN, "ca")
# No part of ``all``: its new secret comes from the registry, by the operator.
REGISTRY = "registry"
# What to do with secrets that are the user's own.
_BY_HAND = {
    GOSSIP: "a key of your own is in swarm:consul:gossip_key: write another one there, and apply"
    " swarm on all nodes at once, which restarts Consul",
    TOKEN: "a token of your own is in swarm:consul:acl_token: write another UUID there, apply swarm"
    " on all nodes, then delete the old one in Consul",
}


def chosen(
    what: str, mode: modes.Mode, authority: str | None, kept: Collection[str] = ()
) -> list[str]:
    """
    Return the kinds to rotate; raise an error if the swarm does not have the named one.

    authority
        The member that is the CA, if a manager of the pillar reports one.

    kept
        The secrets of Consul that the CA keeps: ``GOSSIP`` and ``TOKEN``.
    """
    if what == REGISTRY:
        return [what]
    if what not in (*KINDS, "all"):
        kinds = ", ".join((*KINDS, REGISTRY))
        raise errors.SwarmError(f"nothing was rotated: there is no {what!r}, only {kinds} or all")
    has = {
        "join-token": mode.join_tokens,
        "ca": bool(authority),
        **{kind: kind in kept for kind in (GOSSIP, TOKEN)},
    }
    if what == "all":
        return [kind for kind in KINDS if has[kind]]
    if not has[what]:
        cure = f". If {_BY_HAND[what]}" if mode.standalone and what in _BY_HAND else ""
        raise errors.SwarmError(
            f"nothing was rotated: no member that answers reports a swarm with a {what}{cure}"
        )
    return [what]


def nodes(reports: Reports, said: Said) -> list[str]:
    """Return the members that answer and that the managers list as nodes."""
    known = member_nodes.nodes(said)
    return sorted(name for name, one in reports.items() if one["endpoint"] in known)


def absent(reports: Reports, said: Said) -> list[str]:
    """Return the names of the nodes that the managers list, and that no answering member has."""
    there = {one["endpoint"] for one in reports.values()}
    known = member_nodes.nodes(said)
    return sorted(str(node["name"]) for key, node in known.items() if key not in there)


def was_manager(minion: str, managers: tuple[str, ...], endpoint: str | None, said: Said) -> bool:
    """Check whether a removed node was a manager, by the pillar or by the managers' list."""
    known = member_nodes.nodes(said)
    node = known.get(endpoint, {}) if endpoint else {}
    return minion in managers or node.get("role") in ("manager", "leader")


def certificate_remains(minion: str, until: object) -> str:
    """Return what the certificate of a removed host is still good for, and the cure."""
    when = f"until {until} at the latest" if isinstance(until, str) else "until it expires"
    return (
        f"the certificate of {minion} stays valid {when}, for there is no revocation. If the host,"
        " its disk or a copy of its key may be in the wrong hands: take it out of pillar, run"
        f" salt-key -d {minion}, then salt-run swarm.rotate ca"
    )


def authority_remains(minion: str) -> str:
    """Return what a removed manager can still do with its copy of the CA, and the cure."""
    return (
        f"{minion} was a manager and has a copy of the CA, which it can open: it can make itself"
        " certificates that all members accept, for as long as the CA is in use. If the host, its"
        f" disk or a copy of it may be in the wrong hands: take it out of pillar, run salt-key -d"
        f" {minion}, then salt-run swarm.rotate ca"
    )


def secret_remains(minion: str, kind: str) -> str:
    """Return what a removed host can still do with a secret of Consul, and the cure."""
    can = {
        GOSSIP: f"{minion} knows the key of Consul's gossip: from a host that reaches port 8301, it"
        " can read and forge messages about members, for as long as the key is in use",
        TOKEN: f"{minion} was a manager or a server of Consul, and knows the management token:"
        " together with a certificate that is still valid, it has all rights in Consul, for as long"
        " as the token is in use",
    }
    return (
        f"{can[kind]}. To replace it: take {minion} out of pillar, run salt-key -d {minion}, then"
        f" salt-run swarm.rotate {kind}"
    )
