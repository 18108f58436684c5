"""
Named volumes of this machine's own Docker Engine.
"""

import swarm_docker

__virtualname__ = "swarm_volume"


def __virtual__():
    return __virtualname__


def path(name):
    """
    Return where on this machine a volume is, ``None`` if there is none.

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
    Remove a volume with all that is in it, and return what was (or would be) changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_volume.remove swarm-consul

    name
        Name of the volume.

    test
        Change nothing.
    """
    with _client(name) as client:
        if swarm_docker.found(client.inspect_volume, name) is None:
            return {}
        if not test:
            client.remove_volume(name)
    return {"volume": {"old": name, "new": None}}


def _client(name):
    return swarm_docker.connect(__salt__["config.get"]("swarm_docker_url"), what=f"volume {name}")
