"""
Request a certificate for a key of this node from the swarm's own CA, through the master.
"""

from typing import Any

from swarm_formula.core import errors, wait
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt import caller
from swarm_formula.tls import ca_state, pki

# Seconds to wait for an answer from the CA's minion.
_ANSWER = 15


def request(salt: Salt, settings: Settings, key: str, kind: str) -> str:
    """Return a certificate for a key of this node, signed by the CA."""
    me, ca = settings["id"], ca_state.minion(settings)
    wanted = {
        "csr": pki.request(key, me),
        "kind": kind,
        "address": settings["address"],
    }
    if settings["is_ca"]:
        return _certificate(salt["swarm_ca.sign"](wanted, **caller.local(me)))
    found: dict[str, str] = {}

    def probe() -> str | None:
        answers = salt["publish.publish"](
            ca, "swarm_ca.sign", arg=[wanted], tgt_type="list", timeout=_ANSWER
        )
        answer = answers.get(ca) if isinstance(answers, dict) else None
        if isinstance(answer, dict) and "busy" not in answer:
            found["cert"] = _certificate(answer)
            return None
        return f"{ca}, the CA (swarm:tls:ca), does not sign for {me}: {_unsigned(ca, answer)}"

    wait.until(probe, settings["timeout"])
    return found["cert"]


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


def _certificate(answer: dict[str, Any]) -> str:
    if "cert" not in answer:
        raise errors.SwarmError(answer.get("refused") or f"the CA answers {answer}")
    return str(answer["cert"])
