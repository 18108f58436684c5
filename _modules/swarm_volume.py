"""
Inspect and manage named volumes of this host's Docker Engine.
"""

from swarm_formula.docker import engine_api, volumes

__virtualname__ = "swarm_volume"


def __virtual__():
    return __virtualname__


def path(name):
    """
    Return the path of a volume on this host, ``None`` if there is no such volume.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_volume.path swarm-consul

    name
        Name of the volume.
    """
    with _client(name) as client:
        return (engine_api.found(client.inspect_volume, name) or {}).get("Mountpoint") or None


def apply(name, spec, test=False):
    """
    Ensure a volume exists on this host with these options; return what changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_volume.apply data '{labels: {owner: web-team}}' test=True

    name
        Name of the volume.

    spec
        Options, as in ``swarm:volumes``. An existing volume with other options is an error.

    test
        Change nothing. A missing engine counts as an engine without the volume.
    """
    return _apply(name, volumes.parsed(name, spec), test)


def apply_all(test=False):
    """
    Ensure the volumes in ``swarm:volumes`` for this node exist; return what changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_volume.apply_all test=True
    """
    settings = __salt__["swarm_settings.get"]()
    wanted = volumes.of_node(settings["id"], settings["volumes"])
    return engine_api.all_or_none(wanted, _apply, test)


def _apply(name, wanted, test=False):
    with engine_api.unless_absent(test), _client(name) as client:
        return volumes.apply(client, name, wanted, test)
    return volumes.created(wanted)


def remove(name, test=False):
    """
    Remove a volume with its data, and return what was (or would be) changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_volume.remove swarm-consul

    name
        Name of the volume.

    test
        Make no changes.
    """
    with _client(name) as client:
        if engine_api.found(client.inspect_volume, name) is None:
            return {}
        if not test:
            client.remove_volume(name)
    return {"volume": {"old": name, "new": None}}


def _client(name):
    return engine_api.connect_local(__salt__, f"volume {name}")
