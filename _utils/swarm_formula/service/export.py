"""
Write the pillar of what a cluster has, from whatever hand it is. Pure.

Only what differs from Docker's defaults is in it. What the formula would refuse is left out.
"""

import base64
from collections.abc import Mapping
from typing import Any, NamedTuple

from swarm_formula.cluster import node_info, spec
from swarm_formula.core import checks
from swarm_formula.docker import networks as docker_networks
from swarm_formula.service import secrets_configs
from swarm_formula.service.secrets_configs import Objects
from swarm_formula.spec import service_spec

# Options that the driver adds itself.
_OF_DRIVER = "com.docker.network.driver.overlay.vxlanid_list"
_INGRESS = "Ingress"
_CONFIGS = "configs"


class Found(NamedTuple):
    """What a cluster has."""

    cluster: dict[str, Any]  # as ``/swarm`` has it
    nodes: list[dict[str, Any]]
    minions: Mapping[str, str]  # {node ID: minion ID}, for the nodes of which it is known
    services: Mapping[str, dict[str, Any]]  # by name
    networks: list[dict[str, Any]]
    files: Mapping[str, Objects]  # {"secrets": {name in Docker: secret}, "configs": ...}


def pillar(found: Found) -> dict[str, Any]:
    """
    Return the pillar ``swarm`` of a cluster.

    Versions of secrets and configs are named as in the pillar. Contents of secrets are never
    exported: Docker returns none.
    """
    names = {one["Id"]: one["Name"] for one in found.networks}
    result = {
        "mode": "builtin",
        **_nodes(found),
        "builtin": spec.exported(found.cluster),
        "networks": {one["Name"]: _network(one) for one in found.networks if _is_users(one)},
        _CONFIGS: _configs(found.files.get(_CONFIGS, {})),
        "services": {
            name: _service(service_spec.with_names(one["Spec"], names), found.files)
            for name, one in sorted(found.services.items())
        },
    }
    return {key: one for key, one in result.items() if one}


# ---- nodes


def _nodes(found: Found) -> dict[str, Any]:
    """Return the managers, and the labels and the availability of nodes."""
    named: dict[str, dict[str, Any]] = {}
    # A host that was set up again has a former node of its name, which is down.
    for node in sorted(found.nodes, key=lambda one: not node_info.is_away(one)):
        name = found.minions.get(node["ID"]) or node["Description"].get("Hostname") or ""
        if checks.host(name) is None:
            named[name] = node
    about = {name: _node(node) for name, node in sorted(named.items())}
    managers = [name for name in about if node_info.role(named[name]) == node_info.MANAGER]
    members = {name: one for name, one in about.items() if one or name not in managers}
    return {"managers": managers, "nodes": members}


def _node(node: dict[str, Any]) -> dict[str, Any]:
    labels = node["Spec"].get("Labels") or {}
    kept = {
        key: one
        for key, one in sorted(labels.items())
        if key != node_info.DRAINED and checks.node_labels({key: one}) is None
    }
    availability = node_info.drained_from(node) or node["Spec"]["Availability"]
    return {
        **({"labels": kept} if kept else {}),
        **({"availability": availability} if availability != "active" else {}),
    }


# ---- networks, configs, services


def _is_users(network: dict[str, Any]) -> bool:
    """Check whether a network is one of the cluster that a user has made."""
    return (
        network.get("Scope") == "swarm"
        and network.get("Driver") == "overlay"
        and not network.get(_INGRESS)
    )


def _network(network: dict[str, Any]) -> dict[str, Any]:
    found = docker_networks.current(network)
    found["options"] = {key: one for key, one in found["options"].items() if key != _OF_DRIVER}
    return {key: one for key, one in found.items() if one}


def _configs(found: Objects) -> dict[str, dict[str, Any]]:
    """Return the configs that the formula has made, with their contents if these are texts."""
    result = {}
    for name in sorted(secrets_configs.current(found)):
        row = secrets_configs.versions(found, name)
        content = _text(row[0]["Spec"].get("Data") or "")
        keep = {"keep": len(row)} if len(row) > secrets_configs.LEAST else {}
        if content:
            result[name] = {"content": content, **keep}
    return result


def _text(data: str) -> str:
    try:
        return base64.b64decode(data).decode()
    except ValueError:
        return ""


def _service(found: dict[str, Any], files: Mapping[str, Objects]) -> dict[str, Any]:
    options = service_spec.options_of(found)
    for kind in files.keys() & options.keys():
        current = secrets_configs.current(files[kind])
        # A service that still has a former version keeps it.
        named = {version: name for name, version in current.items()}
        used = [one["name"] for one in options[kind]]
        if not current.keys().isdisjoint(used):
            # One that others have made, under a name that means a version in the pillar: what the
            # pillar does not name stays.
            del options[kind]
            continue
        options[kind] = [
            {**one, "name": named.get(one["name"], one["name"])} for one in options[kind]
        ]
    return nested(options)


def nested(options: Mapping[str, object]) -> dict[str, Any]:
    """Return options by dotted names in sections, as users write them."""
    result: dict[str, Any] = {}
    for name, value in options.items():
        head, dot, rest = name.partition(".")
        if dot:
            result.setdefault(head, {})[rest] = value
        else:
            result[head] = value
    return result
