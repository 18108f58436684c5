"""
Named volumes of this machine's own Docker Engine.
"""

import swarm_docker

__virtualname__ = "swarm_volume"


def __virtual__():
    return __virtualname__


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
    url = __salt__["config.get"]("swarm_docker_url")
    with swarm_docker.connect(url, what=f"volume {name}") as client:
        if swarm_docker.found(client.inspect_volume, name) is None:
            return {}
        if not test:
            client.remove_volume(name)
    return {"volume": {"old": name, "new": None}}
