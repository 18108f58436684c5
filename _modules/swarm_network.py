"""
Inspect and manage networks through this machine's own Docker Engine.

The minion option ``swarm_docker_url`` names another socket than ``unix:///var/run/docker.sock``.
"""

import contextlib

import swarm_certs
import swarm_docker
import swarm_errors
import swarm_kv
import swarm_lost
import swarm_networks
import swarm_overlay
import swarm_roles
import swarm_routes
import swarm_store

__virtualname__ = "swarm_network"


def __virtual__():
    return __virtualname__


def get(name):
    """
    Return a network's settings and users, or ``None`` if there is no such network.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_network.get backend

    name
        Name of the network.
    """
    with _client(name) as client:
        network = next(iter(swarm_networks.find(client, name)), None)
        if network is None:
            return None
        found = {"id": network["Id"], "users": swarm_networks.users(client, network)}
    return {"name": name, **swarm_networks.current(network), **found}


def apply(name, spec, test=False):
    """
    Ensure there is exactly one network of this name with the given settings; return what changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_network.apply backend '{driver: overlay, subnet: 10.9.0.0/24}' test=True

    name
        Name of the network.

    spec
        Settings as ``swarm_network.present`` takes them.

    test
        Change nothing. An engine that is not there (yet) counts as having no network.
    """
    wanted = swarm_networks.wanted(name, spec)
    with swarm_docker.unless_absent(test), _client(name) as client:
        return swarm_networks.apply(client, name, wanted, test, _judge(client))
    return swarm_networks.differences(wanted, None)


def remove(name, test=False):
    """
    Remove a network, and return what was (or would be) changed; refused while a container uses it.

    In classic mode, endpoints of an overlay network that a lost host has left behind go with it: if
    the engine of their host answers and has no such container, or Consul has seen that host leave
    (``salt-run swarm.remove``) and pillar names it neither as a manager nor as a server.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_network.remove backend

    name
        Name of the network.

    test
        Change nothing. An engine that is not there counts as having no network.
    """
    with swarm_docker.unless_absent(test), _client(name) as client:
        return swarm_networks.remove(client, name, test, _judge(client))
    return {}


def apply_all(test=False):
    """
    Ensure the networks of ``swarm:networks`` are there with their settings; return what changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_network.apply_all test=True
    """
    settings = __salt__["swarm_settings.get"]()
    networks = settings["networks"]
    if settings["mode"] == "builtin" and not __salt__["swarm_leader.leads"]():
        # Overlay networks are the cluster's, and its leader makes them.
        networks = _of_host(networks)
    # First all of them in test mode: if one is refused, none is changed.
    changes = {name: apply(name, spec, test=True) for name, spec in networks.items()}
    if not test:
        changes = {name: apply(name, spec) for name, spec in networks.items() if changes[name]}
    return {name: change for name, change in changes.items() if change}


def remove_all(test=False):
    """
    Ensure the networks of ``swarm:networks`` are gone; refused while a container uses one.

    An overlay network is everybody's: as long as others are in the swarm, it stays. It is nowhere
    but in the store: without a store that answers it is gone.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_network.remove_all test=True
    """
    if not __salt__["swarm_engine.exists"]():
        return {}
    settings = __salt__["swarm_settings.get"]()
    networks = settings["networks"]
    if settings["mode"] == "builtin":
        # A node that leaves takes no network of the cluster away from the others.
        networks = _of_host(networks)
    stays = not test and settings["mode"] == "classic" and _has_others(settings)
    changes = {name: _remove(name, spec, test, stays) for name, spec in networks.items()}
    return {name: change for name, change in changes.items() if change}


def _has_others(settings):
    """Say whether other nodes are in the swarm: this one is out of the store by now."""
    try:
        return bool(set(__salt__["swarm_consul.nodes"]()) - {swarm_roles.engine_endpoint(settings)})
    except swarm_errors.SwarmError:
        return False


def _of_host(networks):
    return {name: spec for name, spec in networks.items() if spec["driver"] != "overlay"}


def _remove(name, spec, test, stays):
    """
    Remove a network.

    stays
        An overlay network is the others' as well: it is only looked whether a container here uses
        it.
    """
    overlay = spec["driver"] == "overlay"
    try:
        found = remove(name, test or (overlay and stays))
    except swarm_errors.SwarmError:
        if not overlay or get_users(name):
            raise
        # What others use is theirs; a dry run cannot tell who will be the last. Or the other nodes
        # are taking the store away at this moment.
        if not (test or stays) and __salt__["swarm_consul.has_leader"]():
            raise
        return {}
    return {} if overlay and stays else found


def get_users(name):
    """
    Return the names of this engine's containers that use a network.

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
    url = __salt__["config.get"]("swarm_docker_url")
    return swarm_docker.connect(url, what=f"network {name}")


def _judge(client):
    """Return what says which users of a network exist nowhere; ``None`` without a store."""
    store = swarm_store.Store(swarm_overlay.config())
    if not store:
        return None

    def judge(network):
        if network["Driver"] != "overlay":
            return swarm_lost.Verdict(set(), [])
        try:
            found, _ = store.read(f"{swarm_store.ENDPOINTS}/{network['Id']}")
        except swarm_store.StoreError as err:
            return swarm_lost.Verdict(set(), [str(err)])
        ends = swarm_routes.endpoints(found).get(network["Id"], {})
        return swarm_lost.judge(ends, _names_on(client, store.own), _members(store.own))

    return judge


def _names_on(client, own):
    settings = __salt__["swarm_settings.get"]()
    local = swarm_lost.container_names(client.containers(all=True))
    files = swarm_certs.NODE.current()
    secure = {"cert": files.cert, "key": files.key, "ca": files.ca}
    tls = secure if settings["tls"]["used"] else None
    return swarm_lost.asker(settings["engine"]["port"], own, local, tls)


def _members(own):
    settings = __salt__["swarm_settings.get"]()
    if not settings["own_store"]:
        return None
    with contextlib.suppress(swarm_errors.StoreError):
        client = swarm_kv.connect(settings, swarm_certs.NODE.current())
        servers = {**settings["managers"], **settings["servers"]}
        return swarm_lost.members(swarm_kv.members(client), own, servers)
    return None
