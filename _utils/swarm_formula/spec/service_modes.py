"""
Check which options a service may have together: in its mode, and in that of the swarm. Pure.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from swarm_formula.core.faults import Fault
from swarm_formula.spec import option_table, service_options, service_values

# Options, or whole sections, that only services of some modes have.
_NO_JOB = {"replicated", "global"}
_MODES = {
    "replicas": {"replicated"},
    "max_replicas_per_node": {"replicated", "replicated-job"},
    "completions": {"replicated-job"},
    "max_concurrent": {"replicated-job"},
    "rerun": set(service_values.JOBS),
    "update_config": _NO_JOB,
    "rollback_config": _NO_JOB,
}
# Options that only classic mode has: they are no part of a service in swarm mode.
CLASSIC = {"affinities", "reschedule"}


def fits(name: str, mode: str) -> bool:
    """Check whether services of a mode have an option."""
    return name not in CLASSIC and mode in _MODES.get(name.partition(".")[0], {mode})


def misfits(mode: str, given: Mapping[str, Any], path: str) -> Iterator[Fault]:
    """Find options that services of a mode do not have."""
    yield from of_classic(given, path)
    yield from _misfits(mode, given, path)


def of_classic(given: Mapping[str, Any], path: str) -> Iterator[Fault]:
    """Find options that only classic mode has."""
    for name in sorted(CLASSIC & given.keys()):
        want = "no such key with mode: builtin; use constraints, preferences, max_replicas_per_node"
        yield Fault(f"{path}:{name}", given[name], want)


def _misfits(mode: str, given: Mapping[str, Any], path: str) -> Iterator[Fault]:
    for name, value in given.items():
        if name not in CLASSIC and not fits(name, mode):
            place = f"{path}:{name.replace('.', ':')}"
            yield Fault(place, value, f"no such key: a {mode} service has none")


def conflicts(given: Mapping[str, Any], path: str) -> Iterator[Fault]:
    """Find options that Docker refuses in this combination."""
    if mode := given.get("mode"):
        yield from _misfits(mode, given, path)
    ingress = [one for one in given.get("ports") or [] if one.get("mode") != "host"]
    if given.get("endpoint_mode") == "dnsrr" and ingress:
        want = "`mode: host` for each port: endpoint_mode dnsrr has no virtual address to publish"
        yield Fault(f"{path}:ports", ingress[0], want)


def parsed(spec: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return the given options of a service in their canonical form; raise an error for faults."""
    given, faults = option_table.parse(spec, service_options.OPTIONS, what)
    option_table.refuse([*faults, *conflicts(given, what)])
    return given
