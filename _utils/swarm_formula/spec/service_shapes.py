"""
The types of the options of a service: how a value is written, and what the API has for it. Pure.
"""

from swarm_formula.core import normalize
from swarm_formula.spec import (
    placement,
    service_amounts,
    service_files,
    service_mounts,
    service_networks,
    service_parts,
    service_ports,
    service_values,
)
from swarm_formula.spec.option_table import Shape

TEXT = Shape(service_parts.text, "a text")
USER = Shape(service_values.user, 'a user in quotes, such as "1000:1000"')
FLAG = Shape(service_parts.flag, "true or false, without quotes")
COUNT = Shape(service_amounts.count, "a whole number, at least 0")
RATIO = Shape(service_amounts.ratio, "a number from 0 to 1")
SIZE = Shape(service_amounts.memory, "a size, such as 512m or 1g")
SWAP = Shape(service_amounts.swap, "a size, such as 512m or 1g, or -1")
PERCENT = Shape(service_amounts.percent, "a whole number from 0 to 100")
CPUS = Shape(
    service_amounts.cpus,
    "a number of CPUs, such as 0.5",
    encode=lambda cpus: round(cpus * 1e9),
    decode=lambda raw: raw / 1e9,
)
GENERIC = Shape(
    service_values.generic,
    "a mapping such as {gpu: 2}",
    encode=service_values.resources,
    decode=service_values.resources_found,
)
DURATION = Shape(
    service_amounts.duration,
    "a duration, such as 1m30s",
    encode=service_amounts.nanoseconds,
    decode=service_amounts.spelled,
)
WORDS = Shape(service_values.words, "a list of words, or one text")
TEXTS = Shape(service_parts.texts, "a list of texts")
CAPABILITIES = Shape(
    service_values.names, "a list such as [NET_ADMIN]", encode=service_values.capabilities
)
TABLE = Shape(service_parts.table, "a mapping of plain values")
LABELS = Shape(service_values.labels, "a mapping of plain values; null takes a label away")
ENVIRONMENT = Shape(
    service_values.environment,
    "a mapping of plain values, or a list such as [NAME=value]",
    encode=service_values.assignments,
    decode=service_values.variables,
)
IMAGE = Shape(
    service_values.image,
    "the name of an image, such as nginx:1.27",
    equal=service_values.same_image,
)
SOURCES = Shape(
    service_values.sources, "a list of salt://PATH, sdb://PROFILE/KEY or absolute paths on managers"
)
OOM_SCORE = Shape(service_amounts.oom_score, "a whole number from -1000 to 1000")
ISOLATION = Shape(
    service_parts.one_of("default", "process", "hyperv"), "default, process or hyperv"
)
CREDENTIALS = Shape(
    service_values.credentials,
    "file://NAME or registry://NAME",
    encode=service_values.credentials_encoded,
    decode=service_values.credentials_found,
)
SIGNAL = Shape(normalize.signal, "a signal, such as SIGINT")
ULIMITS = Shape(
    service_values.ulimits,
    "a mapping such as {nofile: 1024:4096}",
    encode=service_values.limits,
    decode=service_values.limits_found,
)
MODE = Shape(
    service_values.mode,
    "replicated, global, replicated-job or global-job",
    encode=service_values.mode_encoded,
    decode=service_values.mode_found,
)
NETWORKS = Shape(
    service_networks.networks,
    "a list of networks, or a mapping such as {backend: {aliases: [db]}}",
    encode=service_networks.attachments,
    decode=service_networks.attachments_found,
)
PORTS = Shape(
    service_ports.ports,
    'a list such as ["8080:80", "53:53/udp", {published: 443, target: 443, mode: host}]',
    encode=service_ports.published,
    decode=service_ports.published_found,
)
MOUNTS = Shape(
    service_mounts.mounts,
    'a list such as ["data:/data", "/etc/x:/etc/x:ro", {type: tmpfs, target: /tmp, size: 64m}]',
    encode=service_mounts.mounted,
    decode=service_mounts.mounts_found,
)
SECRETS = Shape(
    service_files.SECRETS.normal,
    "a list such as [password, {name: key, target: tls.key, mode: '0400'}]",
    encode=service_files.SECRETS.encode,
    decode=service_files.SECRETS.decode,
)
CONFIGS = Shape(
    service_files.CONFIGS.normal,
    "a list such as [site, {name: site, target: /etc/nginx/nginx.conf}]",
    encode=service_files.CONFIGS.encode,
    decode=service_files.CONFIGS.decode,
)
CONSTRAINTS = Shape(service_values.constraints, "a list such as [node.labels.zone==a]")
PREFERENCES = Shape(
    service_values.preferences,
    "a list such as [spread=node.labels.zone]",
    encode=service_values.spread,
    decode=service_values.spread_found,
)
HOSTS = Shape(
    service_values.hosts,
    "a mapping such as {db.example.com: 10.0.0.5}",
    encode=service_values.hosts_lines,
    decode=service_values.hosts_found,
)
AFFINITIES = Shape(placement.affinities, "a list such as [container==db, zone!=~a]")
RESCHEDULE = Shape(
    service_parts.one_of("off", "on-node-failure"), "'off' in quotes, or on-node-failure"
)
ADDRESSES = Shape(service_values.addresses, "a list of IP addresses")
PROBE = Shape(
    service_values.probe, "a text for a shell, [CMD, word, ...], [CMD-SHELL, text] or [NONE]"
)
CONDITION = Shape(service_parts.one_of("none", "on-failure", "any"), "none, on-failure or any")
ORDER = Shape(service_parts.one_of("stop-first", "start-first"), "stop-first or start-first")
ENDPOINT = Shape(service_parts.one_of("vip", "dnsrr"), "vip or dnsrr")
RESOLVE = Shape(
    service_parts.one_of(service_values.ALWAYS, service_values.CHANGED, service_values.NEVER),
    "always, changed or never",
)
ARCHIVE = Shape(
    service_values.archive, "salt://..., https://... or an absolute path of an image's tar"
)
ON_FAILURE = Shape(
    service_parts.one_of("pause", "continue", "rollback"), "pause, continue or rollback"
)
ON_FAILED_ROLLBACK = Shape(service_parts.one_of("pause", "continue"), "pause or continue")
