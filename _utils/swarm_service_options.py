"""
The options of a service in swarm mode, in one table. Pure.

A new option is one line in ``OPTIONS``. For the API, see moby ``api/types/swarm/service.go``,
``task.go`` and ``container.go``.
"""

import swarm_service_files
import swarm_service_shapes as shapes
import swarm_service_values as values
from swarm_options import Option, Shape, section

_TASK = ("TaskTemplate",)
_CONTAINER = (*_TASK, "ContainerSpec")
_PLACEMENT = (*_TASK, "Placement")
_LIMITS = (*_TASK, "Resources", "Limits")
_RESERVED = (*_TASK, "Resources", "Reservations")
_RESTART = (*_TASK, "RestartPolicy")
_LOG = (*_TASK, "LogDriver")
_HEALTH = (*_CONTAINER, "Healthcheck")
_DNS = (*_CONTAINER, "DNSConfig")
_JOB = ("Mode", "ReplicatedJob")
RERUN = "swarm-formula.rerun"


def _rollout(name: str, place: str, word: str, on_failure: Shape) -> dict[str, Option]:
    """Return the options of updates or of rollbacks."""

    def option(shape: Shape, key: str, text: str, default: object, **more: bool) -> Option:
        return Option(shape, (place, key), text, default, **more)

    return {
        name: section((place,), f"how {word} proceeds"),
        f"{name}.parallelism": option(
            shapes.COUNT, "Parallelism", "tasks at a time, 0 for all at once", 1, written=True
        ),
        f"{name}.delay": option(shapes.DURATION, "Delay", "pause between two batches", "0s"),
        f"{name}.failure_action": option(
            on_failure, "FailureAction", f"what follows if {word} fails", "pause"
        ),
        f"{name}.monitor": option(
            shapes.DURATION, "Monitor", "for how long a new task must run to count as good", "5s"
        ),
        f"{name}.max_failure_ratio": option(
            shapes.RATIO, "MaxFailureRatio", "share of tasks that may fail", 0.0
        ),
        f"{name}.order": option(
            shapes.ORDER,
            "Order",
            "whether the old task stops before the new one starts",
            "stop-first",
        ),
    }


OPTIONS: dict[str, Option] = {
    "timeout": Option(
        shapes.COUNT, (), "seconds that an apply waits for its tasks, swarm:timeout if unset"
    ),
    "image": Option(shapes.IMAGE, (*_CONTAINER, "Image"), "its image", required=True),
    "resolve": Option(
        shapes.RESOLVE, (), "when the registry is asked for the image's digest", values.CHANGED
    ),
    "prepull": Option(
        shapes.FLAG,
        (),
        "whether nodes that may run it pull its image before it is changed",
        False,
    ),
    "image_source": Option(
        shapes.ARCHIVE, (), "archive of its image, which these nodes load; then there is no pull"
    ),
    "command": Option(
        shapes.WORDS, (*_CONTAINER, "Command"), "replaces the image's entrypoint", [], hidden=True
    ),
    "args": Option(
        shapes.WORDS, (*_CONTAINER, "Args"), "replaces the image's command", [], hidden=True
    ),
    "env": Option(
        shapes.ENVIRONMENT, (*_CONTAINER, "Env"), "environment variables", {}, hidden=True
    ),
    "labels": Option(
        shapes.LABELS,
        ("Labels",),
        "labels of the service, one by one",
        {},
        hidden=True,
        by_key=True,
    ),
    "container_labels": Option(
        shapes.LABELS,
        (*_CONTAINER, "Labels"),
        "labels of its containers, one by one",
        {},
        hidden=True,
        by_key=True,
    ),
    "mode": Option(
        shapes.MODE, ("Mode",), "fixed once the service exists", "replicated", required=True
    ),
    "replicas": Option(
        shapes.COUNT,
        ("Mode", "Replicated", "Replicas"),
        "number of tasks of a replicated service",
        required=True,
    ),
    "completions": Option(
        shapes.COUNT,
        (*_JOB, "TotalCompletions"),
        "number of tasks of a replicated-job that have to complete",
        required=True,
    ),
    "max_concurrent": Option(
        shapes.COUNT, (*_JOB, "MaxConcurrent"), "how many of them run at a time", required=True
    ),
    "rerun": Option(
        shapes.TEXT, ("Labels", RERUN), "another value than before runs a job once more"
    ),
    "networks": Option(
        shapes.NETWORKS, (*_TASK, "Networks"), "networks of the cluster that its tasks join", {}
    ),
    "ports": Option(shapes.PORTS, ("EndpointSpec", "Ports"), "published ports", []),
    "endpoint_mode": Option(
        shapes.ENDPOINT, ("EndpointSpec", "Mode"), "a virtual address, or DNS round robin", "vip"
    ),
    "mounts": Option(
        shapes.MOUNTS, (*_CONTAINER, "Mounts"), "mounts of type bind, volume, tmpfs", []
    ),
    "secrets": Option(shapes.SECRETS, (*_CONTAINER, "Secrets"), "files in /run/secrets", []),
    "configs": Option(shapes.CONFIGS, (*_CONTAINER, "Configs"), "files, by default in /", []),
    "constraints": Option(
        shapes.CONSTRAINTS, (*_PLACEMENT, "Constraints"), "nodes that may run a task", []
    ),
    "preferences": Option(
        shapes.PREFERENCES, (*_PLACEMENT, "Preferences"), "labels over which tasks are spread", []
    ),
    "max_replicas_per_node": Option(
        shapes.COUNT, (*_PLACEMENT, "MaxReplicas"), "tasks on one node at most, 0 for any number", 0
    ),
    "affinities": Option(
        shapes.AFFINITIES,
        (),
        "classic mode only: containers, images or labels to be near, or not",
        [],
    ),
    "reschedule": Option(
        shapes.RESCHEDULE,
        (),
        "classic mode only: whether a container leaves a node that has failed",
        "off",
    ),
    "limits": section(_LIMITS, "what a task may use at most"),
    "limits.cpus": Option(shapes.CPUS, (*_LIMITS, "NanoCPUs"), "CPUs that a task may use", 0.0),
    "limits.memory": Option(
        shapes.SIZE, (*_LIMITS, "MemoryBytes"), "memory that a task may use", 0
    ),
    "limits.pids": Option(shapes.COUNT, (*_LIMITS, "Pids"), "processes that a task may have", 0),
    "reservations": section(_RESERVED, "what a node must have free for a task"),
    "reservations.cpus": Option(
        shapes.CPUS, (*_RESERVED, "NanoCPUs"), "CPUs that a node must have left", 0.0
    ),
    "reservations.memory": Option(
        shapes.SIZE, (*_RESERVED, "MemoryBytes"), "memory that it must have left", 0
    ),
    "reservations.generic": Option(
        shapes.GENERIC,
        (*_RESERVED, "GenericResources"),
        "generic resources that it must have left",
        {},
    ),
    "healthcheck": section(_HEALTH, "replaces the image's health check"),
    "healthcheck.test": Option(
        shapes.PROBE, (*_HEALTH, "Test"), "command that checks a task", hidden=True
    ),
    "healthcheck.interval": Option(
        shapes.DURATION, (*_HEALTH, "Interval"), "pause between two checks", "0s"
    ),
    "healthcheck.timeout": Option(
        shapes.DURATION, (*_HEALTH, "Timeout"), "limit of one check", "0s"
    ),
    "healthcheck.start_period": Option(
        shapes.DURATION, (*_HEALTH, "StartPeriod"), "time in which failures do not count", "0s"
    ),
    "healthcheck.retries": Option(
        shapes.COUNT, (*_HEALTH, "Retries"), "failures in a row that make it unhealthy", 0
    ),
    **_rollout("update_config", "UpdateConfig", "an update", shapes.ON_FAILURE),
    **_rollout("rollback_config", "RollbackConfig", "a rollback", shapes.ON_FAILED_ROLLBACK),
    "restart_policy": section(_RESTART, "when a task that ended is replaced"),
    "restart_policy.condition": Option(
        shapes.CONDITION, (*_RESTART, "Condition"), "which end counts", "any"
    ),
    "restart_policy.delay": Option(
        shapes.DURATION, (*_RESTART, "Delay"), "pause before the new task", "5s"
    ),
    "restart_policy.max_attempts": Option(
        shapes.COUNT, (*_RESTART, "MaxAttempts"), "how often at most, 0 for any number", 0
    ),
    "restart_policy.window": Option(
        shapes.DURATION, (*_RESTART, "Window"), "time in which attempts are counted", "0s"
    ),
    "user": Option(shapes.USER, (*_CONTAINER, "User"), "user of the process, and its group"),
    "groups": Option(shapes.TEXTS, (*_CONTAINER, "Groups"), "more groups of the process", []),
    "workdir": Option(shapes.TEXT, (*_CONTAINER, "Dir"), "working directory"),
    "hostname": Option(
        shapes.TEXT, (*_CONTAINER, "Hostname"), "host name; may be a template of Docker's"
    ),
    "stop_signal": Option(shapes.SIGNAL, (*_CONTAINER, "StopSignal"), "signal that stops it"),
    "stop_grace_period": Option(
        shapes.DURATION, (*_CONTAINER, "StopGracePeriod"), "time until it is killed", "10s"
    ),
    "dns": Option(shapes.ADDRESSES, (*_DNS, "Nameservers"), "name servers", []),
    "dns_search": Option(shapes.TEXTS, (*_DNS, "Search"), "search domains", []),
    "dns_options": Option(shapes.TEXTS, (*_DNS, "Options"), "options of the resolver", []),
    "hosts": Option(shapes.HOSTS, (*_CONTAINER, "Hosts"), "more lines of /etc/hosts", []),
    "init": Option(shapes.FLAG, (*_CONTAINER, "Init"), "whether an init process reaps children"),
    "read_only": Option(
        shapes.FLAG, (*_CONTAINER, "ReadOnly"), "read-only root file system", False
    ),
    "tty": Option(shapes.FLAG, (*_CONTAINER, "TTY"), "whether it gets a terminal", False),
    "stdin": Option(
        shapes.FLAG, (*_CONTAINER, "OpenStdin"), "keeps its standard input open", False
    ),
    "cap_add": Option(shapes.CAPABILITIES, (*_CONTAINER, "CapabilityAdd"), "more capabilities", []),
    "cap_drop": Option(
        shapes.CAPABILITIES, (*_CONTAINER, "CapabilityDrop"), "fewer capabilities", []
    ),
    "sysctls": Option(
        shapes.TABLE, (*_CONTAINER, "Sysctls"), "kernel parameters of its namespaces", {}
    ),
    "ulimits": Option(shapes.ULIMITS, (*_CONTAINER, "Ulimits"), "resource limits of a process", {}),
    "logging": section(_LOG, "log driver of its containers [that of the engine]"),
    "logging.driver": Option(shapes.TEXT, (*_LOG, "Name"), "log driver"),
    "logging.options": Option(
        shapes.TABLE, (*_LOG, "Options"), "options of the log driver", {}, hidden=True
    ),
}
# Options that refer to an object of the cluster, and the key of the list that holds it.
FILES = {"secrets": swarm_service_files.SECRETS, "configs": swarm_service_files.CONFIGS}
