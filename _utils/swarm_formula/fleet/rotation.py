"""
Rotate the keys and tokens of a swarm from the master: the join tokens, the CA, Consul's secrets,
the logins to registries.
"""

from collections.abc import Iterable
from typing import Any

from swarm_formula.core import errors
from swarm_formula.fleet import member_nodes, renewal, returns, rotation_rules, status, swarms
from swarm_formula.fleet.member_nodes import Reports
from swarm_formula.fleet.swarms import Swarm
from swarm_formula.salt import minion_reports
from swarm_formula.salt.runner import Master

# Rounds of applies without a step of the CA, after which its rotation is left to the operator.
_IDLE = 2


def rotate(master: Master, what: str, swarm: str | None = None) -> dict[str, Any]:
    """Rotate one kind of secret, or all that the swarm has; return what was done."""
    try:
        ours = swarms.only(status.swarms(master, swarm), "nothing was rotated")
        reports = status.reports(master, ours.members)
        there = {name: one for name, one in reports.items() if isinstance(one, dict)}
        speakers = ours.speakers(reports)
        ca = member_nodes.authority(speakers) or ""
        kept = renewal.kept_by(master, ca) if ca in there else []
        kinds = rotation_rules.chosen(what, ours.facts, ca, kept)
    except errors.SwarmError as err:
        return master.refused(err)
    done: dict[str, bool | str] = {}
    for kind in kinds:
        if kind == "ca":
            done[kind] = _rotate_ca(master, ours, there, ca)
        elif kind == "join-token":
            done[kind] = rotate_tokens(master, speakers, True)
        elif kind == rotation_rules.REGISTRY:
            done[kind] = _renew_logins(master, ours, there, speakers)
        else:
            done[kind] = renewal.renew(master, kind, ours, there, ca)
        if done[kind] is not True:
            master.context["retcode"] = 1
    return minion_reports.plain(done)


def rotate_tokens(master: Master, managers: Iterable[str], both: bool) -> bool | str:
    """Rotate the worker token, or both; return ``True``, or why not."""
    options = {"managers": True} if both else {}
    answer = master.ask_until_done(managers, "swarm_leader.rotate", **options)
    if answer is True:
        return True
    return f"not rotated: {answer}. Later: salt-run swarm.rotate join-token"


def _renew_logins(
    master: Master, swarm: Swarm, reports: Reports, speakers: Iterable[str]
) -> bool | str:
    """Have all nodes log in again, and the cluster have the logins; return ``True``, or why not."""
    nodes = rotation_rules.nodes(reports, status.views(master, swarm, reports).said)
    if not nodes:
        return "not rotated: no manager lists the nodes: see salt-run swarm.status"
    told = master.ask(nodes, "state.apply", mods="swarm.registries", queue=True)
    late = [f"{name}: {why}" for name, why in returns.outcomes(told, nodes).items()]
    if not late and not swarm.facts.standalone:
        answer = master.ask_until_done(speakers, "swarm_service.renew_logins")
        late = [] if answer is True else [str(answer)]
    text = "; ".join(late)
    return f"not finished: {text}. To resume: salt-run swarm.rotate registry" if late else True


def _rotate_ca(master: Master, swarm: Swarm, reports: Reports, ca: str) -> bool | str:
    """Apply ``swarm`` on the nodes until the CA has changed; return ``True``, or why not."""
    if ca not in reports:
        return (
            f"not rotated: {ca}, the CA (swarm:tls:ca), does not answer or is no member by pillar"
        )
    # A member that is no node yet must not become one by a rotation; the CA may be none for good.
    nodes = rotation_rules.nodes(reports, status.views(master, swarm, reports).said)
    if not nodes:
        return "not rotated: no manager lists the nodes: see salt-run swarm.status"
    state = _applied_until_changed(master, ca, nodes)
    if not isinstance(state, dict):
        return f"not finished: {ca}: {state}. To resume: salt-run swarm.rotate ca"
    if state["changing"]:
        told = master.ask([ca], "swarm_ca.complaints").get(ca)
        texts = map(str, told) if isinstance(told, list) else ()
        why = "; ".join(texts) or "no member took the next step"
        return f"not finished: {why}. To resume: salt-run swarm.rotate ca"
    return True


def _applied_until_changed(master: Master, ca: str, nodes: list[str]) -> dict[str, Any] | str:
    """Rotate by applying ``swarm`` while the CA changes; return the last answer of the CA."""
    state = _said(master, ca, "swarm_ca.rotate")
    # A step is visible to the members after the CA's apply, and to the CA after theirs: a round
    # without a step is normal, two in a row with the same members missing are not.
    idle = 0
    while isinstance(state, dict) and state["changing"] and idle < _IDLE:
        late = ", ".join(state["waits for"]) or "no member"
        master.tell(ca, f"applying swarm on {len(nodes)} nodes; the CA waits for {late}")
        if ca not in nodes:
            master.ask([ca], "state.apply", mods="swarm.ca", queue=True)
        master.ask(nodes, "state.apply", mods="swarm", queue=True)
        before, state = state, _said(master, ca, "swarm_ca.rotation")
        idle = idle + 1 if state == before else 0
    return state


def _said(master: Master, ca: str, function: str) -> dict[str, Any] | str:
    return minion_reports.read_rotation(master.ask([ca], function).get(ca, "it does not answer"))
