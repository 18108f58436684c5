"""
Decide which minions are members of a swarm, by the pillars that the master compiles. Pure.
"""

from typing import Any, TypeGuard

from swarm_formula.core import member_rules


def has_swarm(pillar: object) -> TypeGuard[dict[str, Any]]:
    """Check whether a pillar defines a swarm; it need not make the minion a member."""
    swarm = pillar.get("swarm") if isinstance(pillar, dict) else None
    return isinstance(swarm, dict) and bool(swarm.get("managers"))


def is_member(minion: str, pillar: object) -> bool:
    """Check whether a minion with this pillar is a member of a swarm."""
    return has_swarm(pillar) and member_rules.is_member(minion, pillar["swarm"])


def joins(minion: str, pillar: object) -> bool:
    """Check whether a minion with this pillar joins automatically."""
    if not has_swarm(pillar) or not is_member(minion, pillar):
        return False
    autojoin = pillar["swarm"].get("autojoin")
    return not isinstance(autojoin, dict) or autojoin.get("enabled", True) is True
