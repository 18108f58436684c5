"""
Call functions of other minions through the master, whose configuration allows them (``peer``).
"""

import time
from collections.abc import Iterable
from typing import Any

from salt.exceptions import SaltReqTimeoutError

from swarm_formula.core.salt_types import Salt
from swarm_formula.salt import master_request

# Seconds between two requests for the answers: the first and the longest pause, and the growth of
# the pauses. Most functions take about half a second.
_FIRST, _LAST, _GROWTH = 0.1, 0.3, 1.1


def answers(
    salt: Salt,
    target: str | Iterable[str],
    function: str,
    arg: Iterable[Any] = (),
    timeout: float = 15,
) -> dict[str, Any]:
    """
    Return the answers of minions, ``{minion: answer}``; those that do not answer are missing.

    In a state run, this sends the requests of Salt's ``publish.publish`` by the connection of the
    run, with shorter pauses than the 0.3 s of that function.

    target
        Minion IDs, or a regular expression for them; see ``mine.target``. The master compares
        globs with the IDs of all accepted minions, and IDs with none of them.

    timeout
        Seconds of pauses. Requests to a master that is busy come on top.
    """
    tgt, kind = (target, "pcre") if isinstance(target, str) else (",".join(target), "list")
    client = master_request.state_client()
    if client is None:
        found = salt["publish.publish"](tgt, function, arg=[*arg], tgt_type=kind, timeout=timeout)
        return found if isinstance(found, dict) else {}
    load = {"fun": function, "arg": [*arg], "tgt": tgt, "tgt_type": kind, "tmo": timeout}
    try:
        return _asked(client, load, timeout)
    except SaltReqTimeoutError:
        return {}


def _asked(client: Any, load: dict[str, Any], timeout: float) -> dict[str, Any]:
    me = client.opts["id"]
    more = {"ret": "", "form": "clean", "id": me, "no_parse": client.opts.get("no_parse", [])}
    job = client.channel.send({"cmd": "minion_pub", **load, **more})
    if not job or not job["minions"]:
        return {}
    wanted, pause, slept = {*job["minions"]}, _FIRST, 0.0
    found: dict[str, Any] = {}
    while wanted - found.keys() and slept <= timeout:
        time.sleep(pause)
        slept, pause = slept + pause, min(pause * _GROWTH, _LAST)
        found = client.channel.send({"cmd": "pub_ret", "id": me, "jid": job["jid"]})
    return {minion: one["ret"] for minion, one in found.items()}
