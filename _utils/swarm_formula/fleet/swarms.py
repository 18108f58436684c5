"""
Group the members under one master into swarms, by their pillars.

Pure.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from swarm_formula.core import errors, member_rules, modes
from swarm_formula.fleet.member_nodes import Heard, Report, Said, nodes
from swarm_formula.fleet.members import has_swarm, joins
from swarm_formula.salt.minion_reports import hostname, names


class Swarm(NamedTuple):
    """A swarm: the managers in its members' pillars, and the members."""

    managers: tuple[str, ...]
    members: tuple[str, ...]
    joining: frozenset[str] = frozenset()  # the members that join automatically
    mode: str = modes.DEFAULT
    servers: tuple[str, ...] = ()  # the Consul servers that the pillars name, if any
    registries: tuple[str, ...] = ()  # the nodes that the pillars name for the swarm's registry

    @property
    def name(self) -> str:
        """Return the name of the swarm: its managers, separated by commas."""
        return ",".join(self.managers)

    @property
    def facts(self) -> modes.Mode:
        """Return the facts of its mode."""
        return modes.named(self.mode)

    @property
    def holders(self) -> tuple[str, ...]:
        """Return the members that have the state of the swarm: managers, or Consul servers."""
        return (self.facts.standalone and self.servers) or self.managers

    def speakers(self, reports: Heard, but: str | None = None) -> dict[str, Report]:
        """
        Return the reports of the managers in the pillar; only these speak for the swarm.

        but
            A member to leave out.
        """
        return {
            name: report
            for name in self.managers
            if name in self.members and name != but
            if isinstance(report := reports.get(name), dict)
        }


def _managers(swarm: Mapping[str, Any]) -> set[str]:
    return _ids(swarm["managers"])


def _servers(swarm: Mapping[str, Any]) -> set[str]:
    consul = swarm.get("consul")
    found = consul.get("servers") if isinstance(consul, dict) else None
    return _ids(found) if found else set()


def _registry(swarm: Mapping[str, Any]) -> set[str]:
    registry = swarm.get("registry")
    node = registry.get("node") if isinstance(registry, dict) else None
    return {str(node)} if node else set()


def _ids(found: object) -> set[str]:
    return set(map(str, found)) if isinstance(found, list | tuple | dict) else {str(found)}


def _mode(swarm: Mapping[str, Any]) -> str:
    return str(swarm.get("mode") or modes.DEFAULT)


def _belongs(minion: str, defined: Mapping[str, Mapping[str, Any]]) -> bool:
    """
    Check whether a minion is a member, by its own pillar or that of a manager in it, or the CA.

    The CA and the managers go by their own pillars, which may name a minion whose pillar does not.
    The CA may be a minion that is no node.
    """
    theirs = {minion, *_managers(defined[minion])} & defined.keys()
    some = [defined[one] for one in theirs]
    return any(member_rules.is_member(minion, one) or _ca(one) == minion for one in some)


def _ca(swarm: Mapping[str, Any]) -> object:
    tls = swarm.get("tls")
    return tls.get("ca") if isinstance(tls, dict) else None


def swarms(pillars: dict[str, object]) -> list[Swarm]:
    """
    Return the swarms of the minions with these pillars.

    Members belong to the same swarm if their pillars have the same mode and a manager in common, so
    that a list of managers that is being changed does not split a swarm.
    """
    defined = {minion: one["swarm"] for minion, one in pillars.items() if has_swarm(one)}
    own = frozenset(minion for minion, pillar in pillars.items() if joins(minion, pillar))
    found = [
        Swarm(
            tuple(sorted(some)),
            tuple(sorted(members)),
            own & members,
            mode,
            _named(_servers, defined, members),
            _named(_registry, defined, members),
        )
        for mode, some, members in _groups(defined)
    ]
    return sorted(found, key=lambda one: (one.managers, one.members))


def _groups(defined: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, set[str], set[str]]]:
    """Return mode, managers and members of each swarm."""
    alike: dict[tuple[str, frozenset[str]], set[str]] = {}
    for minion, swarm in defined.items():
        if _belongs(minion, defined):
            key = _mode(swarm), frozenset(_managers(swarm))
            alike.setdefault(key, set()).add(minion)
    of: dict[tuple[str, str], tuple[str, set[str], set[str]]] = {}  # by mode and manager
    for (mode, some), ours in alike.items():
        managers, members = {*some}, {*ours}
        for _, more, others in [of[mode, one] for one in some if (mode, one) in of]:
            managers |= more
            members |= others
        of |= dict.fromkeys([(mode, one) for one in managers], (mode, managers, members))
    return [*{id(group): group for group in of.values()}.values()]


def _named(
    read: Callable[[Mapping[str, Any]], set[str]],
    defined: Mapping[str, Mapping[str, Any]],
    members: set[str],
) -> tuple[str, ...]:
    """Return what the pillars of the members name, each once."""
    return tuple(sorted(set().union(*(read(defined[one]) for one in members))))


def pick(found: list[Swarm], minion: str) -> Swarm | None:
    """Return the swarm with this member or manager, else the only swarm, else ``None``."""
    ours = [one for one in found if minion in one.members]
    ours = ours or [one for one in found if minion in one.managers]
    if ours:
        return ours[0]
    return found[0] if len(found) == 1 else None


def named(found: list[Swarm], name: str | None) -> list[Swarm]:
    """Return the swarm with a member or manager of this name; all swarms without a name."""
    if not name:
        return found
    ours = [one for one in found if name in {*one.members, *one.managers}]
    if not ours:
        known = " and ".join(one.name for one in found) or "none"
        raise errors.SwarmError(
            f"no swarm has a member {name}; swarms under this master, by their managers: {known}"
        )
    return ours


def only(found: list[Swarm], what: str) -> Swarm:
    """Return the only swarm; if there are several, raise an error that shows how to select one."""
    if len(found) > 1:
        example = found[0].managers[0]
        raise errors.SwarmError(
            f"{what}: there are several swarms under this master, by their managers:"
            f" {' and '.join(one.name for one in found)}; name one by a member, as swarm={example}"
        )
    return found[0] if found else Swarm((), ())


def knowing(heard: Mapping[Swarm, Said], minion: str) -> list[Swarm]:
    """Return the swarms whose managers list a host with the minion's name."""
    return [
        swarm
        for swarm, said in heard.items()
        if names(minion) & {hostname(node) for node in nodes(said).values()}
    ]
