"""
Manage images on this host's Docker Engine.
"""

from swarm_formula.salt import state_return

__virtualname__ = "swarm_image"


def __virtual__():
    if "swarm_image.apply" not in __salt__:
        return False, "The swarm_image execution module is not available"
    return __virtualname__


def present(name, source=None, timeout=180, image_hash=None):
    """
    Ensure an image of this name is present.

    .. code-block:: yaml

        swarm:1.2.9:
          swarm_image.present:
            - source: salt://images/swarm.tar

    name
        Name of the image, with its tag.

    source
        Archive made by ``docker save``: ``salt://``, ``http(s)://`` or a path. A local image is
        kept even if the archive contains another one. If unset, the image is pulled.

    timeout
        Seconds that loading or pulling may take. Defaults to 180.

    image_hash
        SHA-256 of the archive, as by ``sha256sum``. Another archive is not loaded.
    """
    apply = __salt__["swarm_image.apply"]
    return state_return.applied(
        name, __opts__["test"], apply, name, source, timeout=timeout, image_hash=image_hash
    )


def absent(name):
    """
    Ensure no image of this name is present; refused while a container uses it.

    .. code-block:: yaml

        swarm:1.2.9:
          swarm_image.absent: []

    name
        Name of the image.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_image.remove"], name)


def prepulled(name):
    """
    Ensure the images of ``swarm:services`` that this node may run are here, before tasks start.

    .. code-block:: yaml

        swarm images are present:
          swarm_image.prepulled: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_image.prepull"])
