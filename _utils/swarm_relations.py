"""
Check settings against each other: faults that no single value shows. Pure.

Works on resolved settings (``swarm_topology.resolve``). ``swarm_relations_warnings`` warns about
combinations that are allowed but unwise.
"""

import swarm_firewall
import swarm_host_containers
import swarm_proxy
import swarm_relations_builtin
import swarm_relations_classic
import swarm_relations_engine
import swarm_relations_network
import swarm_secure
from swarm_fault import Fault

# In the order of the faults.
_RELATIONS = (
    swarm_relations_engine.daemon_options,
    swarm_proxy.faults,
    swarm_relations_classic.consul_options,
    swarm_relations_classic.timings,
    swarm_relations_classic.discovery,
    swarm_relations_classic.replication,
    swarm_secure.faults,
    swarm_relations_network.ports,
    swarm_relations_network.addresses,
    swarm_relations_engine.repository,
    swarm_relations_engine.listen,
    swarm_relations_network.subnets,
    swarm_relations_engine.logs,
    swarm_relations_network.advertised,
    swarm_relations_engine.registries,
    swarm_relations_classic.store,
    swarm_relations_network.overlay,
    swarm_relations_builtin.builtin,
    swarm_relations_classic.workloads,
    swarm_host_containers.clashes,
    swarm_firewall.faults,
)


def faults(settings: dict) -> list[Fault]:
    """Return all faults in combinations of settings."""
    return [fault for relation in _RELATIONS for fault in relation(settings)]
