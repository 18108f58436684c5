"""
Normalize the networks of a service. Pure.

Each normalizer accepts what users write and its own result, and returns lists sorted and without
default values. Invalid values raise ``ValueError`` or ``TypeError``; the caller adds the location.
"""

from typing import Any

from swarm_formula.spec import service_parts

_NETWORK_FIELDS = {
    "aliases": lambda value: sorted(set(service_parts.texts(value))),
    "driver_opts": service_parts.table,
}


def networks(value: Any) -> dict[str, dict[str, Any]]:
    """Return networks as ``{name: {aliases, driver_opts}}``."""
    if not isinstance(value, dict):
        value = dict(map(_network, service_parts.listed(value)))
    found = {
        service_parts.text(name): service_parts.record(one or {}, _NETWORK_FIELDS)
        for name, one in value.items()
    }
    return {name: {key: one for key, one in found[name].items() if one} for name in sorted(found)}


def _network(value: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(value, dict):
        return service_parts.text(value.get("name")), {
            key: one for key, one in value.items() if key != "name"
        }
    return service_parts.text(value), {}


def attachments(value: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return networks in the API's form, which has IDs in place of names when it is read."""
    keys = {"aliases": "Aliases", "driver_opts": "DriverOpts"}
    return [
        {"Target": name, **{keys[key]: one for key, one in more.items()}}
        for name, more in value.items()
    ]


def attachments_found(raw: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return networks from the API's form, with names in place of IDs."""
    return {
        one["Target"]: {"aliases": one.get("Aliases"), "driver_opts": one.get("DriverOpts")}
        for one in raw
    }
