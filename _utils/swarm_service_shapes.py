"""
The types of the options of a service: how a value is written, and what the API has for it. Pure.
"""

import swarm_placement
import swarm_service_files
import swarm_service_mounts
import swarm_service_networks
import swarm_service_parts as parts
import swarm_service_ports
import swarm_service_values as values
import swarm_values
from swarm_options import Shape

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
