"""
Inspect and manage containers on the local Docker Engine.

The minion option ``swarm_docker_url`` replaces the default URL ``unix:///var/run/docker.sock``.
"""

import functools

from swarm_formula.docker import container_actions, engine_api, images, reconcile
from swarm_formula.settings import host_containers
from swarm_formula.spec import container_options

__virtualname__ = "swarm_container"

# Label of a container that swarm mode runs for a service.
_TASK = "com.docker.swarm.task.id"


def __virtual__():
    return __virtualname__


def get(name):
    """
    Return a container's settings and state, or ``None`` if the container does not exist.

    Values that look like secrets are replaced with a short hash.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.get swarm-manager

    name
        Name of the container.
    """
    with _client(name) as client:
        container = engine_api.container(client, name)
        if container is None:
            return None
        image = engine_api.found(client.inspect_image, container["Image"])
    settings = container_options.beyond_image(container_options.current(container), image)
    return {
        **container_options.shown(settings),
        "id": container["Id"],
        "name": name,
        "image": container["Config"]["Image"],
        "image_id": container["Image"],
        "status": container_actions.status(container),
        "pid": container["State"]["Pid"],
        "started": container["State"]["StartedAt"],
        "exit_code": container["State"]["ExitCode"],
        "restarts": container["RestartCount"],
    }


def names(image=None, tasks=True):
    """
    Return the names of all containers on this engine, running or not.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.names image=swarm:1.2.9

    image
        Return only containers created from this image or from an image based on it.

    tasks
        Include the tasks of services in swarm mode, which are removed when the node leaves the
        cluster. Defaults to ``True``.
    """
    with _client("list") as client:
        found = client.containers(all=True, filters={"ancestor": image} if image else None)
    kept = [one for one in found if tasks or _TASK not in (one.get("Labels") or {})]
    return sorted(name.lstrip("/") for one in kept for name in one["Names"][:1])


def apply(name, spec, test=False, timeout=180, trial=None):
    """
    Ensure a container runs with the given settings; return what changed or would change.

    Only the given settings are compared. A container that cannot be updated in place is recreated;
    the old container is kept, stopped, until the new one is up, and is restored if that fails. A
    local image with this name is kept; otherwise, it is loaded from ``image_source`` or pulled.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.apply web '{image: busybox:lab, command: [httpd, -f]}' test=True

    name
        Name of the container.

    spec
        Settings, as for the state ``swarm_container.running``.

    test
        Change nothing. If there is no engine (yet), the container counts as absent.

    timeout
        Seconds that loading or pulling the image may take.

    trial
        For other modules: a function that returns a context manager in which the container is
        started; if it raises an error, the previous container is restored. Defaults to checking
        that the container stays up for a moment.
    """
    wanted = container_options.wanted(name, spec)
    changes = reconcile.differences(reconcile.effective(wanted, {}), None, None)
    with engine_api.unless_absent(test), _client(name, timeout) as client:
        plan = reconcile.plan(client, name, wanted)
        changes = plan.changes
        if changes and not test:
            archive = images.archive(spec.get("image_source"), spec.get("image_hash"))
            fetch = __salt__["cp.cache_file"]
            image = images.ensure(client, wanted["image"], archive, fetch, timeout)
            reconcile.execute(client, plan, image, trial)
        elif plan.kept and not test:
            container_actions.stays(client, name, plan.kept)
    return container_options.shown(changes)


def apply_all(test=False):
    """
    Ensure the containers of ``swarm:containers`` for this host run; return what changed.

    If one of them is refused, none is changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.apply_all test=True
    """
    settings = __salt__["swarm_settings.get"]()
    wanted = host_containers.of_node(settings["id"], settings["containers"])
    limit = functools.partial(apply, timeout=settings["timeout"])
    return engine_api.all_or_none(wanted, limit, test)


def check(name):
    """
    Raise an error with the last log lines if a container has exited or keeps restarting.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.check swarm-manager

    name
        Name of the container. If the container does not exist or the engine does not answer, no
        error is raised.
    """
    with engine_api.unless_absent(test=True), _client(name) as client:
        container_actions.check(client, name)


def start(name):
    """
    Start a container; do nothing if it is running.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.start swarm-manager

    name
        Name of the container.
    """
    with _client(name) as client:
        client.start(name)
    return True


def stop(name):
    """
    Stop a container with its own stop signal and timeout; do nothing if it is stopped.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.stop swarm-manager

    name
        Name of the container.
    """
    with _client(name) as client:
        container_actions.stop(client, name)
    return True


def rename(name, new):
    """
    Rename a container; it keeps running.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.rename web web-old

    name
        Name of the container.

    new
        New name of the container.
    """
    with _client(name) as client:
        client.rename(name, new)
    return True


def update(name, spec):
    """
    Update the given settings of a container in place, and leave all others unchanged.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.update swarm-manager '{restart_policy: "no"}'

    name
        Name of the container.

    spec
        Any of ``restart_policy``, ``memory`` and ``cpus``, which Docker can change in place.
    """
    with _client(name) as client:
        container_actions.update_by_name(client, name, spec)
    return True


def remove(name, test=False):
    """
    Stop and remove a container and its anonymous volumes; return what changed.

    Named volumes are kept. The leftover of an interrupted recreation is removed as well.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.remove swarm-manager

    name
        Name of the container.

    test
        Change nothing. If there is no engine, the container counts as absent.
    """
    with engine_api.unless_absent(test), _client(name) as client:
        return container_actions.remove(client, name, test)
    return {}


def logs(name, lines=10):
    """
    Return the last lines of a container's log.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.logs swarm-manager lines=50

    name
        Name of the container.

    lines
        Number of lines. Defaults to 10.
    """
    with _client(name) as client:
        return container_actions.logs(client, name, lines)


def _client(name, timeout=60):
    return engine_api.connect_local(__salt__, f"container {name}", timeout)
