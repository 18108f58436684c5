"""
Renew a secret that the CA keeps for Consul, from the master: the gossip key or the ACL token.

``tls.consul_secrets`` has the phases that the CA goes through.
"""

from collections.abc import Iterable

from swarm_formula.core import errors
from swarm_formula.fleet import rotation_rules, status
from swarm_formula.fleet.member_nodes import Reports
from swarm_formula.fleet.swarms import Swarm
from swarm_formula.salt.runner import Master
from swarm_formula.tls import consul_secrets


def kept_by(master: Master, ca: str) -> list[str]:
    """Return the secrets of Consul that the CA keeps and renews; an older release tells of none."""
    said = master.ask([ca], "swarm_ca.renewable").get(ca)
    return [one for one in said if one in rotation_rules.KINDS] if isinstance(said, list) else []


def renew(master: Master, kind: str, swarm: Swarm, reports: Reports, ca: str) -> bool | str:
    """Renew a secret of Consul; return ``True``, or why not. The old one works until the end."""
    servers = [name for name in swarm.holders if name in reports]
    try:
        nodes = sorted({*_all_nodes(master, swarm, reports), *servers})
        if _step(master, ca, kind, "begin") == consul_secrets.MADE:
            master.tell(ca, f"Consul gets the new {kind} beside the old one")
            _done_by(master, servers, "swarm_consul.admit", kind)
            _step(master, ca, kind, "follow")
        _apply(master, ca, kind, nodes)
        _done_by(master, servers, "swarm_consul.retire", kind)
        _step(master, ca, kind, "end")
    except errors.SwarmError as err:
        return (
            f"not finished: {err}. The old one is accepted until it is, but a node whose Consul"
            " starts meanwhile may not find the others: resume soon with salt-run swarm.rotate"
            f" {kind}"
        )
    return True


def _all_nodes(master: Master, swarm: Swarm, reports: Reports) -> list[str]:
    """
    Return the nodes that the managers list; raise an error if one of them does not answer.

    A server of Consul that is off may not be listed any more, and would bring the old secret back.
    """
    said = status.views(master, swarm, reports).said
    if silent := [name for name in swarm.holders if name not in reports]:
        raise errors.SwarmError(
            f"the minions of {', '.join(silent)}, servers of Consul, do not answer: start them, or"
            " take them out of pillar (swarm:consul:servers) and apply"
        )
    if absent := rotation_rules.absent(reports, said):
        raise errors.SwarmError(
            f"the minions of {', '.join(absent)} do not answer: start them, or remove them with"
            " salt-run swarm.remove"
        )
    if nodes := rotation_rules.nodes(reports, said):
        return nodes
    raise errors.SwarmError("no manager lists the nodes: see salt-run swarm.status")


def _step(master: Master, ca: str, kind: str, step: str) -> str:
    """Have the CA take a step of a renewal; return its phase."""
    phase = master.ask([ca], "swarm_ca.renew", kind, step=step).get(ca, "it does not answer")
    if isinstance(phase, str) and phase in consul_secrets.PHASES:
        return phase
    raise errors.SwarmError(f"{ca}: {phase}")


def _done_by(master: Master, servers: Iterable[str], function: str, kind: str) -> None:
    """Have one of Consul's servers do its part of a renewal."""
    answer = master.ask_until_done(servers, function, kind)
    if answer is not True:
        raise errors.SwarmError(str(answer))


def _apply(master: Master, ca: str, kind: str, nodes: list[str]) -> None:
    """Apply ``swarm`` on all nodes; raise an error if one does not use the new secret."""
    master.tell(ca, f"applying swarm on {len(nodes)} nodes")
    master.ask(nodes, "state.apply", mods="swarm", queue=True)
    answers = master.ask(nodes, "swarm_consul.renewed", kind)
    late = {one: answers.get(one, "it does not answer") for one in nodes}
    if told := [f"{one}: {why}" for one, why in late.items() if why is not True]:
        raise errors.SwarmError("; ".join(told))
