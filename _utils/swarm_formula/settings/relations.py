"""
Check settings against each other: faults that no single value shows. Pure.

Works on resolved settings (``settings.topology.resolve``). ``settings.warnings`` warns about
combinations that are allowed but unwise.
"""

from collections.abc import Iterator

from swarm_formula.core.faults import Fault
from swarm_formula.core.settings_types import Draft
from swarm_formula.daemon import proxy
from swarm_formula.firewall import rules
from swarm_formula.settings import (
    classic_relations,
    engine_relations,
    mode_relations,
    network_relations,
    registry_relations,
    tls_relations,
)


def _host_containers(settings: Draft) -> Iterator[Fault]:
    if settings["containers"]:
        from swarm_formula.settings import host_containers

        yield from host_containers.clashes(settings)


def _of_mode(settings: Draft) -> Iterator[Fault]:
    yield from mode_relations.of(settings).faults(settings)


# In the order of the faults.
_RELATIONS = (
    engine_relations.daemon_options,
    proxy.faults,
    classic_relations.consul_options,
    classic_relations.timings,
    classic_relations.discovery,
    classic_relations.replication,
    tls_relations.faults,
    network_relations.ports,
    network_relations.addresses,
    engine_relations.repository,
    engine_relations.listen,
    network_relations.subnets,
    engine_relations.logs,
    network_relations.advertised,
    engine_relations.registries,
    registry_relations.faults,
    classic_relations.store,
    network_relations.overlay,
    _of_mode,
    _host_containers,
    rules.faults,
)


def faults(settings: Draft) -> list[Fault]:
    """Return all faults in combinations of settings."""
    return [fault for relation in _RELATIONS for fault in relation(settings)]
