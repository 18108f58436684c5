"""
Request a certificate for a key of this node from the swarm's own CA, through the master.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from swarm_formula.core import errors, wait
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt import caller, peer_call
from swarm_formula.tls import ca_request, ca_state, pki


def request(salt: Salt, settings: Settings, keys: Mapping[str, str]) -> dict[str, str]:
    """
    Return certificates for keys of this node, signed by the CA, by kind.

    keys
        The keys by the kind of their certificates; the second one is for Consul.
    """
    me, ca = settings["id"], ca_state.minion(settings)
    kind, *more = keys
    wanted = {
        "csr": pki.request(keys[kind], me),
        "kind": kind,
        "address": settings["address"],
        **{one: pki.request(keys[one], me) for one in more},
    }
    if settings["is_ca"]:
        return _certificates(salt["swarm_ca.sign"](wanted, **caller.local(me)), keys)
    found: dict[str, str] = {}

    def probe() -> str | None:
        answer = peer_call.answers(salt, [ca], "swarm_ca.sign", [wanted]).get(ca)
        if isinstance(answer, dict) and "busy" not in answer:
            found.update(_certificates(answer, keys))
            return None
        return f"{ca}, the CA (swarm:tls:ca), does not sign for {me}: {_unsigned(ca, answer)}"

    wait.until(probe, settings["timeout"])
    return found


def _unsigned(ca: str, answer: object) -> str:
    """Return why there is no certificate: the answer of the CA's minion, or a missing answer."""
    if isinstance(answer, dict):
        return str(answer["busy"])
    if answer:
        return f"its minion answers {answer}"
    return (
        f"no answer came. Either that minion is down ('salt {ca} test.ping' on the master), or the"
        " master does not let minions ask it (peer: swarm_ca.sign in the master's configuration,"
        " see the state swarm.master)"
    )


def _certificates(answer: dict[str, Any], kinds: Iterable[str]) -> dict[str, str]:
    names = dict(zip(kinds, ("cert", ca_request.MORE), strict=False))
    if not answer.keys() >= {*names.values()}:
        raise errors.SwarmError(answer.get("refused") or f"the CA answers {answer}")
    return {kind: str(answer[name]) for kind, name in names.items()}
