"""
Settings of a network: check, compare, and convert to the body of a request. Pure.
"""

import ipaddress
from collections.abc import Callable
from typing import Any

from swarm_formula.core import normalize
from swarm_formula.spec import container_options
from swarm_formula.spec.container_options import Field


def _subnet(value: Any) -> str:
    return str(ipaddress.ip_network(value, strict=False)) if value else ""


def _address(value: Any) -> str:
    # Some drivers report the gateway with its prefix length.
    return str(ipaddress.ip_interface(value).ip) if value else ""


def _flag(value: Any) -> bool:
    if not isinstance(value, bool | None):
        raise TypeError
    return bool(value)


_POOL = {"subnet": "Subnet", "gateway": "Gateway", "ip_range": "IPRange"}


def _pool(name: str, normal: Callable[[Any], Any], expects: str) -> Field:
    """Return a field of the first pool of addresses; the formula creates no others."""
    key = _POOL[name]
    return Field(
        ("IPAM", "Config"), normal, expects, decode=lambda pools: (pools or [{}])[0].get(key)
    )


# How users write a setting, and where ``docker network inspect`` has it.
FIELDS = {
    "driver": Field(
        ("Driver",), lambda value: normalize.text(value) or "bridge", "a driver, such as overlay"
    ),
    "subnet": _pool("subnet", _subnet, "a network, such as 10.1.0.0/24"),
    "gateway": _pool("gateway", _address, "an address in the subnet"),
    "ip_range": _pool("ip_range", _subnet, "a part of the subnet"),
    "options": Field(("Options",), normalize.table, "a dictionary of plain values"),
    "labels": Field(("Labels",), normalize.table, "a dictionary of plain values"),
    "internal": Field(("Internal",), _flag, "true or false"),
    "attachable": Field(("Attachable",), _flag, "true or false"),
}


def wanted(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Return the given settings of a network, normalized; raise an error if one is invalid."""
    given = container_options.drop_unset(**spec)
    return container_options.normalized(f"network {name}", given, FIELDS, quoted=True)


def current(network: dict[str, Any]) -> dict[str, Any]:
    """Return a network's settings from the output of ``docker network inspect``."""
    return container_options.read(network, FIELDS)


def differences(wanted: dict[str, Any], network: dict[str, Any] | None) -> dict[str, Any]:
    """Return the differences between the wanted and the present network."""
    if network is None:
        changes = {key: {"old": None, "new": value} for key, value in wanted.items()}
        return {"state": {"old": "absent", "new": "present"}, **changes}
    old = current(network)
    # Drivers add options of their own: only the given options can be compared.
    given = wanted.get("options", {})
    old["options"] = {key: value for key, value in old["options"].items() if key in given}
    return container_options.diff(old, wanted)


def body(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the body of the request that creates a network with these settings."""
    pool = {place: settings[key] for key, place in _POOL.items() if settings.get(key)}
    plain = {
        field.path[0]: settings.get(key, field.normal(None))
        for key, field in FIELDS.items()
        if key not in _POOL
    }
    return {
        "Name": name,
        "CheckDuplicate": True,
        **plain,
        **({"IPAM": {"Config": [pool]}} if pool else {}),
    }
