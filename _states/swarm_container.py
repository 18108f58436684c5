"""
Manage containers of this machine's own Docker Engine.
"""

import swarm_ret
import swarm_spec

__virtualname__ = "swarm_container"


def __virtual__():
    if "swarm_container.apply" not in __salt__:
        return False, "The swarm_container execution module is not available"
    return __virtualname__


def running(  # noqa: PLR0917
    name,
    image,
    image_source=None,
    command=None,
    entrypoint=None,
    environment=None,
    ports=None,
    mounts=None,
    network_mode=None,
    restart_policy=None,
    labels=None,
    cap_add=None,
    cap_drop=None,
    memory=None,
    cpus=None,
    ulimits=None,
    hostname=None,
    user=None,
    stop_signal=None,
    stop_timeout=None,
    log_driver=None,
    log_options=None,
    timeout=180,
):
    """
    Ensure a container runs with the given settings; those left out are left alone.

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

    An empty list or dictionary means: have none. A changed restart policy, and a changed memory or
    CPU limit, are set in the running container; all else means a new one. The old one stays,
    stopped, until the new one is up, and comes back if that fails. Anonymous volumes go with it.
    For what is left out, the new one has Docker's and the image's defaults.

    name
        Name of the container.

    image
        Image by tag, digest or ID. A container made of another image ID than this image has now, is
        recreated.

    image_source
        Where the image comes from if there is no local one of that name: an archive made by
        ``docker save``, as ``salt://``, ``http(s)://`` or a path. A local image is kept even if the
        archive holds something newer by now: give new content a new tag, or run
        ``swarm_image.load``. Without it, the image is pulled from its registry.

    command
        The program's arguments, a list or one string. Empty: those of the image.

    entrypoint
        The program, a list or one string, in place of the image's.

    environment
        All environment variables beyond those of the image. Values that look secret by their name
        are reported as a short hash.

    ports
        All published ports, as ``[ip:]host:container[/protocol]``.

    mounts
        All named volumes and bind mounts, as ``source:target[:options]``.

    network_mode
        ``bridge``, ``host``, ``none``, ``container:<name>`` or the name of a network.

    restart_policy
        ``no``, ``always``, ``unless-stopped``, ``on-failure`` or ``on-failure:<times>``.

    labels
        All labels beyond those of the image.

    cap_add, cap_drop
        Linux capabilities, with or without ``CAP_``.

    memory
        Limit as a number of bytes or with a unit: ``512m``, ``1g``. Zero: none.

    cpus
        Limit as a number of CPUs: ``0.5``. Zero: none.

    ulimits
        Resource limits: ``{nofile: 1024:4096}``; one number is both soft and hard.

    hostname, user, stop_signal, stop_timeout, log_driver
        As Docker takes them; the timeout in seconds.

    log_options
        Options of the log driver. Only those given are compared: the daemon adds its own defaults.

    timeout
        Seconds that loading or pulling the image may take. Defaults to 180.
    """
    spec = swarm_spec.drop_unset(
        image=image,
        image_source=image_source,
        command=command,
        entrypoint=entrypoint,
        environment=environment,
        ports=ports,
        mounts=mounts,
        network_mode=network_mode,
        restart_policy=restart_policy,
        labels=labels,
        cap_add=cap_add,
        cap_drop=cap_drop,
        memory=memory,
        cpus=cpus,
        ulimits=ulimits,
        hostname=hostname,
        user=user,
        stop_signal=stop_signal,
        stop_timeout=stop_timeout,
        log_driver=log_driver,
        log_options=log_options,
    )
    apply = __salt__["swarm_container.apply"]
    return swarm_ret.applied(name, __opts__["test"], apply, name, spec, timeout=timeout)


def absent(name):
    """
    Ensure there is no container of this name; its named volumes stay.

    .. code-block:: yaml

        web:
          swarm_container.absent: []

    name
        Name of the container.
    """
    return swarm_ret.applied(name, __opts__["test"], __salt__["swarm_container.remove"], name)
