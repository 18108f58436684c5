"""
Manage the services of a cluster. Only its leader acts; in classic mode, the host whose manager is
the primary.
"""

from salt.utils.args import clean_kwargs

from swarm_formula.salt import state_return

__virtualname__ = "swarm_service"


def __virtual__():
    if "swarm_service.apply" not in __salt__:
        return False, "The swarm_service execution module is not available"
    return __virtualname__


def present(name, **options):
    """
    Ensure a service has these options, and that its tasks run.

    Options that are not given are not compared; ``null`` takes one away. The state succeeds once
    all tasks have run for ``update_config: monitor``, 5 seconds by default. It fails, with the
    errors of the tasks, if Docker pauses the update or rolls it back, or after ``timeout``. In
    classic mode, the containers ``NAME.1``, ``NAME.2``... are replaced one by one; one that fails
    is put back, and the state fails with its error.

    .. code-block:: yaml

        web:
          swarm_service.present:
            - image: nginx:1.27
            - replicas: 2
            - ports: ["80:80"]
            - limits: {memory: 64m}
            - timeout: 60

    name
        Name of the service.

    options
        Any of the options of docs/workloads.md, as in ``swarm:services``. They are parameters of no
        names of their own, so that ``null`` can be told from an option that is not given; unknown
        ones are refused.
    """
    options = clean_kwargs(**options)
    return _applied(name, "swarm_service.apply", name, options)


def absent(name):
    """
    Ensure there is no service of this name, nor any task of it.

    .. code-block:: yaml

        web:
          swarm_service.absent: []

    name
        Name of the service.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_service.remove"], name)


def managed(name):
    """
    Ensure the services of ``swarm:services`` have their options, and run.

    .. code-block:: yaml

        swarm services are deployed:
          swarm_service.managed: []

    name
        A name for the report.
    """
    return _applied(name, "swarm_service.apply_all")


def removed(name):
    """
    Ensure this host has no container of a service in classic mode, because it leaves the swarm.

    Containers that the formula has not created stay.

    .. code-block:: yaml

        service containers are removed:
          swarm_service.removed: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_service.remove_local"])


def _applied(name, function, *args):
    ret = state_return.applied(name, __opts__["test"], __salt__[function], *args)
    return state_return.warned(ret, __salt__["swarm_service.complaints"]())
