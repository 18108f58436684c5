"""
Manage networks of this host's Docker Engine, and overlay networks of its cluster.
"""

from salt.utils.args import clean_kwargs

from swarm_formula.salt import state_return

__virtualname__ = "swarm_network"


def __virtual__():
    if "swarm_network.apply" not in __salt__:
        return False, "The swarm_network execution module is not available"
    return __virtualname__


def present(name, **settings):
    """
    Ensure there is exactly one network of this name; settings not given are not compared.

    .. code-block:: yaml

        backend:
          swarm_network.present:
            - driver: overlay
            - subnet: 10.9.0.0/24

    Docker cannot change a network. It is recreated if no container uses it; otherwise the change is
    refused. Several minions may create the same overlay network at the same time.

    name
        Name of the network.

    settings
        Any of the following; unknown ones are refused.

    driver
        ``bridge``, ``overlay`` or another driver of the engine. A new network gets ``bridge``.

    subnet
        The subnet, such as ``10.9.0.0/24``. Docker chooses one if unset.

    gateway
        The gateway's address in the subnet.

    ip_range
        The part of the subnet from which containers get their addresses.

    options
        Options of the driver. Only the given options are compared, because drivers add their own.

    labels
        All labels of the network.

    internal
        Whether external access is restricted.

    attachable
        Whether, in builtin mode, containers that do not belong to a service may use it.
    """
    from swarm_formula.spec import container_options

    spec = container_options.drop_unset(**clean_kwargs(**settings))
    apply = __salt__["swarm_network.apply"]
    return state_return.applied(name, __opts__["test"], apply, name, spec)


def absent(name):
    """
    Ensure there is no network of this name; refused while a container uses it.

    .. code-block:: yaml

        backend:
          swarm_network.absent: []

    name
        Name of the network.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_network.remove"], name)


def managed(name):
    """
    Ensure the networks of ``swarm:networks`` are present.

    .. code-block:: yaml

        swarm networks are present:
          swarm_network.managed: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_network.apply_all"])


def unmanaged(name):
    """
    Ensure the networks of ``swarm:networks`` are absent; refused while a container uses one.

    .. code-block:: yaml

        swarm networks are removed:
          swarm_network.unmanaged: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_network.remove_all"])
