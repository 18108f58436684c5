"""
Inspect and manage the services of a cluster.

Services belong to the cluster: only its leader changes them. On other nodes, functions that change
something do nothing and return ``None``. In classic mode, a service is a number of containers, and
the host acts whose manager is the primary.
"""

# Salt looks for `service` in all modules that have this word in their names, and so loads this one
# in runs without services as well: each function imports what it needs itself.
from swarm_formula.salt import execution

__virtualname__ = "swarm_service"


def __virtual__():
    return __virtualname__


def _settings():
    return __salt__["swarm_settings.get"]()


def _minion():
    return execution.Minion(__salt__, __opts__, __context__)


def _services():
    from swarm_formula.modes import verbs

    return verbs.of(_settings()).services()


def leads(test=False):
    """
    Return whether this node acts on services: the leader; in classic mode, the primary manager.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_service.leads

    test
        Count the node that would be the first one of a cluster as well.
    """
    return _services().leads(_minion(), test)


def status():
    """
    Return all services as this manager sees them: mode, image, tasks wanted and running.

    Each has a ``why not``: the errors of its tasks if not all of them run. ``None`` on a node that
    cannot tell: a worker, or one that is in no cluster.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_service.status
    """
    return _services().status(_minion())


def apply(name, spec, test=False):
    """
    Ensure a service has these options, and that its tasks run; return what changed.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_service.apply web '{image: "nginx:1.27", replicas: 2}' test=True

    name
        Name of the service.

    spec
        Options, as in ``swarm:services``.

    test
        Change nothing.
    """
    changes = _services().apply_one(_minion(), name, spec, test)
    return None if changes is None else changes.get(name, {})


def apply_all(test=False):
    """
    Ensure the services of ``swarm:services`` have their options, and run; return what changed.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_service.apply_all test=True
    """
    wanted = _settings()["services"]
    return _services().apply(_minion(), wanted, test) if wanted else {}


def complaints():
    """
    Return the warnings of what this job has applied so far, each once, for the states.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_service.complaints
    """
    from swarm_formula.builtin import services

    return __context__.pop(services.WARNINGS, [])


def restart(name, test=False):
    """
    Start the tasks of a service again, with the same spec, and wait until they run.

    They are replaced one by one as in an update: see ``update_config``. Return what changed.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_service.restart web

    name
        Name of the service.

    test
        Change nothing.
    """
    return _services().restart(_minion(), name, test)


def tasks(name):
    """
    Return the tasks of a service, with those of the past: node, state, exit code, error. In classic
    mode, its containers.

    ``None`` on a node that cannot tell: a worker, or one that is in no cluster.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_service.tasks web

    name
        Name of the service.
    """
    return _services().tasks(_minion(), name)


def logs(name, lines=20):
    """
    Return the last lines of the log of each task that runs, or of the last one in its place.

    ``None`` on a node that cannot tell.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_service.logs web lines=100

    name
        Name of the service.

    lines
        Number of lines for each task. Defaults to 20.
    """
    return _services().logs(_minion(), name, int(lines))


def export():
    """
    Return the pillar ``swarm`` of what the cluster has: its managers, the labels and availability
    of its nodes, its settings, networks, configs and services.

    Contents of secrets are not in it, but those of configs, variables and arguments are as Docker
    has them, and may contain passwords. ``None`` on a node that cannot tell.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_service.export
    """
    from swarm_formula.cluster import membership, node_claims, swarm_api
    from swarm_formula.docker import engine_api
    from swarm_formula.service import api, secrets_configs
    from swarm_formula.service import export as service_export
    from swarm_formula.spec import service_options

    with swarm_api.connect(__salt__) as client:
        if not membership.manager(swarm_api.swarm(client)):
            return None
        seen = api.look(client)
        with engine_api.translated("the cluster"):
            cluster = client.inspect_swarm()
        found = service_export.Found(
            cluster,
            seen.nodes,
            node_claims.minions(__salt__["swarm_builtin.claims"](), _settings()["managers"]),
            seen.services,
            api.described(client, seen),
            {kind: secrets_configs.objects(client, kind) for kind in service_options.FILES},
        )
    return service_export.pillar(found)


def scale(name, replicas):
    """
    Set the number of tasks of a replicated service, and wait until they run; return what changed.

    If the pillar has ``replicas`` for this service, the next apply sets that number again. ``None``
    on a node that does not lead the cluster.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_service.scale web 5

    name
        Name of the service.

    replicas
        Number of tasks.
    """
    return _services().scale(_minion(), name, int(replicas))


def rollback(name):
    """
    Return a service to its previous spec, and wait until it runs; return what changed.

    A second rollback returns to the later spec. An apply sets the options of the pillar again.
    ``None`` on a node that does not lead the cluster.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_service.rollback web

    name
        Name of the service.
    """
    return _services().rollback(_minion(), name)


def renew_logins():
    """
    Give the cluster this node's logins to registries, for the images of the pillar's services.

    Managers keep a login with each service, and nodes pull its image by it: after a change of the
    password, a task could not start on a node that lacks the image. No task starts again. Return
    ``True``, or why this node cannot do it. ``salt-run swarm.rotate registry`` calls it.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_service.renew_logins
    """
    from swarm_formula.cluster import swarm_api
    from swarm_formula.compose import keys
    from swarm_formula.service import api

    if not __salt__["swarm_leader.leads"]():
        return f"{__opts__['id']} does not lead the cluster"
    settings = _settings()

    def managed(spec):
        stack = (spec.get("Labels") or {}).get(keys.NAMESPACE)
        return spec["Name"] in settings["services"] or stack in settings["stacks"]

    with swarm_api.connect(__salt__) as client:
        api.renew_logins(client, managed)
    return True


def remove(name, test=False):
    """
    Remove a service, and wait until its tasks are gone; return what changed.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_service.remove web

    name
        Name of the service.

    test
        Change nothing.
    """
    from swarm_formula.salt import dry_run

    changes = _services().remove(_minion(), name, test)
    if test and changes:
        dry_run.note(__context__, "services", {name: changes})
    return changes


def remove_local(test=False):
    """
    Remove the containers of services from this host in classic mode; return what changed.

    Only those that the formula has created: the next apply of the services creates them on other
    nodes. In builtin mode, tasks are removed when the node leaves the cluster.

    CLI Example:

    .. code-block:: bash

        salt m4 swarm_service.remove_local test=True

    test
        Change nothing. A missing engine counts as one without containers.
    """
    return _services().remove_local(_minion(), test)
