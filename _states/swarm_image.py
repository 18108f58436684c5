"""
Manage images of this machine's own Docker Engine.
"""

import swarm_ret

__virtualname__ = "swarm_image"


def __virtual__():
    if "swarm_image.apply" not in __salt__:
        return False, "The swarm_image execution module is not available"
    return __virtualname__


def present(name, source=None, timeout=180):
    """
    Ensure there is an image of this name.

    .. code-block:: yaml

        swarm:1.2.9:
          swarm_image.present:
            - source: salt://images/swarm.tar

    name
        Name of the image, with its tag.

    source
        Archive made by ``docker save``: ``salt://``, ``http(s)://`` or a path. An image that is
        here is kept, whatever the archive holds by now. Without it, the image is pulled.

    timeout
        Seconds that loading or pulling may take. Defaults to 180.
    """
    apply = __salt__["swarm_image.apply"]
    return swarm_ret.applied(name, __opts__["test"], apply, name, source, timeout=timeout)


def absent(name):
    """
    Ensure there is no image of this name; refused while a container uses it.

    .. code-block:: yaml

        swarm:1.2.9:
          swarm_image.absent: []

    name
        Name of the image.
    """
    return swarm_ret.applied(name, __opts__["test"], __salt__["swarm_image.remove"], name)
