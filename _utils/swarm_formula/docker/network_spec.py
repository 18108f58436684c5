"""
Settings of a network: check, compare, and convert to the body of a request. Pure.
"""

import ipaddress
from collections.abc import Callable
from typing import Any

from swarm_formula.core import errors, faults, normalize
from swarm_formula.spec import container_options


def _subnet(value: Any) -> str:
    return str(ipaddress.ip_network(value, strict=False)) if value else ""


def _address(value: Any) -> str:
    # Some drivers report the gateway with its prefix length.
    return str(ipaddress.ip_interface(value).ip) if value else ""


def _flag(value: Any) -> bool:
    if not isinstance(value, bool | None):
        raise TypeError
    return bool(value)


# For each setting, the function that normalizes it, and what it must be.
FIELDS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "driver": (lambda value: normalize.text(value) or "bridge", "a driver, such as overlay"),
    "subnet": (_subnet, "a network, such as 10.1.0.0/24"),
    "gateway": (_address, "an address in the subnet"),
    "ip_range": (_subnet, "a part of the subnet"),
    "options": (normalize.table, "a dictionary of plain values"),
    "labels": (normalize.table, "a dictionary of plain values"),
    "internal": (_flag, "true or false"),
    "attachable": (_flag, "true or false"),
}


def wanted(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Return the given settings of a network, normalized; raise an error if one is invalid."""
    given = container_options.drop_unset(**spec)
    return {key: _normal(name, key, value) for key, value in given.items()}


def _normal(name: str, key: str, value: Any) -> Any:
    if key not in FIELDS:
        raise errors.SettingsError(str(faults.unknown_key(f"network {name}", key, FIELDS)))
    normal, expects = FIELDS[key]
    try:
        return normal(value)
    except (ValueError, TypeError, AttributeError) as err:
        raise errors.SettingsError(
            f"network {name}: '{key}' must be {expects}, found {value!r}"
        ) from err


def current(network: dict[str, Any]) -> dict[str, Any]:
    """Return a network's settings from the output of ``docker network inspect``."""
    pool: dict[str, Any] = next(iter((network.get("IPAM") or {}).get("Config") or []), {})
    found = {
        "driver": network["Driver"],
        "subnet": pool.get("Subnet"),
        "gateway": pool.get("Gateway"),
        "ip_range": pool.get("IPRange"),
        "options": network.get("Options"),
        "labels": network.get("Labels"),
        "internal": network.get("Internal"),
        "attachable": network.get("Attachable"),
    }
    return {key: FIELDS[key][0](value) for key, value in found.items()}


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
    places = {"subnet": "Subnet", "gateway": "Gateway", "ip_range": "IPRange"}
    pool = {places[key]: settings[key] for key in places if settings.get(key)}
    return {
        "Name": name,
        "CheckDuplicate": True,
        "Driver": settings.get("driver", "bridge"),
        "Options": settings.get("options", {}),
        "Labels": settings.get("labels", {}),
        "Internal": settings.get("internal", False),
        "Attachable": settings.get("attachable", False),
        **({"IPAM": {"Config": [pool]}} if pool else {}),
    }
