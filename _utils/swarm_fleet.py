"""
The swarms under one master, told apart by the pillars of their members.

Pure.
"""

from typing import NamedTuple

import swarm_errors
from swarm_members import is_member, joins, nodes
from swarm_report import names


class Swarm(NamedTuple):
    """One swarm: the managers of its members' pillars, and those members."""

    managers: tuple[str, ...]
    members: tuple[str, ...]
    joining: frozenset[str] = frozenset()  # the members that join by themselves

    @property
    def name(self) -> str:
        """Return what it is called: its managers."""
        return ",".join(self.managers)


def _managers(pillar: dict) -> set[str]:
    found = pillar["swarm"]["managers"]
    return set(map(str, found)) if isinstance(found, list | tuple | dict) else {str(found)}


def _mode(pillar: dict) -> str:
    return str(pillar["swarm"].get("mode") or "classic")


def swarms(pillars: dict[str, object]) -> list[Swarm]:
    """
    Return the swarms of the minions with these pillars.

    Members are in one swarm if their pillars have the same mode and a manager in common: a list of
    managers that is being changed does not make two of one.
    """
    groups: list[tuple[str, set[str], set[str]]] = []  # mode, managers, members
    for minion, pillar in pillars.items():
        if not is_member(pillar):
            continue
        mode, managers, members = _mode(pillar), _managers(pillar), {minion}
        same = [one for one in groups if one[0] == mode and one[1] & managers]
        groups = [one for one in groups if one not in same]
        for _, more, others in same:
            managers, members = managers | more, members | others
        groups.append((mode, managers, members))
    own = frozenset(minion for minion, pillar in pillars.items() if joins(pillar))
    found = [
        Swarm(tuple(sorted(some)), tuple(sorted(members)), own & members)
        for _, some, members in groups
    ]
    return sorted(found, key=lambda one: (one.managers, one.members))


def pick(found: list[Swarm], minion: str) -> Swarm | None:
    """Return the swarm that a minion is a member or manager of, or the only one; ``None`` else."""
    ours = [one for one in found if minion in one.members]
    ours = ours or [one for one in found if minion in one.managers]
    if ours:
        return ours[0]
    return found[0] if len(found) == 1 else None


def named(found: list[Swarm], name: str | None) -> list[Swarm]:
    """Return the swarm that is asked for by the ID of a member or manager; all without a name."""
    if not name:
        return found
    ours = [one for one in found if name in {*one.members, *one.managers}]
    if not ours:
        known = " and ".join(one.name for one in found) or "none"
        raise swarm_errors.SwarmError(
            f"no swarm has a member {name}; swarms under this master, by their managers: {known}"
        )
    return ours


def only(found: list[Swarm], what: str) -> Swarm:
    """Return the only swarm; raises an error that says how to name one if there are several."""
    if len(found) > 1:
        example = found[0].managers[0]
        raise swarm_errors.SwarmError(
            f"{what}: there are several swarms under this master, by their managers:"
            f" {' and '.join(one.name for one in found)}; name one by a member, as swarm={example}"
        )
    return found[0] if found else Swarm((), ())


def knowing(heard: dict[Swarm, dict], minion: str) -> list[Swarm]:
    """Return the swarms whose managers list a host of this name."""
    return [
        swarm
        for swarm, said in heard.items()
        if names(minion) & {node["name"] for node in nodes(said).values()}
    ]
