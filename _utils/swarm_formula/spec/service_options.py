"""
The options of a service in swarm mode, in one table. Pure.

A new option is one line in ``OPTIONS``. For the API, see moby ``api/types/swarm/service.go``,
``task.go`` and ``container.go``.
"""

from swarm_formula.spec import service_files, service_shapes, service_values
from swarm_formula.spec.option_table import Option, Shape, section

_TASK = ("TaskTemplate",)
_CONTAINER = (*_TASK, "ContainerSpec")
_PLACEMENT = (*_TASK, "Placement")
_RESOURCES = (*_TASK, "Resources")
_LIMITS = (*_RESOURCES, "Limits")
_RESERVED = (*_RESOURCES, "Reservations")
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
            service_shapes.COUNT,
            "Parallelism",
            "tasks at a time, 0 for all at once",
            1,
            written=True,
        ),
        f"{name}.delay": option(
            service_shapes.DURATION, "Delay", "pause between two batches", "0s"
        ),
        f"{name}.failure_action": option(
            on_failure, "FailureAction", f"what follows if {word} fails", "pause"
        ),
        f"{name}.monitor": option(
            service_shapes.DURATION,
            "Monitor",
            "for how long a new task must run to count as good",
            "5s",
        ),
        f"{name}.max_failure_ratio": option(
            service_shapes.RATIO, "MaxFailureRatio", "share of tasks that may fail", 0.0
        ),
        f"{name}.order": option(
            service_shapes.ORDER,
            "Order",
            "whether the old task stops before the new one starts",
            "stop-first",
        ),
    }


OPTIONS: dict[str, Option] = {
    "timeout": Option(
        service_shapes.COUNT,
        (),
        "seconds that an apply waits for its tasks, swarm:timeout if unset",
    ),
    "image": Option(service_shapes.IMAGE, (*_CONTAINER, "Image"), "its image", required=True),
    "resolve": Option(
        service_shapes.RESOLVE,
        (),
        "when the registry is asked for the image's digest",
        service_values.CHANGED,
    ),
    "prepull": Option(
        service_shapes.FLAG,
        (),
        "whether nodes that may run it pull its image before it is changed",
        False,
    ),
    "image_source": Option(
        service_shapes.ARCHIVE,
        (),
        "archive of its image, which these nodes load; then there is no pull",
    ),
    "command": Option(
        service_shapes.WORDS,
        (*_CONTAINER, "Command"),
        "replaces the image's entrypoint",
        [],
        hidden=True,
    ),
    "args": Option(
        service_shapes.WORDS, (*_CONTAINER, "Args"), "replaces the image's command", [], hidden=True
    ),
    "env": Option(
        service_shapes.ENVIRONMENT, (*_CONTAINER, "Env"), "environment variables", {}, hidden=True
    ),
    "env_files": Option(
        service_shapes.SOURCES,
        (),
        "files with variables, a later one counts more; `env` counts most",
        [],
    ),
    "labels": Option(
        service_shapes.LABELS,
        ("Labels",),
        "labels of the service, one by one",
        {},
        hidden=True,
        by_key=True,
    ),
    "container_labels": Option(
        service_shapes.LABELS,
        (*_CONTAINER, "Labels"),
        "labels of its containers, one by one",
        {},
        hidden=True,
        by_key=True,
    ),
    "mode": Option(
        service_shapes.MODE, ("Mode",), "fixed once the service exists", "replicated", required=True
    ),
    "replicas": Option(
        service_shapes.COUNT,
        ("Mode", "Replicated", "Replicas"),
        "number of tasks of a replicated service",
        required=True,
    ),
    "completions": Option(
        service_shapes.COUNT,
        (*_JOB, "TotalCompletions"),
        "number of tasks of a replicated-job that have to complete",
        required=True,
    ),
    "max_concurrent": Option(
        service_shapes.COUNT,
        (*_JOB, "MaxConcurrent"),
        "how many of them run at a time",
        required=True,
    ),
    "rerun": Option(
        service_shapes.TEXT, ("Labels", RERUN), "another value than before runs a job once more"
    ),
    "networks": Option(
        service_shapes.NETWORKS,
        (*_TASK, "Networks"),
        "networks of the cluster that its tasks join",
        {},
    ),
    "ports": Option(service_shapes.PORTS, ("EndpointSpec", "Ports"), "published ports", []),
    "endpoint_mode": Option(
        service_shapes.ENDPOINT,
        ("EndpointSpec", "Mode"),
        "a virtual address, or DNS round robin",
        "vip",
    ),
    "mounts": Option(
        service_shapes.MOUNTS,
        (*_CONTAINER, "Mounts"),
        "mounts of type bind, volume, tmpfs, cluster",
        [],
    ),
    "secrets": Option(
        service_shapes.SECRETS, (*_CONTAINER, "Secrets"), "files in /run/secrets", []
    ),
    "configs": Option(
        service_shapes.CONFIGS, (*_CONTAINER, "Configs"), "files, by default in /", []
    ),
    "constraints": Option(
        service_shapes.CONSTRAINTS, (*_PLACEMENT, "Constraints"), "nodes that may run a task", []
    ),
    "preferences": Option(
        service_shapes.PREFERENCES,
        (*_PLACEMENT, "Preferences"),
        "labels over which tasks are spread",
        [],
    ),
    "max_replicas_per_node": Option(
        service_shapes.COUNT,
        (*_PLACEMENT, "MaxReplicas"),
        "tasks on one node at most, 0 for any number",
        0,
    ),
    "affinities": Option(
        service_shapes.AFFINITIES,
        (),
        "classic mode only: containers, images or labels to be near, or not",
        [],
    ),
    "reschedule": Option(
        service_shapes.RESCHEDULE,
        (),
        "classic mode only: whether a container leaves a node that has failed",
        "off",
    ),
    "limits": section(_LIMITS, "what a task may use at most"),
    "limits.cpus": Option(
        service_shapes.CPUS, (*_LIMITS, "NanoCPUs"), "CPUs that a task may use", 0.0
    ),
    "limits.memory": Option(
        service_shapes.SIZE, (*_LIMITS, "MemoryBytes"), "memory that a task may use", 0
    ),
    "limits.pids": Option(
        service_shapes.COUNT, (*_LIMITS, "Pids"), "processes that a task may have", 0
    ),
    "memory_swap": Option(
        service_shapes.SWAP,
        (*_RESOURCES, "SwapBytes"),
        "swap that a task may use beside limits.memory, -1 for any amount",
    ),
    "memory_swappiness": Option(
        service_shapes.PERCENT,
        (*_RESOURCES, "MemorySwappiness"),
        "how soon its memory is swapped out",
    ),
    "reservations": section(_RESERVED, "what a node must have free for a task"),
    "reservations.cpus": Option(
        service_shapes.CPUS, (*_RESERVED, "NanoCPUs"), "CPUs that a node must have left", 0.0
    ),
    "reservations.memory": Option(
        service_shapes.SIZE, (*_RESERVED, "MemoryBytes"), "memory that it must have left", 0
    ),
    "reservations.generic": Option(
        service_shapes.GENERIC,
        (*_RESERVED, "GenericResources"),
        "generic resources that it must have left",
        {},
    ),
    "healthcheck": section(_HEALTH, "replaces the image's health check"),
    "healthcheck.test": Option(
        service_shapes.PROBE, (*_HEALTH, "Test"), "command that checks a task", hidden=True
    ),
    "healthcheck.interval": Option(
        service_shapes.DURATION, (*_HEALTH, "Interval"), "pause between two checks", "0s"
    ),
    "healthcheck.timeout": Option(
        service_shapes.DURATION, (*_HEALTH, "Timeout"), "limit of one check", "0s"
    ),
    "healthcheck.start_period": Option(
        service_shapes.DURATION,
        (*_HEALTH, "StartPeriod"),
        "time in which failures do not count",
        "0s",
    ),
    "healthcheck.start_interval": Option(
        service_shapes.DURATION,
        (*_HEALTH, "StartInterval"),
        "pause between two checks in that time",
        "0s",
    ),
    "healthcheck.retries": Option(
        service_shapes.COUNT, (*_HEALTH, "Retries"), "failures in a row that make it unhealthy", 0
    ),
    **_rollout("update_config", "UpdateConfig", "an update", service_shapes.ON_FAILURE),
    **_rollout(
        "rollback_config", "RollbackConfig", "a rollback", service_shapes.ON_FAILED_ROLLBACK
    ),
    "restart_policy": section(_RESTART, "when a task that ended is replaced"),
    "restart_policy.condition": Option(
        service_shapes.CONDITION, (*_RESTART, "Condition"), "which end counts", "any"
    ),
    "restart_policy.delay": Option(
        service_shapes.DURATION, (*_RESTART, "Delay"), "pause before the new task", "5s"
    ),
    "restart_policy.max_attempts": Option(
        service_shapes.COUNT, (*_RESTART, "MaxAttempts"), "how often at most, 0 for any number", 0
    ),
    "restart_policy.window": Option(
        service_shapes.DURATION, (*_RESTART, "Window"), "time in which attempts are counted", "0s"
    ),
    "user": Option(
        service_shapes.USER, (*_CONTAINER, "User"), "user of the process, and its group"
    ),
    "groups": Option(
        service_shapes.TEXTS, (*_CONTAINER, "Groups"), "more groups of the process", []
    ),
    "workdir": Option(service_shapes.TEXT, (*_CONTAINER, "Dir"), "working directory"),
    "hostname": Option(
        service_shapes.TEXT, (*_CONTAINER, "Hostname"), "host name; may be a template of Docker's"
    ),
    "stop_signal": Option(
        service_shapes.SIGNAL, (*_CONTAINER, "StopSignal"), "signal that stops it"
    ),
    "stop_grace_period": Option(
        service_shapes.DURATION, (*_CONTAINER, "StopGracePeriod"), "time until it is killed", "10s"
    ),
    "dns": Option(service_shapes.ADDRESSES, (*_DNS, "Nameservers"), "name servers", []),
    "dns_search": Option(service_shapes.TEXTS, (*_DNS, "Search"), "search domains", []),
    "dns_options": Option(service_shapes.TEXTS, (*_DNS, "Options"), "options of the resolver", []),
    "hosts": Option(service_shapes.HOSTS, (*_CONTAINER, "Hosts"), "more lines of /etc/hosts", []),
    "init": Option(
        service_shapes.FLAG, (*_CONTAINER, "Init"), "whether an init process reaps children"
    ),
    "read_only": Option(
        service_shapes.FLAG, (*_CONTAINER, "ReadOnly"), "read-only root file system", False
    ),
    "tty": Option(service_shapes.FLAG, (*_CONTAINER, "TTY"), "whether it gets a terminal", False),
    "stdin": Option(
        service_shapes.FLAG, (*_CONTAINER, "OpenStdin"), "keeps its standard input open", False
    ),
    "cap_add": Option(
        service_shapes.CAPABILITIES, (*_CONTAINER, "CapabilityAdd"), "more capabilities", []
    ),
    "cap_drop": Option(
        service_shapes.CAPABILITIES, (*_CONTAINER, "CapabilityDrop"), "fewer capabilities", []
    ),
    "sysctls": Option(
        service_shapes.TABLE, (*_CONTAINER, "Sysctls"), "kernel parameters of its namespaces", {}
    ),
    "ulimits": Option(
        service_shapes.ULIMITS, (*_CONTAINER, "Ulimits"), "resource limits of a process", {}
    ),
    "oom_score_adj": Option(
        service_shapes.OOM_SCORE,
        (*_CONTAINER, "OomScoreAdj"),
        "how soon a node without free memory ends it",
        0,
    ),
    "isolation": Option(
        service_shapes.ISOLATION,
        (*_CONTAINER, "Isolation"),
        "nodes with Windows only: what isolates it",
        "default",
    ),
    "credential_spec": Option(
        service_shapes.CREDENTIALS,
        (*_CONTAINER, "Privileges", "CredentialSpec"),
        "nodes with Windows only: the managed account of its processes",
    ),
    "logging": section(_LOG, "log driver of its containers [that of the engine]"),
    "logging.driver": Option(service_shapes.TEXT, (*_LOG, "Name"), "log driver"),
    "logging.options": Option(
        service_shapes.TABLE, (*_LOG, "Options"), "options of the log driver", {}, hidden=True
    ),
}
# Options that refer to an object of the cluster, and the key of the list that holds it.
FILES = {"secrets": service_files.SECRETS, "configs": service_files.CONFIGS}
