"""
Manage Consul, the store of classic Swarm, in a container on every node.
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
import swarm_keyring
import swarm_kv
import swarm_mine
import swarm_names
import swarm_renewal
import swarm_roles
import swarm_secrets
import swarm_turn
import swarm_wait

__virtualname__ = "swarm_consul"

_RECORD, _TOKEN = swarm_authority.RECORD, swarm_renewal.TOKEN
# Seconds for a change of the keys on all agents, all of which have to answer.
_ALL_AGENTS = 60
_DENIED = {"all else in Consul": {"old": "allowed", "new": "denied"}}


def __virtual__():
    return __virtualname__


def _client(settings, token=None, **more):
    return swarm_consul_file.connect(settings, token, **more)


def _manager(settings, **more):
    """Return a client with all rights of this host: with ACLs, servers use the management token."""
    return _client(settings, swarm_acl.management(), **more)


def _change(settings):
    return swarm_consul_change.Change(settings, __salt__)


def status():
    """
    Return the leader's address (empty if there is none), the names of the servers that are alive,
    and the names of the voters: the quorum is a majority of the voters.

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
        # Only the leader is requested: Consul returns it whatever the state of the ACLs.
        return bool(swarm_kv.leader(_client(__salt__["swarm_settings.get"]())))
    except swarm_errors.SwarmError:
        return False


def peers():
    """
    Return the servers in Raft: ``{name: "voter"}``, or ``"joining"`` for a new server.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_consul.peers
    """
    found = _change(__salt__["swarm_settings.get"]()).look()
    return {one.name: "voter" if one.voter else "joining" for one in found.peers}


def apply(test=False):
    """
    Ensure this node's Consul container matches the pillar; return what changed.

    Every node runs a server or a client; with an external store, no node does. The previous
    container and configuration are kept until Consul works with the new ones, and are restored if
    it does not.

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
    """Remove Consul in favor of an external store, once that store answers."""
    changes = _refuse_silent(settings)
    return (
        changes if test or not changes else swarm_names.remove(settings, __salt__, "consul", test)
    )


def _refuse_silent(settings):
    """Return what is removed with Consul; raise an error if its successor does not answer."""
    changes = swarm_names.remove(settings, __salt__, "consul", test=True)
    if changes and (why := swarm_address.silent(settings["store"])):
        raise swarm_errors.SwarmError(
            f"swarm:store: {why} from {settings['id']}; Consul stays, and nothing was changed there"
        )
    return changes


def check_fixed():
    """
    Raise an error if this host's running Consul cannot take the settings in the pillar.

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
    Ensure Consul on this server denies what no policy grants; return what changed.

    Used by ``swarm_rights.apply``, which grants the swarm its rights first. If ACLs are enabled in
    a running swarm, a server starts by allowing everything.

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
        # It has none of the granted rights at first: if it led now, no host would have any.
        change.restart(spec, text, lambda: swarm_acl.laggards(_client(settings), settings))
    return _DENIED


def _wanted(settings, acl, change, test=False):
    certs = swarm_certs.NODE.read() if settings["tls"]["used"] else None
    folder, files = str(swarm_files.CONFIG), swarm_certs.NODE.due(test)
    wanted = {**settings, "begins": change.begins}
    spec, text = swarm_roles.consul_container(wanted, folder, certs, files, acl)
    return change.labelled(spec, text, _is_rekeyed(settings, certs)), text


def _is_rekeyed(settings, certs):
    """
    Check whether Consul here has the new gossip key of a renewal already, which is in progress.

    Only then: a CA restored from a backup may have a key that no running Consul has.
    """
    old = swarm_consul_file.config().get("encrypt")
    if not (old and certs and settings["tls"]["ca"]) or certs.gossip in ("", old):
        return False
    record = _published(settings, swarm_renewal.GOSSIP)
    return swarm_renewal.replaces(record, swarm_renewal.GOSSIP, old, certs.gossip)


def _acl(settings, test):
    """Return the ACL section of this node's configuration, ``None`` without ACLs."""
    if not settings["consul"]["acl"]:
        return None
    if not settings["is_server"]:
        return swarm_acl.config(None)
    return swarm_acl.config(_token(settings, test), swarm_acl.beginning())


def _token(settings, test):
    """Return the management token: from ``swarm:consul:acl_token``, or from the CA."""
    if place := settings["consul"]["acl_token"]:
        return swarm_secrets.load(__salt__, place, path="swarm:consul:acl_token")
    found, ca = {}, settings["tls"]["ca"]

    def probe():
        if settings["is_ca"]:
            found["token"] = swarm_authority.load().get("acl")
        else:
            found.update(_published(settings, _TOKEN))
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


def admit(kind):
    """
    Have Consul accept the new gossip key or management token beside the old one; return ``True``.

    Called by ``salt-run swarm.rotate`` on a server. The CA of the swarm has published the new one
    to the members that may have it; nothing of it is in the arguments or in the return.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_consul.admit gossip

    kind
        ``gossip`` or ``acl``.
    """
    settings = __salt__["swarm_settings.get"]()
    new = swarm_renewal.following(_published(settings, kind), kind)
    if kind == swarm_renewal.TOKEN:
        swarm_acl.create(_manager(settings), _client(settings, new), new)
    else:
        swarm_keyring.admit(_manager(settings, timeout=_ALL_AGENTS), new)
    return True


def retire(kind):
    """
    Have Consul forget the old gossip key or management token; return ``True``.

    Called by ``salt-run swarm.rotate`` on a server, once all nodes use the new one.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_consul.retire gossip

    kind
        ``gossip`` or ``acl``.
    """
    settings = __salt__["swarm_settings.get"]()
    if (why := renewed(kind)) is not True:
        raise swarm_errors.SwarmError(why)
    old = swarm_renewal.former(_published(settings, kind), kind)
    if kind == swarm_renewal.TOKEN:
        swarm_acl.delete(_manager(settings), _client(settings, old))
    else:
        swarm_keyring.retire(_manager(settings, timeout=_ALL_AGENTS), old)
    return True


def renewed(kind):
    """
    Return ``True`` if this node starts Consul with the current gossip key or management token, else
    what it lacks.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_consul.renewed gossip

    kind
        ``gossip`` or ``acl``.
    """
    settings = __salt__["swarm_settings.get"]()
    if kind == swarm_renewal.TOKEN:
        if not settings["is_server"]:
            return True
        used, current = swarm_acl.management(), _published(settings, kind).get("token")
    else:
        used = swarm_consul_file.config().get("encrypt")
        current = _published(settings, kind).get("gossip")
    if used and used == current:
        return True
    return f"Consul of {settings['id']} starts with the old one: apply swarm there"


def _published(settings, kind):
    """Return what the CA publishes of a secret, ``{}`` if this node cannot read it (yet)."""
    if settings["is_ca"]:
        state = swarm_authority.load()
        of_state = swarm_authority.management if kind == _TOKEN else swarm_authority.record
        return of_state(state) if state else {}
    ca, name = settings["tls"]["ca"], swarm_authority.ACL if kind == _TOKEN else _RECORD
    return swarm_mine.Mine(__salt__, __opts__, __context__).get([ca], name).get(ca) or {}


def wait(timeout=None):
    """
    Wait until Consul has a leader and, on a server, Raft lists it; the error says what is missing.

    Then end the turn of an earlier run on this host that was killed during a restart, so that other
    hosts do not wait for it. An external store is not waited for: the managers do that.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_consul.wait timeout=30

    timeout
        Timeout in seconds. Defaults to ``swarm:timeout``.
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
    Return the engine endpoints that Swarm agents have registered.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_consul.nodes
    """
    client = _client(__salt__["swarm_settings.get"]())
    _, found = swarm_kv.call("nodes", client.kv.get, "docker/swarm/nodes/", recurse=True)
    return sorted(one["Key"].rpartition("/")[2] for one in found or [])


def deregister(test=False, endpoint=None):
    """
    Delete a node's key from the store, so that no manager waits for its TTL; return what changed.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_consul.deregister
        salt m1 swarm_consul.deregister endpoint=10.0.0.14:2376

    endpoint
        Engine endpoint of a node that cannot do this itself. Defaults to this node's.
    """
    settings = __salt__["swarm_settings.get"]()
    mine = endpoint or swarm_roles.engine_endpoint(settings)
    if mine not in nodes():
        return {}
    if not test:
        client = _client(settings)
        swarm_kv.call("deregister", client.kv.delete, f"docker/swarm/nodes/{mine}")
    return {mine: {"old": "registered", "new": None}}


def expel(name, timeout=None):
    """
    Force a lost node, above all a server, to leave Consul; return what changed.

    Waits until Consul no longer reports the node as alive: a live node would only rejoin.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_consul.expel m3

    name
        Minion ID of the node.

    timeout
        Seconds to wait until Consul no longer reports it as alive; ``swarm:timeout`` if unset.
    """
    settings = __salt__["swarm_settings.get"]()
    client = _client(settings)

    def those(status):
        return swarm_kv.names(swarm_kv.members(client), status)

    def probe():
        return f"Consul of {name} is still alive" if name in those(swarm_kv.ALIVE) else None

    swarm_wait.until(probe, settings["timeout"] if timeout is None else timeout)
    if name not in those(swarm_kv.FAILED):
        return {}
    swarm_kv.expel(_manager(settings), name)
    return {name: {"old": "gone", "new": "forgotten"}}


def remove(test=False):
    """
    Ensure this node's Consul is removed with its data, image and configuration.

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
