"""
Inspect and manage containers of this machine's own Docker Engine.

The minion option ``swarm_docker_url`` names another socket than ``unix:///var/run/docker.sock``.
"""

import swarm_actions
import swarm_docker
import swarm_images
import swarm_reconcile
import swarm_spec

__virtualname__ = "swarm_container"

# On a container that swarm mode runs for a service.
_TASK = "com.docker.swarm.task.id"


def __virtual__():
    return __virtualname__


def get(name):
    """
    Return a container's settings and state, or ``None`` if there is no such container.

    Values that look secret are shown as a short hash.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.get swarm-manager

    name
        Name of the container.
    """
    with _client(name) as client:
        container = swarm_docker.container(client, name)
        if container is None:
            return None
        image = swarm_docker.found(client.inspect_image, container["Image"])
    settings = swarm_spec.beyond_image(swarm_spec.current(container), image)
    return {
        **swarm_spec.shown(settings),
        "id": container["Id"],
        "name": name,
        "image": container["Config"]["Image"],
        "image_id": container["Image"],
        "status": swarm_actions.status(container),
        "pid": container["State"]["Pid"],
        "started": container["State"]["StartedAt"],
        "exit_code": container["State"]["ExitCode"],
        "restarts": container["RestartCount"],
    }


def names(image=None, tasks=True):
    """
    Return the names of all containers of this engine, running or not.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.names image=swarm:1.2.9

    image
        Only those made of this image, or of one built on it.

    tasks
        Also the tasks of swarm mode's services, which go when the node leaves the cluster. Defaults
        to ``True``.
    """
    with _client("list") as client:
        found = client.containers(all=True, filters={"ancestor": image} if image else None)
    kept = [one for one in found if tasks or _TASK not in (one.get("Labels") or {})]
    return sorted(name.lstrip("/") for one in kept for name in one["Names"][:1])


def apply(name, spec, test=False, timeout=180, trial=None):
    """
    Ensure a container runs with the given settings, and return what was (or would be) changed.

    Only what is given is compared. A container that needs other settings is recreated; the old one
    stays, stopped, until the new one is up, and comes back if that fails. A local image of the
    wanted name is kept; else it is loaded from ``image_source``, else pulled.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.apply web '{image: busybox:lab, command: [httpd, -f]}' test=True

    name
        Name of the container.

    spec
        Settings as ``swarm_container.running`` takes them.

    test
        Change nothing. An engine that is not there (yet) counts as having no container.

    timeout
        Seconds that loading or pulling the image may take.

    trial
        For other modules: a function that gives a context manager, which a container is started
        within, and whose error brings the one of before back. Defaults to seeing the container
        stay up for a moment.
    """
    wanted = swarm_spec.wanted(name, spec)
    changes = swarm_reconcile.differences(wanted, None, None)
    with swarm_docker.unless_absent(test), _client(name, timeout) as client:
        plan = swarm_reconcile.plan(client, name, wanted)
        changes = plan.changes
        if changes and not test:
            source, fetch = spec.get("image_source"), __salt__["cp.cache_file"]
            image = swarm_images.ensure(client, wanted["image"], source, fetch, timeout)
            swarm_reconcile.execute(client, plan, image, trial)
    return swarm_spec.shown(changes)


def check(name):
    """
    Raise an error with its last words if a container has ended, or ends again and again.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.check swarm-manager

    name
        Name of the container. One that is not there has not ended, nor one of which the engine
        does not answer.
    """
    with swarm_docker.unless_absent(test=True), _client(name) as client:
        swarm_actions.check(client, name)


def start(name):
    """
    Start a container; nothing happens if it runs.

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
    Stop a container with its own stop signal and timeout; nothing happens if it is stopped.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.stop swarm-manager

    name
        Name of the container.
    """
    with _client(name) as client:
        swarm_actions.stop(client, name)
    return True


def rename(name, new):
    """
    Give a container another name; it runs on.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.rename web web-old

    name
        Name of the container.

    new
        Its new name.
    """
    with _client(name) as client:
        client.rename(name, new)
    return True


def update(name, spec):
    """
    Change in a living container what Docker can change there, and leave all else alone.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.update swarm-manager '{restart_policy: "no"}'

    name
        Name of the container.

    spec
        Some of ``restart_policy``, ``memory`` and ``cpus``.
    """
    with _client(name) as client:
        swarm_actions.update_by_name(client, name, spec)
    return True


def remove(name, test=False):
    """
    Stop and remove a container and its anonymous volumes, and return what was changed.

    Named volumes stay. What an interrupted recreation left behind goes as well.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.remove swarm-manager

    name
        Name of the container.

    test
        Change nothing. An engine that is not there counts as having no container.
    """
    with swarm_docker.unless_absent(test), _client(name) as client:
        return swarm_actions.remove(client, name, test)
    return {}


def logs(name, lines=10):
    """
    Return the last lines that a container wrote.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_container.logs swarm-manager lines=50

    name
        Name of the container.

    lines
        How many. Defaults to 10.
    """
    with _client(name) as client:
        return swarm_actions.logs(client, name, lines)


def _client(name, timeout=60):
    url = __salt__["config.get"]("swarm_docker_url")
    return swarm_docker.connect(url, timeout, what=f"container {name}")
