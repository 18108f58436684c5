"""
Remove a node from its swarm, from the master, even if its host is dead.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from swarm_formula.core import errors
from swarm_formula.fleet import (
    member_guard,
    member_nodes,
    renewal,
    rotation,
    rotation_rules,
    status,
    swarms,
)
from swarm_formula.fleet import returns as fleet_returns
from swarm_formula.fleet.member_nodes import Heard, Reports
from swarm_formula.fleet.swarms import Swarm
from swarm_formula.fleet.views import Views
from swarm_formula.salt import minion_reports
from swarm_formula.salt.runner import Master

# Seconds within which Consul notices that a host is off. On a host whose minion alone is off, it
# runs on.
_DETECTED = 60


class _Removal(NamedTuple):
    """The minion to remove, and what the other members tell of it."""

    minion: str
    swarm: Swarm
    reports: Heard
    views: Views
    speakers: Reports

    @property
    def answers(self) -> bool:
        """Check whether the minion answers."""
        return self.minion in self.reports

    @property
    def others(self) -> Reports:
        """Return the reports of the members that carry out the removal."""
        # Without a manager, only at any cost: then whoever is left has to do.
        return self.speakers or {
            name: one
            for name, one in self.reports.items()
            if name != self.minion and isinstance(one, dict)
        }


def remove(
    master: Master,
    minion: str,
    at_any_cost: bool = False,
    swarm: str | None = None,
    node: str | None = None,
) -> dict[str, Any]:
    """
    Remove a node from its swarm; return what was done, or why nothing was.

    at_any_cost
        Remove even the only copy of the cluster, the store or the CA.

    swarm
        Another member of its swarm.

    node
        The key of its node in the managers' list, if its host name does not show that.
    """
    try:
        ours = _swarm_of(master, minion, swarm)
    except errors.SwarmError as err:
        return master.refused(err)
    removal = _survey(master, minion, ours)
    try:
        if not at_any_cost:
            _guard(master, removal)
        endpoint = member_nodes.endpoint(
            minion, removal.reports, removal.views.said, ours.members, node
        )
    except errors.SwarmError as err:
        return master.refused(err)
    take_out = _from_store if ours.facts.standalone else _from_cluster
    done = take_out(master, removal, endpoint)
    if "refused" not in done:
        done |= _afterwards(master, removal, endpoint)
    return minion_reports.plain(done)


def _swarm_of(master: Master, minion: str, swarm: str | None) -> Swarm:
    """Return the swarm from which a minion is removed."""
    found = status.swarms(master, swarm)
    if ours := swarms.pick(found, minion):
        return ours
    reports = status.reports(master, [member for one in found for member in one.members])
    heard = {one: status.views(master, one, reports).said for one in found}
    return swarms.only(swarms.knowing(heard, minion) or found, f"{minion} was not removed")


def _survey(master: Master, minion: str, swarm: Swarm) -> _Removal:
    """Ask the members what they report, and the other managers about the nodes."""
    master.tell(minion, f"asking the {len(swarm.members)} members of {swarm.name or 'the swarm'}")
    reports = status.reports(master, list(dict.fromkeys([*swarm.members, minion])))
    views = status.views(master, swarm, reports, but=minion)
    return _Removal(minion, swarm, reports, views, swarm.speakers(reports, but=minion))


def _guard(master: Master, removal: _Removal) -> None:
    """Raise an error if the removal would cost the cluster, the store, the CA or the registry."""
    minion, swarm, _, views, speakers = removal
    try:
        member_guard.guard_registry(minion, swarm.registries)
        alive, voters = status.servers(master, swarm, speakers)
        member_guard.guard(minion, speakers, views.said, alive, voters)
        if views.dispute:
            raise errors.SwarmError(
                f"{minion} was not removed: {views.dispute}. If they still do in a minute, one of"
                " them is in another cluster, or lies"
            )
    except errors.SwarmError as err:
        raise errors.SwarmError(
            f"{err}. To remove it whatever that costs: force=True lose_cluster=True"
        ) from err


def _from_store(master: Master, removal: _Removal, endpoint: str | None) -> dict[str, Any]:
    """Take a node of classic mode out of the store and of Consul."""
    minion, others = removal.minion, removal.others
    done: dict[str, Any] = {
        "cleaned": _cleaned(master, removal),
        "deregistered": "the swarm does not know it",
    }
    if endpoint:
        done["deregistered"] = master.ask_until_done(
            others, "swarm_consul.deregister", endpoint=endpoint
        )
    master.tell(minion, "waiting until Consul has lost it")
    limit = {}
    if not removal.answers:
        limit = {"timeout": _DETECTED}
    elif _stays(removal, done):
        # The Consul of a node that could not be cleaned runs on: there is nothing to wait for.
        limit = {"timeout": 0}
    done["expelled from Consul"] = master.ask_until_done(
        others, "swarm_consul.expel", minion, **limit
    )
    return done


def _from_cluster(master: Master, removal: _Removal, node: str | None) -> dict[str, Any]:
    """Drain, demote and remove a node of builtin mode."""
    minion, managers = removal.minion, removal.others
    done: dict[str, Any] = {}
    if node:
        master.tell(minion, f"draining node {node}: its tasks go elsewhere")
        expelled = master.ask_until_done(managers, "swarm_leader.expel", node)
        if not isinstance(expelled, dict):
            nonsense = f"the answer to swarm_leader.expel is nonsense: {expelled!r}"
            return master.refused(expelled if isinstance(expelled, str) else nonsense)
        done = expelled
    # The node has to leave even if its tasks are still running, or if it is an adopted node.
    done["cleaned"] = _cleaned(master, removal, pillar={"swarm_clean": {"alone": True}})
    if node:
        master.tell(minion, f"removing node {node} from the list")
        # An engine that has not left would not notice, and stay active for ever.
        limit = {"force": False} if _stays(removal, done) else {}
        done["dropped"] = master.ask_until_done(managers, "swarm_leader.drop", node, **limit)
    return done


def _cleaned(master: Master, removal: _Removal, **options: object) -> object:
    """Have the minion apply ``swarm.clean``; return ``True``, or why it is not clean."""
    minion = removal.minion
    if not removal.answers:
        return "the minion does not answer"
    master.tell(minion, "applying swarm.clean")
    returns = master.ask([minion], "state.apply", mods="swarm.clean", queue=True, **options)
    return fleet_returns.outcomes(returns, [minion]).get(minion, True)


def _stays(removal: _Removal, done: dict[str, Any]) -> bool:
    """Check whether a minion that answers has not left the swarm."""
    return removal.answers and done["cleaned"] is not True


def _afterwards(master: Master, removal: _Removal, endpoint: str | None) -> dict[str, Any]:
    """Forget the removed host, replace what it knew, and tell what is left of it."""
    minion, swarm, reports, views, _ = removal
    done: dict[str, Any] = {}
    left = [] if endpoint else member_nodes.leftovers(reports, views.said, swarm.members)
    if left:
        done["left"] = (
            f"no node is known to be that of {minion}. These are down, and of no minion:"
            f" {', '.join(left)}. If one of them was, remove it on a manager: docker node rm ID"
        )
    ca = member_nodes.authority(removal.others)
    if ca and ca in removal.others:
        # The host that replaces this node may use the same address.
        master.ask([ca], "swarm_ca.forget", minion)
    done |= _made_worthless(master, removal, endpoint)
    master.fire(minion, "removed")
    return done


def _made_worthless(master: Master, removal: _Removal, endpoint: str | None) -> dict[str, Any]:
    """Rotate the join tokens that a removed host knew, and tell what it can still do."""
    minion, swarm, others = removal.minion, removal.swarm, removal.others
    speakers = swarm.speakers(others)
    done: dict[str, Any] = {}
    managed = rotation_rules.was_manager(minion, swarm.managers, endpoint, removal.views.said)
    if swarm.facts.join_tokens:
        done["join tokens"] = rotation.rotate_tokens(master, speakers, managed)
    ca = member_nodes.authority(speakers)
    if ca and ca in others:
        until = _date(master.ask([ca], "swarm_ca.valid_until"), ca)
        done["certificate"] = rotation_rules.certificate_remains(minion, until)
        if managed:
            done["CA"] = rotation_rules.authority_remains(minion)
        known = renewal.kept_by(master, ca)
        # A manager's copy of the CA has it as well.
        if minion not in swarm.holders and not managed:
            known = [kind for kind in known if kind != rotation_rules.TOKEN]
        done |= {kind: rotation_rules.secret_remains(minion, kind) for kind in known}
    return done


def _date(answers: Mapping[str, Any], ca: str) -> str | None:
    said = answers.get(ca)
    return said if isinstance(said, str) and len(said) == len("2030-01-01") else None
