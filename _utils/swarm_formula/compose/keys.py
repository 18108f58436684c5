"""
Tell which key of a compose file's service is which option, and which keys are not kept, and why.

What ``docker stack deploy`` ignores is ignored, and what it refuses is refused.
"""

from swarm_formula.spec import service_options

# Labels of what belongs to a stack.
NAMESPACE, IMAGE = "com.docker.stack.namespace", "com.docker.stack.image"


def _of_sections(place: str, *sections: str) -> dict[str, str]:
    return {
        f"{place}{name}": name
        for name in service_options.OPTIONS
        if name.partition(".")[0] in sections and "." in name
    }


# Keys that are an option of the formula, with a value in the same words.
OPTIONS = {
    "image": "image",
    "entrypoint": "command",
    "command": "args",
    "labels": "container_labels",
    "hostname": "hostname",
    "user": "user",
    "group_add": "groups",
    "working_dir": "workdir",
    "stop_signal": "stop_signal",
    "stop_grace_period": "stop_grace_period",
    "init": "init",
    "read_only": "read_only",
    "tty": "tty",
    "stdin_open": "stdin",
    "dns": "dns",
    "dns_search": "dns_search",
    "dns_opt": "dns_options",
    "extra_hosts": "hosts",
    "cap_add": "cap_add",
    "cap_drop": "cap_drop",
    "sysctls": "sysctls",
    "ulimits": "ulimits",
    "oom_score_adj": "oom_score_adj",
    "isolation": "isolation",
    # Of version 2: `docker stack deploy` does not take them.
    "mem_limit": "limits.memory",
    "cpus": "limits.cpus",
    "pids_limit": "limits.pids",
    "mem_reservation": "reservations.memory",
    **_of_sections("", "healthcheck", "logging"),
    "deploy.labels": "labels",
    "deploy.endpoint_mode": "endpoint_mode",
    "deploy.placement.constraints": "constraints",
    "deploy.placement.preferences": "preferences",
    "deploy.placement.max_replicas_per_node": "max_replicas_per_node",
    **_of_sections("deploy.resources.", "limits", "reservations"),
    **_of_sections("deploy.", "update_config", "rollback_config", "restart_policy"),
}

# A compose file has them in another form.
GENERIC, GENERIC_KEY = "reservations.generic", "deploy.resources.reservations.generic_resources"
del OPTIONS[f"deploy.resources.{GENERIC}"]

# The key of each option, for the faults; where there are two, the one of `deploy`.
KEY_OF = {option: key for key, option in OPTIONS.items()}
KEY_OF |= {GENERIC: GENERIC_KEY, "env": "environment", "mounts": "volumes"}
KEY_OF |= {"mode": "deploy.mode", "replicas": "deploy.replicas"}

ON_EACH_NODE = "swarm mode has no such option"
IGNORED = {
    "annotations": ON_EACH_NODE,
    "attach": "it is for `docker compose up`",
    "build": "nodes cannot build images: push the image, and name it in `image`",
    "cgroup": ON_EACH_NODE,
    "cgroup_parent": ON_EACH_NODE,
    "cgroupns_mode": ON_EACH_NODE,
    "container_name": "tasks have names of their own",
    "depends_on": "services start in any order: let them try again, or give them a healthcheck",
    "develop": "it is for `docker compose watch`",
    "device_cgroup_rules": ON_EACH_NODE,
    "devices": ON_EACH_NODE,
    "domainname": ON_EACH_NODE,
    "expose": "services reach each other on all ports",
    "external_links": "services of a common network reach each other by name",
    "ipc": ON_EACH_NODE,
    "links": "services of a common network reach each other by name",
    "mac_address": ON_EACH_NODE,
    "network_mode": "use a network, or {host: {external: true, name: host}} in `networks`",
    "oom_kill_disable": ON_EACH_NODE,
    "pid": ON_EACH_NODE,
    "platform": "use deploy.placement.constraints with node.platform.arch",
    "privileged": ON_EACH_NODE,
    "pull_policy": "nodes pull an image that they do not have",
    "security_opt": ON_EACH_NODE,
    "shm_size": "use a volume of type tmpfs at /dev/shm",
    "userns_mode": ON_EACH_NODE,
    "uts": ON_EACH_NODE,
}
_LIMITS = "deploy.resources: stacks have no other limits"
MERGE = "what `docker compose config` makes of the file"
REFUSED = {
    "blkio_config": _LIMITS,
    "cpu_count": _LIMITS,
    "cpu_percent": _LIMITS,
    "cpu_period": _LIMITS,
    "cpu_quota": _LIMITS,
    "cpu_rt_period": _LIMITS,
    "cpu_rt_runtime": _LIMITS,
    "cpu_shares": _LIMITS,
    "cpuset": _LIMITS,
    "memswap_limit": _LIMITS,
    "mem_swappiness": _LIMITS,
    "storage_opt": _LIMITS,
    "extends": MERGE,
    "gpus": "no such key: services have no devices",
    "runtime": "no such key: services have the default runtime of the engine",
    "label_file": "labels",
    "post_start": "no such key: swarm mode runs no commands beside a task",
    "pre_stop": "no such key: swarm mode runs no commands beside a task",
    "provider": "no such key: only services that are containers",
    "use_api_socket": "no such key: mount the socket, on managers only",
    "volume_driver": "`driver` of a volume in `volumes` of the file",
    "volumes_from": "a volume in `volumes` of the file, that both services name",
    "deploy.resources.reservations.devices": "no such key: services have no devices",
}

# In classic mode, a key that docker-compose would keep is refused where services cannot keep it.
_OF_CONTAINERS = (
    "swarm:containers, or docker-compose against the managers: services have no such option"
)
IGNORED_IN_CLASSIC = {
    **{
        key: IGNORED[key]
        for key in (
            *("attach", "build", "depends_on", "develop", "expose", "external_links", "links"),
            "pull_policy",
        )
    },
    "container_name": "the containers of a service have names of their own",
}
REFUSED_IN_CLASSIC = {
    **REFUSED,
    **{key: _OF_CONTAINERS for key in IGNORED if key not in IGNORED_IN_CLASSIC},
    "network_mode": "a network, or {host: {external: true, name: host}} in `networks`",
    "platform": "deploy.placement.constraints with a label of the nodes",
    "shm_size": "a volume of type tmpfs at /dev/shm",
}
