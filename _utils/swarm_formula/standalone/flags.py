"""
Define the flags of classic Swarm's ``manage`` and ``join``, and build their command lines.

Names, defaults and limits are taken from swarm 1.2.9 (``cli/flags.go``). Pure.
"""

from collections.abc import Mapping
from typing import Any

from swarm_formula.core import checks
from swarm_formula.tls.cert_files import Files

FILTERS = (
    "health",
    "port",
    "containerslots",
    "dependency",
    "affinity",
    "constraint",
    "whitelist",
)

# Consul rejects session TTLs outside 10s..24h, and Swarm requests half of its TTL.
_SESSION = "Consul takes no session below 10s and Swarm asks for half the TTL"

# Flags that name a file: for the API socket and for the store.
TLS_FILES = ("tlscacert", "tlscert", "tlskey")
KV_FILES = ("kv.cacertfile", "kv.certfile", "kv.keyfile")
TLS = {
    "tls": checks.boolean,
    "tlsverify": checks.boolean,
    **dict.fromkeys(TLS_FILES, checks.text),
}

MANAGE = {
    "strategy": checks.one_of("spread", "binpack", "binpacking", "random"),
    "filter": checks.list_of(checks.one_of(*FILTERS)),
    "host": checks.either(checks.text, checks.list_of(checks.text)),
    "replication": checks.boolean,
    "replication-ttl": checks.duration(20, _SESSION),
    "advertise": checks.text,
    "engine-refresh-min-interval": checks.duration(1),
    "engine-refresh-max-interval": checks.duration(1),
    "engine-failure-retry": checks.integer(1, 1000),
    "engine-refresh-retry": checks.integer(3, 3),  # deprecated: any other value is fatal
    "heartbeat": checks.duration(1),
    "api-enable-cors": checks.boolean,
    "cluster-driver": checks.one_of("swarm"),
    "cluster-opt": checks.strategy_options,
    "discovery-opt": checks.options,
    "refresh-on-node-filter": checks.boolean,
    "container-name-refresh-filter": checks.text,
    **TLS,
}

JOIN = {
    "advertise": checks.text,
    "heartbeat": checks.duration(1),
    "ttl": checks.duration(20, _SESSION),
    "delay": checks.duration(0),
    "discovery-opt": checks.options,
}


def tls(files: Files) -> dict[str, Any]:
    """Return the flags by which a manager presents a certificate and requires one of clients."""
    return {
        "tlsverify": True,
        **dict(zip(TLS_FILES, (files.ca, files.cert, files.key), strict=True)),
    }


def kv_tls(files: Files) -> dict[str, Any]:
    """Return the options for access to the store with a client certificate."""
    return dict(zip(KV_FILES, (files.ca, files.cert, files.key), strict=True))


def _as_duration(flag: str, value: object) -> object:
    """Append the unit that Go's duration parser requires to a plain number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    integers = ("engine-failure-retry", "engine-refresh-retry")
    if not is_number or flag in integers:
        return value
    return f"{value:f}".rstrip("0").rstrip(".") + "s"


def argv(options: Mapping[str, Any], table: Mapping[str, Any]) -> list[str]:
    """
    Return ``options`` as command line arguments, in the order of ``table``.

    ``{"replication": True, "filter": ["port"]}`` becomes ``["--filter=port", "--replication"]``.
    A flag that is ``False`` or ``None`` is omitted: this is Swarm's default for all flags.
    """
    words = []
    for flag in table:
        value = options.get(flag)
        if value is True:
            words.append(f"--{flag}")
        elif isinstance(value, dict):
            words += [f"--{flag}={key}={value[key]}" for key in sorted(value)]
        elif value is not None and value is not False:
            many = value if isinstance(value, list) else [value]
            words += [f"--{flag}={_as_duration(flag, one)}" for one in many]
    return words
