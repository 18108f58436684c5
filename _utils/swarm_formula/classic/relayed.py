"""
Ask the managers of classic mode through the master, on a node whose certificate they do not accept.

The minions of the managers answer: their certificates are those of clients as well.
"""

import zlib

from swarm_formula.core import errors
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.salt import peer_call
from swarm_formula.standalone import containers, manager_info
from swarm_formula.standalone.manager_info import Answers
from swarm_formula.tls import ca_request, cert_files, pki

_LISTS = "swarm_classic.lists"
# Pauses between two questions of one node, as a factor: many nodes ask the same few minions.
SLOW = 3
_MOST = 500


def is_due(settings: Settings) -> bool:
    """
    Check whether this node asks through the master: only managers are clients of managers.

    The certificate decides, not the role: the pillar may be that of the last refresh.
    """
    if not settings["tls"]["ca"]:
        return False
    have = cert_files.NODE.read()
    return ca_request.CLIENT not in pki.usages(have.cert) if have else not settings["is_manager"]


def ask(salt: Salt, settings: Settings) -> Answers:
    """
    Return what the managers say of this node, or why they do not answer.

    One minion after the other is asked, until one knows a primary.
    """
    mine, found, silent = containers.engine_endpoint(settings), None, Answers({}, {})
    for name in _order(settings):
        answer = peer_call.answers(salt, [name], _LISTS, [mine]).get(name)
        said = _parsed(answer, settings)
        if said and manager_info.primary(said):
            return said
        found = said or found
        silent.errors[name] = _silence(name, answer)
    return found or silent


def _order(settings: Settings) -> list[str]:
    """Return the managers in the order to ask them; the node's ID decides where it starts."""
    names = [*settings["managers"]]
    start = zlib.crc32(settings["id"].encode()) % len(names)
    return names[start:] + names[:start]


def _parsed(answer: object, settings: Settings) -> Answers | None:
    """Return an answer of a minion, ``None`` if it is not that of ``swarm_classic.lists``."""
    given = answer if isinstance(answer, dict) else {}
    try:
        found = {name: given[name] for name in settings["managers"] if name in given}
        return manager_info.from_plain(found) if found else None
    except errors.ApiError:
        return None


def _silence(name: str, answer: object) -> str:
    """Return why a minion has not told what the managers say."""
    if isinstance(answer, dict) and isinstance(answer.get("busy"), str):
        return f"{name}: {answer['busy'][:_MOST]}"
    if answer:
        return f"the minion {name} answers {str(answer)[:_MOST]!r} to {_LISTS}"
    return (
        f"no answer of the minion {name} to {_LISTS}: it is down ('salt {name} test.ping' on the"
        " master), is no manager by its pillar, or the master does not let minions ask it (peer in"
        " the master's configuration: apply swarm.master there)"
    )
