"""
Tell which options of a service classic mode can keep; refuse all others by name. Pure.

A service of classic mode is only its containers: the managers of standalone Swarm place each of
them once, and know no service, no routing mesh and no rollout.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from swarm_formula.core import faults as core_faults
from swarm_formula.core.faults import Fault
from swarm_formula.spec import option_table, placement, service_modes, service_options

_BUILTIN = "or mode: builtin"
_JOB = f"a container that is run by your own means, {_BUILTIN}: classic mode has no jobs"
_FILE = f"mounts of a file that each node has, {_BUILTIN}"
_PACE = "containers are replaced one by one, and the rollout stops at the first that fails"
# Options, or whole sections, that classic mode does not have, and what to use. Only a value that
# says what classic mode does anyway is accepted: Docker's default, or that of `_AS_IT_IS`.
REFUSED = {
    "resolve": "never: nodes pull the name as it is; or put the digest into `image`",
    "prepull": "no such key: the old container runs on while the new image is pulled",
    "image_source": "the state swarm_image.present on the nodes, with `source`",
    "labels": "container_labels: there is no service that could have labels",
    "completions": _JOB,
    "max_concurrent": _JOB,
    "rerun": _JOB,
    "endpoint_mode": "dnsrr: an alias in a network has the addresses of all containers",
    "secrets": _FILE,
    "configs": _FILE,
    "preferences": f"affinities, the strategy of swarm:manager:options, {_BUILTIN}",
    "max_replicas_per_node": f"affinities such as [swarm-formula.service!=NAME], {_BUILTIN}",
    "reservations": "limits.memory: the managers also reserve it on the node",
    "update_config.parallelism": f"1: {_PACE}",
    "update_config.failure_action": f"pause: {_PACE}",
    "update_config.max_failure_ratio": f"0: {_PACE}",
    "update_config.order": f"stop-first: {_PACE}",
    "rollback_config": "no such key: a container that fails is replaced with the former one",
    "restart_policy.delay": "no such key: the engine has its own delays",
    "restart_policy.window": "no such key: the engine counts all restarts",
}
_AS_IT_IS = {"resolve": "never", "endpoint_mode": "dnsrr"}
# Docker's networks, which have no aliases.
OWN_NETWORKS = {"host", "bridge", "none"}
_TEMPLATE = re.compile(r"\{\{\s*\.(Service|Node|Task)\b")


def faults(given: Mapping[str, Any], path: str) -> Iterator[Fault]:
    """
    Find what classic mode cannot keep.

    given
        The options of a service in their canonical form.

    path
        Where they stand in the pillar.
    """
    for name, value in given.items():
        why = _fault(name, value)
        if why:
            found = [Fault(f"{path}:{name.replace('.', ':')}", *why)]
            yield from core_faults.hidden(found) if service_options.OPTIONS[name].hidden else found
    tries = given.get("restart_policy.max_attempts")
    if tries and given.get("restart_policy.condition") != "on-failure":
        want = "no such key but with condition: on-failure, the only one for which engines count"
        yield Fault(f"{path}:restart_policy:max_attempts", tries, want)


def _fault(name: str, value: Any) -> tuple[Any, str] | None:
    want = REFUSED.get(name) or REFUSED.get(name.partition(".")[0])
    asked = value != _AS_IT_IS.get(name, service_options.OPTIONS[name].default)
    if want and asked:
        return value, f"{want} (mode: classic)"
    return _CHECKS[name](value) if value and name in _CHECKS else None


# Each returns what was found and what would be right, `None` for a value that can be kept.
_Check = Callable[[Any], tuple[Any, str] | None]


def _mode(value: str) -> tuple[Any, str] | None:
    if value == "replicated":
        return None
    return value, f"replicated, the only one with mode: classic; {_BUILTIN.removeprefix('or ')}"


def _ports(value: list[dict[str, Any]]) -> tuple[Any, str] | None:
    for port in value:
        if port.get("mode") != "host":
            shown = {**port, "mode": "host"}
            return port, f"{shown}: classic mode has no routing mesh, a port is that of one node"
    return None


def _constraints(value: list[str]) -> tuple[Any, str] | None:
    for one in value:
        try:
            placement.constraint(one)
        except ValueError as err:
            return one, str(err)
    return None


def _networks(value: dict[str, dict[str, Any]]) -> tuple[Any, str] | None:
    for name, more in value.items():
        if more.get("driver_opts"):
            return name, "a network without driver_opts, which the managers do not pass on"
        if name in OWN_NETWORKS and (more.get("aliases") or len(value) > 1):
            return name, f"{name} alone and without aliases, or networks of your own"
    return None


def _no_template(value: Any) -> tuple[Any, str] | None:
    if _TEMPLATE.search(str(value)):
        return value, f"a value without a template, which only swarm mode fills in; {_BUILTIN}"
    return None


_CHECKS: dict[str, _Check] = {
    "mode": _mode,
    "ports": _ports,
    "constraints": _constraints,
    "networks": _networks,
    "hostname": _no_template,
    "env": _no_template,
    "mounts": _no_template,
}


def parsed(given: dict[str, Any], what: str) -> dict[str, Any]:
    """Return the options of a service in their canonical form; raise an error for faults."""
    known = service_modes.parsed(given, what)
    option_table.refuse(list(faults(known, what)))
    return known
