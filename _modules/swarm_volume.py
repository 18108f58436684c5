"""
Inspect and remove named volumes of this host's Docker Engine.
"""

import swarm_docker

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
        return (swarm_docker.found(client.inspect_volume, name) or {}).get("Mountpoint") or None


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
        if swarm_docker.found(client.inspect_volume, name) is None:
            return {}
        if not test:
            client.remove_volume(name)
    return {"volume": {"old": name, "new": None}}


def _client(name):
    return swarm_docker.connect(__salt__["config.get"]("swarm_docker_url"), what=f"volume {name}")
