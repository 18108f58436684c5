"""
Name the engine versions with faults that matter to a swarm: one table, for warnings and refusals.

Pure. A row needs the issue or the release note that tells of the fault and of its end. Faults that
show in the state of a running engine are looked for instead, see ``engine.check.lost_threads``;
keys of ``daemon.json`` that a version lacks are in ``daemon.daemon_json``.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from swarm_formula.core import modes
from swarm_formula.core.settings_types import Settings
from swarm_formula.daemon import daemon_json
from swarm_formula.engine import preflight

_NEWER = "set swarm:engine:version to a newer one"


class Known(NamedTuple):
    """A fault of the versions from ``first`` up to, but without, ``fixed``."""

    first: str
    fixed: str
    concerns: Callable[[Settings], bool]
    text: str
    # Whether the formula does not install such a version. One that runs already is only warned of:
    # an apply has to be able to replace it.
    refused: bool = False
    cure: str = _NEWER


def _all(_: Settings) -> bool:
    return True


def _cluster(settings: Settings) -> bool:
    return modes.of(settings).cluster_overlay


def _by_ipv6(settings: Settings) -> bool:
    return _cluster(settings) and ":" in (settings["data_path"] or settings["address"])


def _encrypted(settings: Settings) -> bool:
    # Distributions mend their packages without another version.
    return preflight.encrypted(settings) and settings["engine"]["package"] != "docker.io"


_CLEAR = "encrypted overlay networks may send and take packets in clear text (CVE-2023-28840)"

TABLE = (
    Known(
        "0",
        "25.0",
        _by_ipv6,
        "services do not reach those on other hosts: before Docker 25.0, overlay networks are"
        " connected by IPv4 only (moby#41691)",
        cure="use a newer engine on all nodes; or, if the hosts have IPv4 addresses as well, set"
        " swarm:builtin:data_path_address, and let the nodes leave and join again one after the"
        " other",
    ),
    Known("0", "20.10.24", _encrypted, _CLEAR),
    Known("23.0", "23.0.3", _encrypted, _CLEAR),
    Known(
        "28.0.0",
        "28.0.1",
        _cluster,
        "ports of services may be unreachable, for rules of iptables in a wrong order (moby#49538)",
    ),
    Known("28.2", "28.3", _cluster, "services do not always find one another by name (moby#50129)"),
    Known(
        "29.0",
        "29.1.3",
        _cluster,
        "on a node of a cluster, containers in networks that are not the cluster's do not find one"
        " another by name (moby#51491)",
    ),
    # Reported up to 29.6.2; the repair, moby#53142, is younger.
    Known(
        "29.0",
        "29.7",
        _cluster,
        "after a node was away for a moment, the names of its services may stay unknown to others"
        " (moby#53141)",
        cure=f"{_NEWER}; 'docker service update --force NAME' brings a name back",
    ),
    Known(
        "29.1.0",
        "29.1.1",
        _all,
        "containers in networks of their own resolve no names of the outside (moby#51614)",
        refused=True,
    ),
)


def _found(settings: Settings, engine_version: str) -> Iterator[Known]:
    have = daemon_json.version(engine_version)
    for one in TABLE if have else ():
        first, fixed = daemon_json.version(one.first), daemon_json.version(one.fixed)
        if first <= have < fixed and one.concerns(settings):
            yield one


def warnings(settings: Settings, engine_version: str) -> list[str]:
    """Return the faults of the engine that runs, or that a run will bring, each with its cure."""
    return [
        f"Docker {engine_version} on {settings['id']}: {one.text}. Cure: {one.cure}"
        for one in _found(settings, engine_version)
    ]


def refusals(settings: Settings, engine_version: str) -> list[str]:
    """Return why the formula does not install an engine of this version."""
    return [
        f"Docker {engine_version} has a known fault: {one.text}. To install another one, {one.cure}"
        for one in _found(settings, engine_version)
        if one.refused
    ]
