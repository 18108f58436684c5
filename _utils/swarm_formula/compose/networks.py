"""
Read the networks and ports of a compose file's service. Pure.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from swarm_formula.compose import values
from swarm_formula.core import normalize
from swarm_formula.core.faults import FaultError

_HIGHEST_PORT = 65535
_ADDRESSES = {
    "ipv4_address",
    "ipv6_address",
    "link_local_ips",
    "mac_address",
    "priority",
    "gw_priority",
    "interface_name",
}
_NOT_OF_USERS = {"host", "bridge", "none"}
# Keys of a port that say something to other tools only.
_PORT_NAMES = {"name", "app_protocol"}
_PORT = re.compile(
    r"(?P<address>.*:)?(?P<published>[0-9]+(?:-[0-9]+)?)?:"
    r"(?P<target>[0-9]+(?:-[0-9]+)?)(?P<protocol>/\w+)?"
)


def attached(
    given: Mapping[str, Any],
    networks: Mapping[str, str],
    alias: str,
    skip: Callable[[str, str], None],
) -> dict[str, Any]:
    """
    Return the networks of a service, with the names that Docker has for them.

    networks
        The name in Docker of each network of the file.

    alias
        The name of the service in the file, by which the others reach it.

    skip
        Notes a key that has no effect, and the reason.
    """
    found = {}
    for key, options in given.items():
        more = dict(options or {})
        for ignored in _ADDRESSES & more.keys():
            skip(f"networks.{key}.{ignored}", "swarm mode chooses it")
            more.pop(ignored)
        network = values.named(key, networks, "networks")
        if network not in _NOT_OF_USERS:
            aliases = values.listed(more.get("aliases") or [], key, "aliases")
            more["aliases"] = [*aliases, alias]
        found[network] = more
    return found


def ports(value: list[Any], mode: str | None = None) -> list[dict[str, Any] | str]:
    """
    Return the ports of a service that are published, one by one.

    mode
        How a port is published that has no mode of its own.
    """
    more = {"mode": mode} if mode else {}
    return [{**more, **one} if isinstance(one, dict) else one for one in _ports(value)]


def _ports(value: list[Any]) -> list[dict[str, Any] | str]:
    found: list[dict[str, Any] | str] = []
    for one in values.listed(value):
        if isinstance(one, dict):
            port = {key: values.whole(each) for key, each in one.items() if key not in _PORT_NAMES}
            span = str(port.get("published") or "")
            if "-" in span:
                raise FaultError(span, "one published port: swarm mode does not choose one of them")
            found.append({key: each for key, each in port.items() if each not in ("", None)})
        else:
            found += _short_ports(normalize.text(one))
    return found


def _short_ports(text: str) -> Sequence[dict[str, Any] | str]:
    """Return the ports of ``[published:]target[/protocol]``; both may be ranges."""
    match = _PORT.fullmatch(text if ":" in text.rpartition("/")[0] or ":" in text else f":{text}")
    if not match or match["address"]:
        return [text]  # the option refuses it, and says why
    targets, published = _span(match["target"]), _span(match["published"] or "")
    more = {"protocol": match["protocol"][1:]} if match["protocol"] else {}
    if not published:
        return [{"target": one, **more} for one in targets]
    if len(targets) not in (1, len(published)):
        raise FaultError(text, "ranges of one length")
    targets = targets * len(published) if len(targets) == 1 else targets
    both = zip(published, targets, strict=True)
    return [{"published": one, "target": each, **more} for one, each in both]


def _span(text: str) -> list[int]:
    if not text:
        return []
    low, _, high = text.partition("-")
    if not int(low) <= int(high or low) <= _HIGHEST_PORT:
        raise FaultError(text, f"ports from 1 to {_HIGHEST_PORT}, the lower one first")
    return list(range(int(low), int(high or low) + 1))
