"""
Manage named volumes of this host's Docker Engine.
"""

from swarm_formula.salt import state_return
from swarm_formula.spec import container_options

__virtualname__ = "swarm_volume"


def __virtual__():
    if "swarm_volume.apply" not in __salt__:
        return False, "The swarm_volume execution module is not available"
    return __virtualname__


def present(name, driver=None, options=None, labels=None):
    """
    Ensure there is a volume of this name on this host; settings not given are not compared.

    .. code-block:: yaml

        data:
          swarm_volume.present:
            - options: {type: nfs, o: "addr=10.0.0.9,rw", device: ":/srv/data"}

    Docker cannot change a volume: if it has other settings, the state fails and nothing is changed.

    name
        Name of the volume.

    driver
        The driver, or a plugin. A new volume gets ``local``.

    options
        Options of the driver.

    labels
        Labels of the volume. Others stay.
    """
    spec = container_options.drop_unset(driver=driver, options=options, labels=labels)
    apply = __salt__["swarm_volume.apply"]
    return state_return.applied(name, __opts__["test"], apply, name, spec)


def absent(name):
    """
    Ensure there is no volume of this name on this host. Its data is lost.

    Docker refuses to remove a volume that a container uses.

    .. code-block:: yaml

        data:
          swarm_volume.absent: []

    name
        Name of the volume.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_volume.remove"], name)


def managed(name):
    """
    Ensure the volumes of ``swarm:volumes`` for this node are present.

    .. code-block:: yaml

        swarm volumes are present:
          swarm_volume.managed: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_volume.apply_all"])
