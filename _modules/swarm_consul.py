"""
Consul, the store of classic Swarm, in a container on every node.
"""

import contextlib
from pathlib import Path

import swarm_acl
import swarm_address
import swarm_authority
import swarm_certs
import swarm_consul_change
import swarm_consul_file
import swarm_errors
import swarm_files
import swarm_kv
import swarm_mine
import swarm_names
import swarm_roles
import swarm_secrets
import swarm_turn
import swarm_wait

__virtualname__ = "swarm_consul"

_DENIED = {"all else in Consul": {"old": "allowed", "new": "denied"}}


def __virtual__():
    return __virtualname__


def _client(settings, token=None):
    return swarm_consul_file.connect(settings, token)


def _manager(settings):
    """Return a client with all rights that this host has: with ACLs, a server has the token."""
    return _client(settings, swarm_acl.management())


def _change(settings):
    return swarm_consul_change.Change(settings, __salt__)


def status():
    """
    Return the leader's address (empty: none), the names of the servers that are alive, and of those
    that Raft counts: a majority of them is the quorum.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_consul.status
    """
    found = _change(__salt__["swarm_settings.get"]()).look()
    return {
        "leader": found.leader,
        "servers": sorted(found.alive),
        "voters": sorted(found.voters),
    }


def has_leader():
    """
    Return whether this node's Consul answers and has a leader.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_consul.has_leader
    """
    try:
        # Not more than that: it is told to everybody, whatever is amiss with ACLs.
        return bool(swarm_kv.leader(_client(__salt__["swarm_settings.get"]())))
    except swarm_errors.SwarmError:
        return False


def peers():
    """
    Return Consul's servers as Raft has them: ``{name: "voter"}``, or ``"joining"`` for a new one.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_consul.peers
    """
    found = _change(__salt__["swarm_settings.get"]()).look()
    return {one.name: "voter" if one.voter else "joining" for one in found.peers}


def apply(test=False):
    """
    Ensure this node's Consul container is what pillar says; return what changed.

    Servers and clients run on all nodes; with a store of your own, none does. The container and the
    configuration of before are kept until Consul works with the new ones, and come back if it does
    not.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_consul.apply test=True
    """
    settings = __salt__["swarm_settings.get"]()
    if not settings["own_store"]:
        return _give_up(settings, test)
    renamed = swarm_names.rename(settings, __salt__, "consul", test)
    if renamed and test:
        return renamed
    change = _change(settings)
    change.begin()
    spec, text = _wanted(settings, _acl(settings, test), change, test)
    changes = change.planned(spec, text)
    if test:
        change.foretell()
    elif changes:
        change.make(spec, text)
    return {**renamed, **changes}


def _give_up(settings, test):
    """Remove Consul, for the store is somebody's own; not before that answers."""
    changes = _refuse_silent(settings)
    return (
        changes if test or not changes else swarm_names.remove(settings, __salt__, "consul", test)
    )


def _refuse_silent(settings):
    """Return what goes with Consul; an error if the store that follows it does not answer."""
    changes = swarm_names.remove(settings, __salt__, "consul", test=True)
    if changes and (why := swarm_address.silent(settings["store"])):
        raise swarm_errors.SwarmError(
            f"swarm:store: {why} from {settings['id']}; Consul stays, and nothing was changed there"
        )
    return changes


def check_fixed():
    """
    Raise an error if pillar wants what Consul of this host cannot become while it runs.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_consul.check_fixed
    """
    settings = __salt__["swarm_settings.get"]()
    if settings["own_store"]:
        _change(settings).check_fixed()
    elif settings["mode"] == "classic":
        _refuse_silent(settings)


def deny(test=False):
    """
    Ensure Consul denies on this server what nobody has granted; return what changed.

    For ``swarm_rights.apply``, which grants the swarm its rights before. Where ACLs are switched on
    in a running swarm, a server begins with allowing everything.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_consul.deny test=True
    """
    settings = __salt__["swarm_settings.get"]()
    acl = swarm_acl.noted()
    opens = settings["is_server"] and swarm_acl.beginning() != swarm_acl.DENY and (acl or test)
    if not (settings["consul"]["acl"] and opens):
        return {}
    if not test:
        change = _change(settings)
        change.begin()
        spec, text = _wanted(settings, {**acl, "default_policy": swarm_acl.DENY}, change)
        # It knows none of the rights granted at first; if it led now, nobody would have any.
        change.restart(spec, text, lambda: swarm_acl.laggards(_client(settings), settings))
    return _DENIED


def _wanted(settings, acl, change, test=False):
    certs = swarm_certs.NODE.read() if settings["tls"]["used"] else None
    folder, files = str(swarm_files.CONFIG), swarm_certs.NODE.due(test)
    wanted = {**settings, "begins": change.begins}
    spec, text = swarm_roles.consul_container(wanted, folder, certs, files, acl)
    return change.labelled(spec, text), text


def _acl(settings, test):
    """Return what this node's configuration is to say of ACLs, ``None`` for nothing."""
    if not settings["consul"]["acl"]:
        return None
    if not settings["is_server"]:
        return swarm_acl.config(None)
    return swarm_acl.config(_token(settings, test), swarm_acl.beginning())


def _token(settings, test):
    """Return the management token: pillar's own, or the one that the CA has told the servers."""
    if place := settings["consul"]["acl_token"]:
        return swarm_secrets.load(__salt__, place, path="swarm:consul:acl_token")
    found, ca = {}, settings["tls"]["ca"]

    def probe():
        if settings["is_ca"]:
            found["token"] = swarm_authority.load().get("acl")
        else:
            mine = swarm_mine.Mine(__salt__, __opts__, __context__)
            found.update(mine.get([ca], swarm_authority.ACL).get(ca) or {})
        return (
            None
            if found.get("token")
            else f"{ca}, the CA (swarm:tls:ca), has not told {settings['id']} the management token"
            f" of Consul: apply swarm there, with a pillar that has {settings['id']} among the"
            " servers (swarm:consul:servers)"
        )

    if test:
        probe()
        return found.get("token") or "the one to be made"
    swarm_wait.until(probe, settings["timeout"])
    return found["token"]


def wait(timeout=None):
    """
    Wait until Consul has a leader, and a server is one by Raft; the error says what is missing.

    Then no other host waits for a run of this one that was killed while it restarted something.
    A store of your own is not waited for: that is what the managers do.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_consul.wait timeout=30

    timeout
        Seconds; ``swarm:timeout`` if unset.
    """
    settings = __salt__["swarm_settings.get"]()
    if not settings["own_store"]:
        return
    change = _change(settings)
    limit = settings["timeout"] if timeout is None else timeout
    swarm_wait.until(change.missing, limit)
    if limit:
        swarm_consul_file.note_joining([])
    with contextlib.suppress(swarm_errors.StoreError):
        swarm_turn.end_stale(_client(settings), settings["id"])


def nodes():
    """
    Return the engine addresses that agents have registered for Swarm.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_consul.nodes
    """
    client = _client(__salt__["swarm_settings.get"]())
    _, found = swarm_kv.call("nodes", client.kv.get, "docker/swarm/nodes/", recurse=True)
    return sorted(one["Key"].rpartition("/")[2] for one in found or [])


def deregister(test=False, endpoint=None):
    """
    Drop a node's key from the store, so that no manager waits for its TTL; return what changed.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_consul.deregister
        salt m1 swarm_consul.deregister endpoint=10.0.0.14:2376

    endpoint
        Address of the engine of a node that cannot do it itself. Defaults to this node's.
    """
    settings = __salt__["swarm_settings.get"]()
    mine = endpoint or swarm_roles.engine_endpoint(settings)
    if mine not in nodes():
        return {}
    if not test:
        client = _client(settings)
        swarm_kv.call("deregister", client.kv.delete, f"docker/swarm/nodes/{mine}")
    return {mine: {"old": "registered", "new": None}}


def expel(name):
    """
    Have Consul forget another node that is gone for good, a server above all; return what changed.

    Waits until Consul has noticed that it is gone: one that lives would only come back.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_consul.expel m3

    name
        The ID of its minion.
    """
    settings = __salt__["swarm_settings.get"]()
    client = _client(settings)

    def those(status):
        return swarm_kv.names(swarm_kv.members(client), status)

    def probe():
        return f"Consul of {name} is still alive" if name in those(swarm_kv.ALIVE) else None

    swarm_wait.until(probe, settings["timeout"])
    if name not in those(swarm_kv.FAILED):
        return {}
    swarm_kv.expel(_manager(settings), name)
    return {name: {"old": "gone", "new": "forgotten"}}


def remove(test=False):
    """
    Ensure this node's Consul is gone with its data, its image and its configuration.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_consul.remove test=True
    """
    changes = _remove_from_engine(__salt__["swarm_settings.get"](), test)
    file = swarm_roles.consul_file()
    if swarm_files.read(file) is not None:
        changes[str(file)] = {"old": "present", "new": None}
        if not test:
            swarm_consul_file.remove()
            swarm_files.drop_empty(swarm_files.CONFIG)
    return changes


def _remove_from_engine(settings, test):
    if not __salt__["swarm_engine.exists"]():
        return {}
    name, volume, image = (settings["consul"][key] for key in ("container", "volume", "image"))
    removed = swarm_names.remove(settings, __salt__, "consul", test)
    changes = {
        name: removed,
        f"volume {volume}": _remove_volume(volume, test),
        image: __salt__["swarm_image.remove_unused"](image, [name], test=test),
    }
    return {what: change for what, change in changes.items() if change}


def _remove_volume(volume, test):
    place = __salt__["swarm_volume.path"](volume)
    if place is None or not swarm_names.is_consuls(Path(place)):
        return {}
    return __salt__["swarm_volume.remove"](volume, test=test)
