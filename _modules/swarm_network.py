"""
Inspect and manage networks through the local Docker Engine.

The minion option ``swarm_docker_url`` overrides the socket ``unix:///var/run/docker.sock``.
"""

import contextlib

from swarm_formula.core import errors, modes
from swarm_formula.docker import engine_api
from swarm_formula.salt import dry_run
from swarm_formula.standalone import containers
from swarm_formula.tls import cert_files, certificate_due

__virtualname__ = "swarm_network"


def __virtual__():
    return __virtualname__


def get(name):
    """
    Return the settings and users of a network, or ``None`` if it does not exist.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_network.get backend

    name
        Name of the network.
    """
    from swarm_formula.docker import network_spec
    from swarm_formula.docker import networks as docker_networks

    with _client(name) as client:
        network = next(iter(docker_networks.find(client, name)), None)
        if network is None:
            return None
        found = {"id": network["Id"], "users": docker_networks.users(client, network)}
    return {"name": name, **network_spec.current(network), **found}


def apply(name, spec, test=False):
    """
    Ensure exactly one network with this name and these settings exists; return what changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_network.apply backend '{driver: overlay, subnet: 10.9.0.0/24}' test=True

    name
        Name of the network.

    spec
        Settings, as in the state ``swarm_network.present``.

    test
        Change nothing. A missing engine counts as an engine without the network.
    """
    from swarm_formula.docker import network_spec

    changes = _apply(name, network_spec.wanted(name, spec), test)
    if test:
        dry_run.note(__context__, "networks", {name: changes})
    return changes


def _apply(name, wanted, test):
    from swarm_formula.docker import network_spec
    from swarm_formula.docker import networks as docker_networks

    with engine_api.unless_absent(test), _client(name) as client:
        return docker_networks.apply(client, name, wanted, test, _judge(client))
    return network_spec.differences(wanted, None)


def remove(name, test=False):
    """
    Remove a network; return what changed or would change. Refused while a container uses it.

    In classic mode, stale endpoints that a lost host left in an overlay network are removed as
    well: if the engine of their host answers and has no such container, or if the host has left
    Consul (``salt-run swarm.remove``) and the pillar lists it neither as a manager nor as a server.
    Engines answer only managers: on a worker, endpoints on other hosts that are in Consul stay.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_network.remove backend

    name
        Name of the network.

    test
        Change nothing. A missing engine counts as one without the network.
    """
    from swarm_formula.docker import networks as docker_networks

    gone = dry_run.noted(__context__, test).gone
    with engine_api.unless_absent(test), _client(name) as client:
        return docker_networks.remove(client, name, test, _judge(client), gone)
    return {}


def apply_all(test=False):
    """
    Ensure the networks in ``swarm:networks`` exist with their settings; return what changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_network.apply_all test=True
    """
    settings = __salt__["swarm_settings.get"]()
    networks = settings["networks"]
    if modes.of(settings).cluster_overlay and not __salt__["swarm_leader.leads"]():
        # Overlay networks belong to the cluster, and its leader creates them.
        networks = _of_host(networks)
    return engine_api.all_or_none(networks, apply, test)


def remove_all(test=False):
    """
    Remove the networks in ``swarm:networks``; refused while a container uses one of them.

    Overlay networks are shared by all nodes and stay as long as other nodes are in the swarm. They
    exist only in the store: if the store does not answer, they count as removed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_network.remove_all test=True
    """
    if not __salt__["swarm_engine.exists"]():
        return {}
    settings = __salt__["swarm_settings.get"]()
    networks, of_cluster = settings["networks"], modes.of(settings).cluster_overlay
    if of_cluster:
        # A node that leaves does not remove networks of the cluster.
        networks = _of_host(networks)
    stays = not test and not of_cluster and _has_others(settings)
    changes = {name: _remove(name, spec, test, stays) for name, spec in networks.items()}
    return {name: change for name, change in changes.items() if change}


def _has_others(settings):
    """Check whether other nodes are in the swarm; this node has already left the store."""
    try:
        return bool(set(__salt__["swarm_consul.nodes"]()) - {containers.engine_endpoint(settings)})
    except errors.SwarmError:
        return False


def _of_host(networks):
    return {name: spec for name, spec in networks.items() if spec["driver"] != "overlay"}


def _remove(name, spec, test, stays):
    """
    Remove a network.

    stays
        Other nodes still need overlay networks: only check whether a local container uses this
        network.
    """
    overlay = spec["driver"] == "overlay"
    try:
        found = remove(name, test or (overlay and stays))
    except errors.SwarmError:
        if not overlay or get_users(name):
            raise
        # Other nodes may use the network, and a dry run cannot tell which node will be the last.
        # Or the other nodes are removing the store at the same time.
        if not (test or stays) and __salt__["swarm_consul.has_leader"]():
            raise
        return {}
    return {} if overlay and stays else found


def get_users(name):
    """
    Return the names of the local containers that use a network.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_network.get_users backend

    name
        Name of the network.
    """
    with _client(name) as client:
        found = client.containers(all=True, filters={"network": [name]})
    return sorted(one["Names"][0].lstrip("/") for one in found)


def _client(name):
    return engine_api.connect_local(__salt__, f"network {name}")


def _judge(client):
    """Return a function that finds stale users of a network; ``None`` without a store."""
    from swarm_formula.classic import relayed
    from swarm_formula.docker import stale_endpoints
    from swarm_formula.overlay import keeper, kv_store, routes

    store = kv_store.Store(keeper.config())
    if not store:
        return None

    def judge(network):
        if network["Driver"] != "overlay":
            return stale_endpoints.Verdict(set(), [])
        try:
            found, _ = store.read(f"{kv_store.ENDPOINTS}/{network['Id']}")
        except kv_store.StoreError as err:
            return stale_endpoints.Verdict(set(), [str(err)])
        ends = routes.endpoints(found).get(network["Id"], {})
        # Engines accept managers as clients, and no worker with a certificate of the same CA.
        asks = not relayed.is_due(__salt__["swarm_settings.get"]())
        names_on = _names_on(client, store.own, asks)
        return stale_endpoints.judge(ends, names_on, _members(store.own), asks)

    return judge


def _names_on(client, own, asks):
    from swarm_formula.docker import stale_endpoints

    settings = __salt__["swarm_settings.get"]()
    local = stale_endpoints.container_names(client.containers(all=True))
    if not asks:
        return {own: local}.get
    files = cert_files.NODE.current()
    secure = {"cert": files.cert, "key": files.key, "ca": files.ca}
    tls = secure if settings["tls"]["used"] else None
    return stale_endpoints.asker(settings["engine"]["port"], own, local, tls)


def _members(own):
    from swarm_formula.consul import agent_api
    from swarm_formula.docker import stale_endpoints

    settings = __salt__["swarm_settings.get"]()
    if not settings["managed_store"]:
        return None
    with contextlib.suppress(errors.StoreError):
        files = certificate_due.consul_files(settings, cert_files.NODE.current())
        client = agent_api.connect(settings, files)
        servers = {**settings["managers"], **settings["servers"]}
        return stale_endpoints.members(agent_api.members(client), own, servers)
    return None
