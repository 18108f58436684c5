"""
Normalize the ports that a service publishes. Pure.

Each normalizer accepts what users write and its own result, and returns lists sorted and without
default values. Invalid values raise ``ValueError`` or ``TypeError``; the caller adds the location.
"""

import re
from typing import Any

from swarm_formula.core import normalize
from swarm_formula.spec import service_parts

_HIGHEST_PORT = 65535
_PORT = r"(?:(?P<published>\d+):)?(?P<target>\d+)(?:/(?P<protocol>tcp|udp|sctp))?"
_PORT_OF_ADDRESS = r"(\[[0-9A-Fa-f:.]+\]|\d+(\.\d+){3}|[A-Za-z][\w.-]*):.*"
_ADDRESS = (
    "an address: swarm mode publishes a port on all addresses of a node, never on one. Take the"
    " address away, and let a firewall decide who reaches the port"
)


def _port_number(value: Any) -> int:
    number = int(value) if isinstance(value, str) and value.isdigit() else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _HIGHEST_PORT:
        raise ValueError(f"found {value!r}, no port from 1 to {_HIGHEST_PORT}")
    return number


def _no_address(value: Any) -> None:
    raise ValueError(f"found {value!r}, {_ADDRESS}")


FIELDS = {
    "target": _port_number,
    "published": _port_number,
    "protocol": service_parts.one_of("tcp", "udp", "sctp"),
    "mode": service_parts.one_of("ingress", "host"),
    "host_ip": _no_address,
}


def ports(value: Any) -> list[dict[str, Any]]:
    """Return published ports as ``{published, target, protocol, mode}``, without defaults."""
    found = service_parts.ordered([_port(one) for one in service_parts.listed(value)])
    taken: set[tuple[int | None, str | None]] = set()
    for one in found:
        published = (one.get("published"), one.get("protocol"))
        if published[0] and published in taken:
            raise ValueError(f"found port {published[0]} published twice")
        taken.add(published)
    return found


def _port(value: Any) -> dict[str, Any]:
    if isinstance(value, int | float):
        raise ValueError(f"found {value!r}: write ports in quotes, for YAML takes 22:22 for 1342")
    if not isinstance(value, dict):
        match = re.fullmatch(_PORT, normalize.text(value))
        if not match:
            address = re.fullmatch(_PORT_OF_ADDRESS, normalize.text(value))
            raise ValueError(f"found {value!r}" + (f", {_ADDRESS}" if address else ""))
        value = match.groupdict()
    port = service_parts.record(value, FIELDS, " of a port")
    if not port.get("target"):
        raise ValueError("found a port without 'target', the port in the container")
    defaults = {"published": 0, "protocol": "tcp", "mode": "ingress"}
    return {key: one for key, one in port.items() if defaults.get(key) != one}


def published(value: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return published ports in the API's form."""
    return [
        {
            "TargetPort": one["target"],
            **({"PublishedPort": one["published"]} if "published" in one else {}),
            "Protocol": one.get("protocol", "tcp"),
            "PublishMode": one.get("mode", "ingress"),
        }
        for one in value
    ]


def published_found(raw: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return published ports from the API's form."""
    keys = {
        "target": "TargetPort",
        "published": "PublishedPort",
        "protocol": "Protocol",
        "mode": "PublishMode",
    }
    return [{key: one[place] for key, place in keys.items() if one.get(place)} for one in raw]
