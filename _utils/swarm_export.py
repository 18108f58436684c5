"""
Write the pillar of services and networks that a cluster has, from whatever hand they are. Pure.
"""

from collections.abc import Mapping

import swarm_networks
import swarm_service_spec as spec
import swarm_versions

# Options that the driver adds itself.
_OF_DRIVER = "com.docker.network.driver.overlay.vxlanid_list"
_INGRESS = "Ingress"


def pillar(
    services: Mapping[str, dict], networks: list[dict], files: Mapping[str, Mapping[str, dict]]
) -> dict:
    """
    Return the pillar ``swarm`` with services and overlay networks of a cluster.

    services
        ``{name: service}``.

    files
        ``{"secrets": {name in Docker: secret}, "configs": ...}``. Versions of the formula are named
        as in the pillar; contents are never exported.
    """
    names = {one["Id"]: one["Name"] for one in networks}
    return {
        "mode": "builtin",
        "networks": {
            one["Name"]: _network(one)
            for one in networks
            if one.get("Scope") == "swarm"
            and one.get("Driver") == "overlay"
            and not one.get(_INGRESS)
        },
        "services": {
            name: _service(spec.with_names(one["Spec"], names), files)
            for name, one in sorted(services.items())
        },
    }


def _network(network: dict) -> dict:
    found = swarm_networks.current(network)
    found["options"] = {key: one for key, one in found["options"].items() if key != _OF_DRIVER}
    return {key: one for key, one in found.items() if one}


def _service(found: dict, files: Mapping[str, Mapping[str, dict]]) -> dict:
    options = spec.options_of(found)
    for kind in files.keys() & options.keys():
        named = swarm_versions.names(files[kind])
        options[kind] = [
            {**one, "name": named.get(one["name"], one["name"])} for one in options[kind]
        ]
    return nested(options)


def nested(options: Mapping[str, object]) -> dict:
    """Return options by dotted names in sections, as users write them."""
    result: dict = {}
    for name, value in options.items():
        head, dot, rest = name.partition(".")
        if dot:
            result.setdefault(head, {})[rest] = value
        else:
            result[head] = value
    return result
