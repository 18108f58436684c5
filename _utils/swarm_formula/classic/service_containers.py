"""
Specifications of the containers of a service in classic mode. Pure.

A container keeps the spec of its service in a label, in the form of swarm mode's API: it is
compared and changed through the same table of options. Values that may be secret are not in the
label, which Docker shows in its events: they are read from the container itself.
"""

import copy
import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from swarm_formula.classic.kept_options import OWN_NETWORKS
from swarm_formula.docker import compose_labels
from swarm_formula.spec import option_table, service_options
from swarm_formula.spec import placement as spec_placement

SERVICE, SPEC = "swarm-formula.service", "swarm-formula.spec"
# Where the managers keep what a container asks of its place.
AFFINITIES, CONSTRAINTS = "com.docker.swarm.affinities", "com.docker.swarm.constraints"
_RESCHEDULE = "com.docker.swarm.reschedule-policies"
_PLACEMENT = ("TaskTemplate", "Placement")
OPTIONS = {
    **service_options.OPTIONS,
    "affinities": service_options.OPTIONS["affinities"]._replace(path=(*_PLACEMENT, "Affinities")),
    "reschedule": service_options.OPTIONS["reschedule"]._replace(path=(*_PLACEMENT, "Reschedule")),
}
# Options of the service as a whole: they are no part of its containers.
_OF_SERVICE = {"replicas", "mode", "resolve", "endpoint_mode", "labels"}
_SECTIONS_OF_SERVICE = {"update_config", "rollback_config"}
# Where a container has what the spec of a service has in another place, in the same form.
_CONFIG = {
    "Image": "Image",
    "Command": "Entrypoint",
    "Args": "Cmd",
    "Env": "Env",
    "Hostname": "Hostname",
    "User": "User",
    "Dir": "WorkingDir",
    "StopSignal": "StopSignal",
    "TTY": "Tty",
    "OpenStdin": "OpenStdin",
    "Healthcheck": "Healthcheck",
}
_HOST = {
    "Groups": "GroupAdd",
    "ReadOnly": "ReadonlyRootfs",
    "Mounts": "Mounts",
    "Init": "Init",
    "CapabilityAdd": "CapAdd",
    "CapabilityDrop": "CapDrop",
    "Sysctls": "Sysctls",
    "Ulimits": "Ulimits",
    "OomScoreAdj": "OomScoreAdj",
}
_DNS = {"Nameservers": "Dns", "Search": "DnsSearch", "Options": "DnsOptions"}
_LIMITS = {"NanoCPUs": "NanoCpus", "MemoryBytes": "Memory", "Pids": "PidsLimit"}
_POLICIES = {"any": "unless-stopped", "on-failure": "on-failure", "none": "no"}
_CONDITIONS = {"no": "none", "": "none", "on-failure": "on-failure"}


class Body(NamedTuple):
    """What creates a container: the request, and the networks that it joins afterwards."""

    create: dict[str, Any]
    more: list[dict[str, Any]]  # networks as in the spec of a service, without the first one


def compared(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the wanted options that containers have."""
    return {
        name: value
        for name, value in wanted.items()
        if name not in _OF_SERVICE and name.partition(".")[0] not in _SECTIONS_OF_SERVICE
    }


def bare(container: dict[str, Any]) -> dict[str, Any]:
    """Return the least spec of a container whose own cannot be read."""
    return {"TaskTemplate": {"ContainerSpec": {"Image": container["Config"]["Image"]}}}


def merged(spec: dict[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec of containers with the wanted options; all else stays."""
    base = spec or {"TaskTemplate": {"ContainerSpec": {}}}
    given = compared(wanted)
    return option_table.merged(base, given, given, OPTIONS)


def diff(spec: dict[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the differences between the spec of a container and the wanted options."""
    return option_table.diff(spec, compared(wanted), OPTIONS)


def created(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes of a service that does not exist yet."""
    changes = {name: {"old": None, "new": one} for name, one in compared(wanted).items()}
    return {key: one for key, one in changes.items() if OPTIONS[key].path}


def shown(changes: dict[str, Any]) -> dict[str, Any]:
    """Return changes with a short hash in place of each value that looks secret."""
    return option_table.shown(changes, OPTIONS)


# ---- from the spec of a service to a container


def body(name: str, spec: dict[str, Any]) -> Body:
    """Return what creates a container of the service ``name``."""
    task = spec["TaskTemplate"]
    container = task["ContainerSpec"]
    config = {new: container[old] for old, new in _CONFIG.items() if old in container}
    if "StopGracePeriod" in container:
        config["StopTimeout"] = math.ceil(container["StopGracePeriod"] / 1e9)
    config["Labels"] = _labels(name, spec)
    host = _host(task, container)
    ports = (spec.get("EndpointSpec") or {}).get("Ports") or []
    config["ExposedPorts"] = {_inside(one): {} for one in ports}
    host["PortBindings"] = _bindings(ports)
    first, *more = task.get("Networks") or [None]
    if first:
        host["NetworkMode"] = first["Target"]
        if first["Target"] not in OWN_NETWORKS:
            ends = {first["Target"]: {"Aliases": aliases(name, first)}}
            config["NetworkingConfig"] = {"EndpointsConfig": ends}
    return Body({**config, "HostConfig": host}, more)


def numbered(create: dict[str, Any], container: str) -> dict[str, Any]:
    """Return the request of a container of a stack with its number, which docker-compose needs."""
    labels = create["Labels"]
    if compose_labels.PROJECT not in labels:
        return create
    number = container.rpartition(".")[2]
    return {**create, "Labels": {**labels, compose_labels.NUMBER: number}}


def aliases(name: str, network: dict[str, Any]) -> list[str]:
    """Return the names of a service's containers in a network: its own name, and the aliases."""
    return list(dict.fromkeys([name, *(network.get("Aliases") or [])]))


def _host(task: dict[str, Any], container: dict[str, Any]) -> dict[str, Any]:
    host = {new: container[old] for old, new in _HOST.items() if old in container}
    dns = container.get("DNSConfig") or {}
    host |= {new: dns[old] for old, new in _DNS.items() if old in dns}
    limits = (task.get("Resources") or {}).get("Limits") or {}
    host |= {new: limits[old] for old, new in _LIMITS.items() if limits.get(old)}
    if hosts := container.get("Hosts"):
        host["ExtraHosts"] = [":".join(reversed(one.split(" ", 1))) for one in hosts]
    if log := task.get("LogDriver"):
        host["LogConfig"] = {"Type": log.get("Name", ""), "Config": log.get("Options") or {}}
    policy = task.get("RestartPolicy") or {}
    host["RestartPolicy"] = {
        "Name": _POLICIES[policy.get("Condition") or "any"],
        "MaximumRetryCount": policy.get("MaxAttempts") or 0,
    }
    return host


def _inside(port: dict[str, Any]) -> str:
    return f"{port['TargetPort']}/{port['Protocol']}"


def _bindings(ports: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for one in ports:
        outside = str(one.get("PublishedPort") or "")
        found.setdefault(_inside(one), []).append({"HostIp": "", "HostPort": outside})
    return found


def _labels(name: str, spec: dict[str, Any]) -> dict[str, str]:
    placement = spec["TaskTemplate"].get("Placement") or {}
    constraints = [spec_placement.constraint(one) for one in placement.get("Constraints") or []]
    asked = {
        CONSTRAINTS: constraints,
        AFFINITIES: placement.get("Affinities"),
        _RESCHEDULE: [placement["Reschedule"]] if placement.get("Reschedule") else [],
    }
    # As the managers keep what stands in the environment of `docker run`.
    asked = {key: json.dumps(one) for key, one in asked.items() if one}
    own = {SERVICE: name, SPEC: json.dumps(_without_values(spec), sort_keys=True)}
    return {**(spec["TaskTemplate"]["ContainerSpec"].get("Labels") or {}), **asked, **own}


# ---- from a container to the spec of a service


def _without_values(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a spec without values that the container itself has: with `true`, or their names."""
    result = copy.deepcopy(spec)
    container, log = (
        result["TaskTemplate"]["ContainerSpec"],
        result["TaskTemplate"].get("LogDriver"),
    )
    for key in ("Command", "Args"):
        if container.get(key):
            container[key] = True
    if container.get("Env"):
        container["Env"] = [one.partition("=")[0] for one in container["Env"]]
    if container.get("Labels"):
        container["Labels"] = dict.fromkeys(container["Labels"], "")
    if (container.get("Healthcheck") or {}).get("Test"):
        container["Healthcheck"]["Test"] = True
    if log and log.get("Options"):
        log["Options"] = dict.fromkeys(log["Options"], "")
    return result


def spec_of(container: dict[str, Any]) -> dict[str, Any]:
    """Return the spec that a container was created with, as it is now; empty if it has none."""
    config, host = container.get("Config") or {}, container.get("HostConfig") or {}
    try:
        spec: dict[str, Any] = json.loads((config.get("Labels") or {})[SPEC])
        task = spec["TaskTemplate"]
        _fill(task["ContainerSpec"], config)
        _fill_log(task, host)
        _fill_limits(task, host)
        _fill_policy(task, host)
        _fill_networks(task, container)
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
    return spec


def _fill(spec: dict[str, Any], config: dict[str, Any]) -> None:
    for key in ("Command", "Args"):
        if spec.get(key) is True:
            spec[key] = config.get(_CONFIG[key]) or []
    there = dict(one.partition("=")[::2] for one in config.get("Env") or [])
    if "Env" in spec:
        spec["Env"] = [f"{name}={there[name]}" for name in spec["Env"] if name in there]
    if "Labels" in spec:
        labels = config.get("Labels") or {}
        spec["Labels"] = {name: labels[name] for name in spec["Labels"] if name in labels}
    if (spec.get("Healthcheck") or {}).get("Test") is True:
        spec["Healthcheck"]["Test"] = (config.get("Healthcheck") or {}).get("Test") or []


def _fill_log(task: dict[str, Any], host: dict[str, Any]) -> None:
    if options := (task.get("LogDriver") or {}).get("Options"):
        there = (host.get("LogConfig") or {}).get("Config") or {}
        task["LogDriver"]["Options"] = {key: there[key] for key in options if key in there}


def _fill_limits(task: dict[str, Any], host: dict[str, Any]) -> None:
    """Read what `docker update` may have changed."""
    found = {old: host[new] for old, new in _LIMITS.items() if (host.get(new) or 0) > 0}
    if found or task.get("Resources"):
        task["Resources"] = {**(task.get("Resources") or {}), "Limits": found}


def _fill_policy(task: dict[str, Any], host: dict[str, Any]) -> None:
    found = host.get("RestartPolicy") or {}
    condition = _CONDITIONS.get(found.get("Name") or "", "any")
    tries = found.get("MaximumRetryCount") or 0
    task["RestartPolicy"] = {"Condition": condition, **({"MaxAttempts": tries} if tries else {})}


def _fill_networks(task: dict[str, Any], container: dict[str, Any]) -> None:
    """Leave out networks from which the container was disconnected."""
    there = (container.get("NetworkSettings") or {}).get("Networks") or {}
    if networks := task.get("Networks"):
        kept = [one for one in networks if one["Target"] in there or one["Target"] in OWN_NETWORKS]
        task["Networks"] = kept
