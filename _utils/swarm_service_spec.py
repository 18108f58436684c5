"""
The options of a service in swarm mode: one table, and what follows from it. Pure.

A new option is one line in ``OPTIONS``. For the API, see moby ``api/types/swarm/service.go``,
``task.go`` and ``container.go``.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import swarm_options
import swarm_placement
import swarm_service_files
import swarm_service_mounts
import swarm_service_networks
import swarm_service_parts as parts
import swarm_service_ports
import swarm_service_values as values
import swarm_values
from swarm_fault import Fault
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

TEXT = Shape(parts.text, "a text")
USER = Shape(values.user, 'a user in quotes, such as "1000:1000"')
FLAG = Shape(parts.flag, "true or false, without quotes")
COUNT = Shape(values.count, "a whole number, at least 0")
RATIO = Shape(values.ratio, "a number from 0 to 1")
SIZE = Shape(values.memory, "a size, such as 512m or 1g")
CPUS = Shape(
    values.cpus,
    "a number of CPUs, such as 0.5",
    encode=lambda cpus: round(cpus * 1e9),
    decode=lambda raw: raw / 1e9,
)
GENERIC = Shape(
    values.generic,
    "a mapping such as {gpu: 2}",
    encode=values.resources,
    decode=values.resources_found,
)
DURATION = Shape(
    values.duration,
    "a duration, such as 1m30s",
    encode=values.nanoseconds,
    decode=values.spelled,
)
WORDS = Shape(values.words, "a list of words, or one text")
TEXTS = Shape(parts.texts, "a list of texts")
CAPABILITIES = Shape(values.names, "a list such as [NET_ADMIN]", encode=values.capabilities)
TABLE = Shape(parts.table, "a mapping of plain values")
LABELS = Shape(values.labels, "a mapping of plain values; null takes a label away")
ENVIRONMENT = Shape(
    values.environment,
    "a mapping of plain values, or a list such as [NAME=value]",
    encode=values.assignments,
    decode=values.variables,
)
IMAGE = Shape(values.image, "the name of an image, such as nginx:1.27", equal=values.same_image)
SIGNAL = Shape(swarm_values.signal, "a signal, such as SIGINT")
ULIMITS = Shape(
    values.ulimits,
    "a mapping such as {nofile: 1024:4096}",
    encode=values.limits,
    decode=values.limits_found,
)
MODE = Shape(
    values.mode,
    "replicated, global, replicated-job or global-job",
    encode=values.mode_encoded,
    decode=values.mode_found,
)
NETWORKS = Shape(
    swarm_service_networks.networks,
    "a list of networks, or a mapping such as {backend: {aliases: [db]}}",
    encode=swarm_service_networks.attachments,
    decode=swarm_service_networks.attachments_found,
)
PORTS = Shape(
    swarm_service_ports.ports,
    'a list such as ["8080:80", "53:53/udp", {published: 443, target: 443, mode: host}]',
    encode=swarm_service_ports.published,
    decode=swarm_service_ports.published_found,
)
MOUNTS = Shape(
    swarm_service_mounts.mounts,
    'a list such as ["data:/data", "/etc/x:/etc/x:ro", {type: tmpfs, target: /tmp, size: 64m}]',
    encode=swarm_service_mounts.mounted,
    decode=swarm_service_mounts.mounts_found,
)
SECRETS = Shape(
    swarm_service_files.SECRETS.normal,
    "a list such as [password, {name: key, target: tls.key, mode: '0400'}]",
    encode=swarm_service_files.SECRETS.encode,
    decode=swarm_service_files.SECRETS.decode,
)
CONFIGS = Shape(
    swarm_service_files.CONFIGS.normal,
    "a list such as [site, {name: site, target: /etc/nginx/nginx.conf}]",
    encode=swarm_service_files.CONFIGS.encode,
    decode=swarm_service_files.CONFIGS.decode,
)
CONSTRAINTS = Shape(values.constraints, "a list such as [node.labels.zone==a]")
PREFERENCES = Shape(
    values.preferences,
    "a list such as [spread=node.labels.zone]",
    encode=values.spread,
    decode=values.spread_found,
)
HOSTS = Shape(
    values.hosts,
    "a mapping such as {db.example.com: 10.0.0.5}",
    encode=values.hosts_lines,
    decode=values.hosts_found,
)
AFFINITIES = Shape(swarm_placement.affinities, "a list such as [container==db, zone!=~a]")
RESCHEDULE = Shape(parts.one_of("off", "on-node-failure"), "'off' in quotes, or on-node-failure")
ADDRESSES = Shape(values.addresses, "a list of IP addresses")
PROBE = Shape(values.probe, "a text for a shell, [CMD, word, ...], [CMD-SHELL, text] or [NONE]")
CONDITION = Shape(parts.one_of("none", "on-failure", "any"), "none, on-failure or any")
ORDER = Shape(parts.one_of("stop-first", "start-first"), "stop-first or start-first")
ENDPOINT = Shape(parts.one_of("vip", "dnsrr"), "vip or dnsrr")
RESOLVE = Shape(
    parts.one_of(values.ALWAYS, values.CHANGED, values.NEVER), "always, changed or never"
)
ARCHIVE = Shape(values.archive, "salt://..., https://... or an absolute path of an image's tar")
ON_FAILURE = Shape(parts.one_of("pause", "continue", "rollback"), "pause, continue or rollback")
ON_FAILED_ROLLBACK = Shape(parts.one_of("pause", "continue"), "pause or continue")


def _rollout(name: str, place: str, word: str, on_failure: Shape) -> dict[str, Option]:
    """Return the options of updates or of rollbacks."""

    def option(shape: Shape, key: str, text: str, default: object, **more: bool) -> Option:
        return Option(shape, (place, key), text, default, **more)

    return {
        name: section((place,), f"how {word} proceeds"),
        f"{name}.parallelism": option(
            COUNT, "Parallelism", "tasks at a time, 0 for all at once", 1, written=True
        ),
        f"{name}.delay": option(DURATION, "Delay", "pause between two batches", "0s"),
        f"{name}.failure_action": option(
            on_failure, "FailureAction", f"what follows if {word} fails", "pause"
        ),
        f"{name}.monitor": option(
            DURATION, "Monitor", "for how long a new task must run to count as good", "5s"
        ),
        f"{name}.max_failure_ratio": option(
            RATIO, "MaxFailureRatio", "share of tasks that may fail", 0.0
        ),
        f"{name}.order": option(
            ORDER, "Order", "whether the old task stops before the new one starts", "stop-first"
        ),
    }


OPTIONS: dict[str, Option] = {
    "timeout": Option(
        COUNT, (), "seconds that an apply waits for its tasks, swarm:timeout if unset"
    ),
    "image": Option(IMAGE, (*_CONTAINER, "Image"), "its image", required=True),
    "resolve": Option(
        RESOLVE, (), "when the registry is asked for the image's digest", values.CHANGED
    ),
    "prepull": Option(
        FLAG, (), "whether nodes that may run it pull its image before it is changed", False
    ),
    "image_source": Option(
        ARCHIVE, (), "archive of its image, which these nodes load; then there is no pull"
    ),
    "command": Option(
        WORDS, (*_CONTAINER, "Command"), "replaces the image's entrypoint", [], hidden=True
    ),
    "args": Option(WORDS, (*_CONTAINER, "Args"), "replaces the image's command", [], hidden=True),
    "env": Option(ENVIRONMENT, (*_CONTAINER, "Env"), "environment variables", {}, hidden=True),
    "labels": Option(
        LABELS, ("Labels",), "labels of the service, one by one", {}, hidden=True, by_key=True
    ),
    "container_labels": Option(
        LABELS,
        (*_CONTAINER, "Labels"),
        "labels of its containers, one by one",
        {},
        hidden=True,
        by_key=True,
    ),
    "mode": Option(MODE, ("Mode",), "fixed once the service exists", "replicated", required=True),
    "replicas": Option(
        COUNT,
        ("Mode", "Replicated", "Replicas"),
        "number of tasks of a replicated service",
        required=True,
    ),
    "completions": Option(
        COUNT,
        (*_JOB, "TotalCompletions"),
        "number of tasks of a replicated-job that have to complete",
        required=True,
    ),
    "max_concurrent": Option(
        COUNT, (*_JOB, "MaxConcurrent"), "how many of them run at a time", required=True
    ),
    "rerun": Option(TEXT, ("Labels", RERUN), "another value than before runs a job once more"),
    "networks": Option(
        NETWORKS, (*_TASK, "Networks"), "networks of the cluster that its tasks join", {}
    ),
    "ports": Option(PORTS, ("EndpointSpec", "Ports"), "published ports", []),
    "endpoint_mode": Option(
        ENDPOINT, ("EndpointSpec", "Mode"), "a virtual address, or DNS round robin", "vip"
    ),
    "mounts": Option(MOUNTS, (*_CONTAINER, "Mounts"), "mounts of type bind, volume, tmpfs", []),
    "secrets": Option(SECRETS, (*_CONTAINER, "Secrets"), "files in /run/secrets", []),
    "configs": Option(CONFIGS, (*_CONTAINER, "Configs"), "files, by default in /", []),
    "constraints": Option(
        CONSTRAINTS, (*_PLACEMENT, "Constraints"), "nodes that may run a task", []
    ),
    "preferences": Option(
        PREFERENCES, (*_PLACEMENT, "Preferences"), "labels over which tasks are spread", []
    ),
    "max_replicas_per_node": Option(
        COUNT, (*_PLACEMENT, "MaxReplicas"), "tasks on one node at most, 0 for any number", 0
    ),
    "affinities": Option(
        AFFINITIES, (), "classic mode only: containers, images or labels to be near, or not", []
    ),
    "reschedule": Option(
        RESCHEDULE,
        (),
        "classic mode only: whether a container leaves a node that has failed",
        "off",
    ),
    "limits": section(_LIMITS, "what a task may use at most"),
    "limits.cpus": Option(CPUS, (*_LIMITS, "NanoCPUs"), "CPUs that a task may use", 0.0),
    "limits.memory": Option(SIZE, (*_LIMITS, "MemoryBytes"), "memory that a task may use", 0),
    "limits.pids": Option(COUNT, (*_LIMITS, "Pids"), "processes that a task may have", 0),
    "reservations": section(_RESERVED, "what a node must have free for a task"),
    "reservations.cpus": Option(
        CPUS, (*_RESERVED, "NanoCPUs"), "CPUs that a node must have left", 0.0
    ),
    "reservations.memory": Option(
        SIZE, (*_RESERVED, "MemoryBytes"), "memory that it must have left", 0
    ),
    "reservations.generic": Option(
        GENERIC, (*_RESERVED, "GenericResources"), "generic resources that it must have left", {}
    ),
    "healthcheck": section(_HEALTH, "replaces the image's health check"),
    "healthcheck.test": Option(
        PROBE, (*_HEALTH, "Test"), "command that checks a task", hidden=True
    ),
    "healthcheck.interval": Option(
        DURATION, (*_HEALTH, "Interval"), "pause between two checks", "0s"
    ),
    "healthcheck.timeout": Option(DURATION, (*_HEALTH, "Timeout"), "limit of one check", "0s"),
    "healthcheck.start_period": Option(
        DURATION, (*_HEALTH, "StartPeriod"), "time in which failures do not count", "0s"
    ),
    "healthcheck.retries": Option(
        COUNT, (*_HEALTH, "Retries"), "failures in a row that make it unhealthy", 0
    ),
    **_rollout("update_config", "UpdateConfig", "an update", ON_FAILURE),
    **_rollout("rollback_config", "RollbackConfig", "a rollback", ON_FAILED_ROLLBACK),
    "restart_policy": section(_RESTART, "when a task that ended is replaced"),
    "restart_policy.condition": Option(
        CONDITION, (*_RESTART, "Condition"), "which end counts", "any"
    ),
    "restart_policy.delay": Option(
        DURATION, (*_RESTART, "Delay"), "pause before the new task", "5s"
    ),
    "restart_policy.max_attempts": Option(
        COUNT, (*_RESTART, "MaxAttempts"), "how often at most, 0 for any number", 0
    ),
    "restart_policy.window": Option(
        DURATION, (*_RESTART, "Window"), "time in which attempts are counted", "0s"
    ),
    "user": Option(USER, (*_CONTAINER, "User"), "user of the process, and its group"),
    "groups": Option(TEXTS, (*_CONTAINER, "Groups"), "more groups of the process", []),
    "workdir": Option(TEXT, (*_CONTAINER, "Dir"), "working directory"),
    "hostname": Option(TEXT, (*_CONTAINER, "Hostname"), "host name; may be a template of Docker's"),
    "stop_signal": Option(SIGNAL, (*_CONTAINER, "StopSignal"), "signal that stops it"),
    "stop_grace_period": Option(
        DURATION, (*_CONTAINER, "StopGracePeriod"), "time until it is killed", "10s"
    ),
    "dns": Option(ADDRESSES, (*_DNS, "Nameservers"), "name servers", []),
    "dns_search": Option(TEXTS, (*_DNS, "Search"), "search domains", []),
    "dns_options": Option(TEXTS, (*_DNS, "Options"), "options of the resolver", []),
    "hosts": Option(HOSTS, (*_CONTAINER, "Hosts"), "more lines of /etc/hosts", []),
    "init": Option(FLAG, (*_CONTAINER, "Init"), "whether an init process reaps children"),
    "read_only": Option(FLAG, (*_CONTAINER, "ReadOnly"), "read-only root file system", False),
    "tty": Option(FLAG, (*_CONTAINER, "TTY"), "whether it gets a terminal", False),
    "stdin": Option(FLAG, (*_CONTAINER, "OpenStdin"), "keeps its standard input open", False),
    "cap_add": Option(CAPABILITIES, (*_CONTAINER, "CapabilityAdd"), "more capabilities", []),
    "cap_drop": Option(CAPABILITIES, (*_CONTAINER, "CapabilityDrop"), "fewer capabilities", []),
    "sysctls": Option(TABLE, (*_CONTAINER, "Sysctls"), "kernel parameters of its namespaces", {}),
    "ulimits": Option(ULIMITS, (*_CONTAINER, "Ulimits"), "resource limits of a process", {}),
    "logging": section(_LOG, "log driver of its containers [that of the engine]"),
    "logging.driver": Option(TEXT, (*_LOG, "Name"), "log driver"),
    "logging.options": Option(
        TABLE, (*_LOG, "Options"), "options of the log driver", {}, hidden=True
    ),
}

# Options that refer to an object of the cluster, and the key of the list that holds it.
FILES = {"secrets": swarm_service_files.SECRETS, "configs": swarm_service_files.CONFIGS}
# Changes elsewhere in the spec start and stop no task.
_OF_TASKS = {"TaskTemplate", "EndpointSpec", "Mode"}


# Options, or whole sections, that only services of some modes have.
_NO_JOB = {"replicated", "global"}
_MODES = {
    "replicas": {"replicated"},
    "max_replicas_per_node": {"replicated", "replicated-job"},
    "completions": {"replicated-job"},
    "max_concurrent": {"replicated-job"},
    "rerun": set(values.JOBS),
    "update_config": _NO_JOB,
    "rollback_config": _NO_JOB,
}


# Options that only classic mode has: they are no part of a service in swarm mode.
CLASSIC = {"affinities", "reschedule"}


def fits(name: str, mode: str) -> bool:
    """Check whether services of a mode have an option."""
    return name not in CLASSIC and mode in _MODES.get(name.partition(".")[0], {mode})


def misfits(mode: str, given: dict, path: str) -> Iterator[Fault]:
    """Find options that services of a mode do not have."""
    yield from of_classic(given, path)
    yield from _misfits(mode, given, path)


def of_classic(given: dict, path: str) -> Iterator[Fault]:
    """Find options that only classic mode has."""
    for name in sorted(CLASSIC & given.keys()):
        want = "no such key with mode: builtin; use constraints, preferences, max_replicas_per_node"
        yield Fault(f"{path}:{name}", given[name], want)


def _misfits(mode: str, given: dict, path: str) -> Iterator[Fault]:
    for name, value in given.items():
        if name not in CLASSIC and not fits(name, mode):
            place = f"{path}:{name.replace('.', ':')}"
            yield Fault(place, value, f"no such key: a {mode} service has none")


def conflicts(given: dict, path: str) -> Iterator[Fault]:
    """Find options that Docker refuses in this combination."""
    if mode := given.get("mode"):
        yield from _misfits(mode, given, path)
    ingress = [one for one in given.get("ports") or [] if one.get("mode") != "host"]
    if given.get("endpoint_mode") == "dnsrr" and ingress:
        want = "`mode: host` for each port: endpoint_mode dnsrr has no virtual address to publish"
        yield Fault(f"{path}:ports", ingress[0], want)


def parsed(spec: dict, what: str) -> dict:
    """Return the given options of a service in their canonical form; raise an error for faults."""
    given, faults = swarm_options.parse(spec, OPTIONS, what)
    swarm_options.refuse([*faults, *conflicts(given, what)])
    return given


def forced(spec: dict) -> dict:
    """Return the spec that starts the tasks of a service again, and changes nothing else."""
    task = spec["TaskTemplate"]
    return {**spec, "TaskTemplate": {**task, "ForceUpdate": task.get("ForceUpdate", 0) + 1}}


def with_names(spec: dict, networks: Mapping[str, str]) -> dict:
    """Return a spec with the names of its networks in place of their IDs."""
    result = copy.deepcopy(spec)
    for one in result.get("TaskTemplate", {}).get("Networks") or []:
        one["Target"] = networks.get(one["Target"], one["Target"])
    return result


def network_ids(spec: dict) -> set[str]:
    """Return the IDs of a service's networks."""
    found = (spec.get("TaskTemplate") or {}).get("Networks") or []
    return {one["Target"] for one in found}


def versioned(wanted: dict, versions: Mapping[str, Mapping[str, str]]) -> dict:
    """
    Return the wanted options with the names that secrets and configs have in Docker.

    versions
        ``{"secrets": {name in pillar: name in Docker}, "configs": ...}``; others keep their name.
    """
    result = dict(wanted)
    for key in FILES.keys() & wanted.keys():
        current = versions[key]
        renamed = [{**one, "name": current.get(one["name"], one["name"])} for one in wanted[key]]
        result[key] = FILES[key].normal(renamed)
    return result


def body(name: str, wanted: dict, ids: Mapping[str, Mapping[str, str]]) -> dict:
    """Return the spec of a new service; ``ids`` is as for ``update``."""
    base = {
        "Name": name,
        "TaskTemplate": {"ContainerSpec": {}},
        "Mode": {"Replicated": {"Replicas": 1}},
    }
    return update(base, wanted, wanted, ids)


def update(
    spec: dict, wanted: dict, names: Iterable[str], ids: Mapping[str, Mapping[str, str]]
) -> dict:
    """
    Return a service's spec with the wanted values of some options, all else as it is.

    ids
        ``{"secrets": {name in Docker: ID}, "configs": ...}``.
    """
    result = swarm_options.merged(spec, wanted, names, OPTIONS)
    for key, files in FILES.items():
        *_, last = OPTIONS[key].path
        container = result["TaskTemplate"]["ContainerSpec"]
        if key in names and container.get(last):
            container[last] = files.with_ids(container[last], ids[key])
    return result


def diff(spec: dict, wanted: dict) -> dict:
    """Return the differences between a service, with names of its networks, and the options."""
    return swarm_options.diff(spec, wanted, OPTIONS)


def options_of(found: dict) -> dict[str, Any]:
    """
    Return the options of a service that differ from Docker's defaults, by their dotted names.

    What the formula has no option for is left out.
    """
    result = {}
    for name, option in OPTIONS.items():
        if not option.path or option.shape is swarm_options.SECTION:
            continue
        value = swarm_options.current(found, option)
        if value != option.default and swarm_options.is_normal(option, value):
            result[name] = value
    if labels := result.pop("labels", {}):
        result["labels"] = {key: one for key, one in labels.items() if key != RERUN}
    return {name: one for name, one in result.items() if one != {}}


def whole(found: dict, wanted: dict) -> dict:
    """
    Return the wanted options as all that a service may have: others get Docker's default.

    Its number of tasks stays, if it is not wanted.
    """
    there = options_of(found)
    result = dict(wanted)
    for name in there.keys() - wanted.keys():
        section = name.partition(".")[0]
        if OPTIONS[name].required or name == "rerun":
            continue
        if section in OPTIONS and not any(one.startswith(f"{section}.") for one in wanted):
            name = section  # noqa: PLW2901  the section as a whole
        result[name] = OPTIONS[name].default
    for name, option in OPTIONS.items():
        if option.by_key:
            result[name] = {**dict.fromkeys(there.get(name, {})), **wanted.get(name, {})}
    return result


def created(wanted: dict) -> dict:
    """Return the changes of a service that does not exist yet."""
    options = {key: one for key, one in wanted.items() if OPTIONS[key].path}
    changes = {key: {"old": None, "new": one} for key, one in options.items()}
    return {"state": {"old": "absent", "new": "running"}, **changes}


def shown(changes: dict) -> dict:
    """Return changes with a short hash in place of each value that looks secret."""
    return swarm_options.shown(changes, OPTIONS)


def moves_tasks(changes: Iterable[str]) -> bool:
    """Check whether changes of these options start or stop tasks."""
    return any(key not in OPTIONS or OPTIONS[key].path[0] in _OF_TASKS for key in changes)


def monitor(spec: dict) -> float:
    """Return the seconds that new tasks of a service must run to count as good."""
    raw: Any = (spec.get("UpdateConfig") or {}).get("Monitor")
    return raw / 1e9 if raw else 5.0
