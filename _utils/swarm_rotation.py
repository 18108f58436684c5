"""
Decide what a rotation replaces, and tell what a removed host can still do. Pure.
"""

import swarm_errors
import swarm_members

# In this order: a token of the cluster does not depend on the CA.
KINDS = ("join-token", "ca")


def chosen(what: str, builtin: bool, authority: str | None) -> list[str]:
    """
    Return the kinds to rotate; raise an error if the swarm does not have the named one.

    authority
        The member that is the CA, if a manager of the pillar reports one.
    """
    if what not in (*KINDS, "all"):
        raise swarm_errors.SwarmError(
            f"nothing was rotated: there is no {what!r}, only {', '.join(KINDS)} or all"
        )
    has = {"join-token": builtin, "ca": bool(authority)}
    if what == "all":
        return [kind for kind in KINDS if has[kind]]
    if not has[what]:
        raise swarm_errors.SwarmError(
            f"nothing was rotated: no member that answers reports a swarm with a {what}"
        )
    return [what]


def nodes(reports: dict, said: dict) -> list[str]:
    """Return the members that answer and that the managers list as nodes."""
    known = swarm_members.nodes(said)
    return sorted(name for name, one in reports.items() if one["endpoint"] in known)


def knew_managers_token(minion: str, managers: tuple, endpoint: str | None, said: dict) -> bool:
    """Check whether a removed node was a manager, by the pillar or by the managers' list."""
    node = swarm_members.nodes(said).get(endpoint) or {}
    return minion in managers or node.get("role") in ("manager", "leader")


def certificate_remains(minion: str, until: object) -> str:
    """Return what the certificate of a removed host is still good for, and the cure."""
    when = f"until {until} at the latest" if isinstance(until, str) else "until it expires"
    return (
        f"the certificate of {minion} stays valid {when}, for there is no revocation. If the host,"
        " its disk or a copy of its key may be in the wrong hands: take it out of pillar, run"
        f" salt-key -d {minion}, then salt-run swarm.rotate ca"
    )
