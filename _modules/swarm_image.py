"""
Inspect, load, pull and remove images of this host's Docker Engine.

Set the minion option ``swarm_docker_url`` to use another socket than
``unix:///var/run/docker.sock``.
"""

from swarm_formula.core import modes
from swarm_formula.docker import engine_api
from swarm_formula.docker import images as docker_images
from swarm_formula.service import prepull as service_prepull

__virtualname__ = "swarm_image"


def __virtual__():
    return __virtualname__


def get(name):
    """
    Return an image's ID, names and size, or ``None`` if it is not present.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_image.get swarm:1.2.9

    name
        Name of the image.
    """
    with _client(name) as client:
        image = docker_images.local(client, name)
    return image and {"id": image["Id"], "names": image["RepoTags"], "size": image["Size"]}


def apply(name, source=None, test=False, timeout=180, image_hash=None):
    """
    Ensure an image of this name is present, and return what was (or would be) changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_image.apply swarm:1.2.9 salt://images/swarm.tar test=True

    name
        Name of the image.

    source
        Archive created by ``docker save``: ``salt://``, ``http(s)://`` or a path. If unset, a
        missing image is pulled.

    test
        Make no changes. If the engine is not available (yet), the image counts as absent.

    timeout
        Time limit in seconds.

    image_hash
        SHA-256 of the archive, as by ``sha256sum``. Another archive is not loaded.
    """
    image = None
    with engine_api.unless_absent(test), _client(name, timeout) as client:
        image = docker_images.local(client, name)
        if image is None and not test:
            archive = docker_images.archive(source, image_hash)
            docker_images.ensure(client, name, archive, __salt__["cp.cache_file"], timeout)
    return {} if image else {"state": {"old": "absent", "new": "present"}}


def load(name, source, timeout=180, image_hash=None):
    """
    Load an image from an archive, even if one of that name is present, and return its ID.

    The next state run recreates containers of an older image of that name.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_image.load swarm:1.2.9 salt://images/swarm.tar

    name
        Name of the image; the archive must contain it.

    source
        Archive created by ``docker save``: ``salt://``, ``http(s)://`` or a path.

    timeout
        Time limit in seconds.

    image_hash
        SHA-256 of the archive, as by ``sha256sum``. Another archive is not loaded.
    """
    with _client(name, timeout) as client:
        archive = docker_images.Archive(source, image_hash)
        docker_images.load(client, name, archive, __salt__["cp.cache_file"], timeout)
        return docker_images.arrived(client, name)["Id"]


def pull(name, timeout=180):
    """
    Pull an image from its registry, even if one of that name is present, and return its ID.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_image.pull swarm:1.2.9

    name
        Name of the image.

    timeout
        Time limit in seconds.
    """
    with _client(name, timeout) as client:
        docker_images.pull(client, name, timeout)
        return docker_images.arrived(client, name)["Id"]


def prepull(test=False):
    """
    Ensure the images of ``swarm:services`` that this node may run are here; return what changed.

    Those with ``prepull`` are pulled, and those with ``image_source`` are loaded, in builtin mode.
    An image that is here is kept.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_image.prepull test=True

    test
        Change nothing. A missing engine counts as one without images.
    """
    settings = __salt__["swarm_settings.get"]()
    if not modes.of(settings).prepull:
        return {}
    fetch, timeout = __salt__["cp.cache_file"], settings["timeout"]
    with engine_api.unless_absent(test), _client("of services", timeout) as client:
        images = service_prepull.wanted(settings, client.info())
        return service_prepull.apply(client, images, fetch, timeout, test)
    return service_prepull.promised(service_prepull.wanted(settings, {}))


def remove(name, test=False):
    """
    Remove an image, and return what was (or would be) changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_image.remove swarm:1.2.9

    name
        Name of the image.

    test
        Make no changes. If the engine is not available, the image counts as absent.
    """
    image = None
    with engine_api.unless_absent(test), _client(name) as client:
        image = docker_images.local(client, name)
        if image and not test:
            client.remove_image(name)
    return {"state": {"old": "present", "new": "absent"}} if image else {}


def remove_unused(name, ours=(), test=False):
    """
    Remove an image that no container uses, and return what was (or would be) changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_image.remove_unused swarm:1.2.9

    name
        Name of the image.

    ours
        Names of containers to ignore, because they are about to be removed as well.

    test
        Make no changes.
    """
    users = set(__salt__["swarm_container.names"](image=name)) - set(ours)
    return {} if users else remove(name, test=test)


def _client(name, timeout=60):
    return engine_api.connect_local(__salt__, f"image {name}", timeout)
