"""
Manage containers on this host's Docker Engine.
"""

from salt.utils.args import clean_kwargs

from swarm_formula.salt import state_return
from swarm_formula.spec import container_options

__virtualname__ = "swarm_container"


def __virtual__():
    if "swarm_container.apply" not in __salt__:
        return False, "The swarm_container execution module is not available"
    return __virtualname__


def running(name, image, timeout=180, **settings):
    """
    Ensure a container runs with the given settings; settings that are not given are not changed.

    .. code-block:: yaml

        web:
          swarm_container.running:
            - image: busybox:lab
            - image_source: salt://images/busybox.tar
            - command: [httpd, -f, -h, /srv]
            - environment: {LOG_LEVEL: info}
            - ports: ["8080:80", "127.0.0.1:53:53/udp"]
            - mounts: ["web-data:/srv", "/etc/web.conf:/etc/web.conf:ro"]
            - restart_policy: on-failure:3
            - memory: 64m

    An empty list or dictionary removes all entries. Changes of the restart policy and of the memory
    or CPU limit are applied to the running container; any other change recreates it. The old
    container is kept, stopped, until the new one is up, and is restored if that fails. Its
    anonymous volumes are removed with it. For settings that are not given, the new container gets
    the defaults of Docker and the image.

    name
        Name of the container.

    image
        Image by tag, digest or ID. The container is recreated if it was created from another image
        ID than the image has now.

    timeout
        Seconds that loading or pulling the image may take. Defaults to 180.

    settings
        Any of the following; unknown ones are refused.

    image_source
        Source of the image if there is no local image of that name: an archive made by ``docker
        save``, as ``salt://``, ``http(s)://`` or a path. A local image is kept even if the archive
        contains a newer one: use a new tag for new content, or run ``swarm_image.load``. If unset,
        the image is pulled from its registry.

    command
        The arguments, as a list or a string. If empty, the image's arguments are used.

    entrypoint
        The program, as a list or a string, which replaces the image's entrypoint.

    environment
        All environment variables in addition to the image's. If a variable's name suggests a
        secret, its value is reported as a short hash.

    ports
        All published ports, as ``[ip:]host:container[/protocol]``.

    mounts
        All named volumes and bind mounts, as ``source:target[:options]``.

    network_mode
        ``bridge``, ``host``, ``none``, ``container:<name>`` or the name of a network.

    restart_policy
        ``no``, ``always``, ``unless-stopped``, ``on-failure`` or ``on-failure:<times>``.

    labels
        All labels in addition to the image's.

    cap_add, cap_drop
        Linux capabilities, with or without ``CAP_``.

    privileged
        Whether it may do what root may do on the host.

    devices
        All devices of the host that it may use, as ``path[:path in the container][:rights]``.

    memory
        Limit as a number of bytes or with a unit: ``512m``, ``1g``. Zero means no limit.

    cpus
        Limit as a number of CPUs: ``0.5``. Zero means no limit.

    ulimits
        Resource limits: ``{nofile: 1024:4096}``; a single number sets both the soft and the hard
        limit.

    hostname, user, stop_signal, stop_timeout, log_driver
        Same values as in Docker; the timeout is in seconds.

    log_options
        Options of the log driver. Only the given options are compared, because the daemon adds its
        own defaults.

    userns_mode
        ``host``: on an engine with ``userns-remap``, use the host's user namespace, which
        ``network_mode: host`` requires there. Other engines ignore it.

    image_hash
        SHA-256 of the archive in ``image_source``, as by ``sha256sum``. Another one is not loaded.
    """
    spec = container_options.drop_unset(image=image, **clean_kwargs(**settings))
    apply = __salt__["swarm_container.apply"]
    return state_return.applied(name, __opts__["test"], apply, name, spec, timeout=timeout)


def managed(name):
    """
    Ensure the containers of ``swarm:containers`` for this host run.

    .. code-block:: yaml

        standalone containers are running:
          swarm_container.managed: []

    name
        A name for the report.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_container.apply_all"])


def absent(name):
    """
    Ensure there is no container of this name; its named volumes are kept.

    .. code-block:: yaml

        web:
          swarm_container.absent: []

    name
        Name of the container.
    """
    return state_return.applied(name, __opts__["test"], __salt__["swarm_container.remove"], name)
