"""
Convert the cluster settings of builtin mode from the pillar to the API's spec. Pure functions.

The keys are the options of ``docker swarm update``, and similar names for settings that only the
API has. Settings that the pillar does not set are left unchanged. For types and limits, see moby
``api/types/swarm/swarm.go``. A log driver for tasks is not supported: the API has one
(``TaskDefaults``), but every engine silently drops it; tasks use the engine's ``log-driver`` of
daemon.json.
"""

import copy
import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from swarm_formula.core import checks, normalize, pem_text
from swarm_formula.core.settings_types import Builtin, Settings
from swarm_formula.spec import service_amounts

_PEM = "-----BEGIN CERTIFICATE-----"
_YEARS = 20 * 365 * 24 * 3600
# The engine's default pool, and the default mask that the docker command line sends.
_POOL, _MASK = "10.0.0.0/8", 24
# The engine's default UDP port for traffic of overlay networks.
_VXLAN = 4789
# The prefix length of the smallest network that Docker accepts for a cluster.
SMALLEST = 29


class _Setting(NamedTuple):
    check: checks.Check
    path: tuple[str, ...]  # keys in the API's spec
    convert: Callable[..., Any] = lambda value: value
    back: Callable[..., Any] = lambda value: value  # from the API's value to one of the pillar
    default: object = None  # Docker's, in the API's form


def _nanoseconds(value: object) -> int:
    return round(checks.seconds(value) * 1e9)


def _authority(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Protocol": "cfssl",
        "URL": one["url"],
        "Options": {str(key): str(value) for key, value in (one.get("options") or {}).items()},
        "CACert": one.get("ca") or "",
    }


def _authorities(value: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [_authority(one) for one in value]


def _users(one: Mapping[str, Any]) -> dict[str, Any]:
    """Return an external CA as users write it."""
    found = {"url": one.get("URL"), "options": one.get("Options"), "ca": one.get("CACert")}
    return {key: value for key, value in found.items() if value}


def _external_ca(value: object) -> str | None:
    """Accept ``{url: https://..., options: {}, ca: PEM}``."""
    want = "{url: https://..., options: {...}, ca: its certificate as PEM}"
    if not isinstance(value, dict) or not set(value) <= {"url", "options", "ca"}:
        return want
    url, options, cert = value.get("url"), value.get("options", {}), value.get("ca") or _PEM
    good = isinstance(url, str) and url.startswith("https://") and checks.options(options) is None
    return None if good and isinstance(cert, str) and _PEM in cert else want


def _labels(value: object) -> str | None:
    """Accept a non-empty dictionary of labels."""
    last = "labels, one at least: Docker cannot take away the last one"
    return checks.labels(value) or (None if value else last)


# For most settings, Docker treats zero as unset.
_COUNT, _ANY = checks.integer(1, 2**31 - 1), checks.integer(0, 2**31 - 1)
_SETTINGS: dict[str, _Setting] = {
    "task-history-limit": _Setting(_ANY, ("Orchestration", "TaskHistoryRetentionLimit"), default=5),
    "snapshot-interval": _Setting(_COUNT, ("Raft", "SnapshotInterval"), default=10000),
    "max-snapshots": _Setting(_ANY, ("Raft", "KeepOldSnapshots")),
    "log-entries-for-slow-followers": _Setting(
        _COUNT, ("Raft", "LogEntriesForSlowFollowers"), default=500
    ),
    "election-tick": _Setting(_COUNT, ("Raft", "ElectionTick"), default=10),
    "heartbeat-tick": _Setting(_COUNT, ("Raft", "HeartbeatTick"), default=1),
    "dispatcher-heartbeat": _Setting(
        checks.duration(1),
        ("Dispatcher", "HeartbeatPeriod"),
        _nanoseconds,
        service_amounts.spelled,
        5 * 10**9,
    ),
    "cert-expiry": _Setting(
        checks.duration(3600, "Docker takes no less than an hour", _YEARS),
        ("CAConfig", "NodeCertExpiry"),
        _nanoseconds,
        service_amounts.spelled,
        90 * 24 * 3600 * 10**9,
    ),
    "ca-rotation": _Setting(_ANY, ("CAConfig", "ForceRotate")),
    "external-ca": _Setting(
        checks.list_of(_external_ca),
        ("CAConfig", "ExternalCAs"),
        _authorities,
        lambda found: [_users(one) for one in found],
    ),
    "autolock": _Setting(checks.boolean, ("EncryptionConfig", "AutoLockManagers")),
    "labels": _Setting(_labels, ("Labels",), normalize.table),
}

CHECKS = {key: one.check for key, one in _SETTINGS.items()}
# Rotation to a new internal CA, and the external CAs that sign instead of it.
ROTATION, SIGNERS = "ca-rotation", "external-ca"


def _wanted(options: Mapping[str, Any]) -> dict[str, object]:
    """Return the settings of the pillar in the API's format."""
    return {
        key: _SETTINGS[key].convert(value) for key, value in options.items() if value is not None
    }


def _at(spec: dict[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = spec
    for key in path:
        found = (found or {}).get(key)
    return found


def diff(spec: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the differences from the pillar, ``{key: {"old": ..., "new": ...}}``; times in ns."""
    found = {key: (_at(spec, _SETTINGS[key].path), new) for key, new in _wanted(options).items()}
    return {
        key: {"old": old, "new": new}
        for key, (old, new) in found.items()
        if _filled(old) != _filled(new)
    }


def _filled(value: object) -> object:
    """Return a value without the parts that Docker omits: empty, false or zero."""
    if isinstance(value, list):
        return [_filled(one) for one in value] or None
    if isinstance(value, dict):
        return {key: one for key, one in value.items() if one} or None
    return value or None


def cure(refusal: str) -> str:
    """Return the fix for an error by which Docker refuses settings, empty if none is known."""
    return _NO_SIGNER if "reachable external CA" in refusal else ""


_NO_SIGNER = (
    ". The cluster has no key of its CA: name a CA that signs for it in"
    " swarm:builtin:cluster:external-ca, one that all managers reach; for a new CA of Docker's own,"
    " which this one signs once, change swarm:builtin:cluster:ca-rotation in the same edit"
)


def promised(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes that will be made to a cluster that does not exist yet."""
    return {key: {"old": None, "new": one} for key, one in _wanted(options).items()}


def merged(spec: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a cluster's complete spec with the pillar's settings merged into it."""
    result = copy.deepcopy(spec)
    for key, value in _wanted(options).items():
        *way, last = _SETTINGS[key].path
        part = result
        for step in way:
            if not part.get(step):
                part[step] = {}
            part = part[step]
        part[last] = value
    return result


def exported(cluster: dict[str, Any]) -> dict[str, Any]:
    """Return ``swarm:builtin`` of a cluster, as ``/swarm`` has it, without Docker's defaults."""
    pools, mask = cluster.get("DefaultAddrPool") or [], cluster.get("SubnetSize")
    own = pools not in ([], [_POOL]) or mask not in (None, _MASK)
    port = cluster.get("DataPathPort")
    found = {
        "address_pools": pools if own else None,
        "address_pool_mask": mask if own else None,
        "data_path_port": port if port != _VXLAN else None,
    }
    settings = _exported(cluster["Spec"])
    return {key: one for key, one in {**found, "cluster": settings}.items() if one}


def _exported(spec: dict[str, Any]) -> dict[str, Any]:
    result = {}
    for key, one in _SETTINGS.items():
        found = _at(spec, one.path)
        value = one.back(found) if found else None
        if _filled(found) != _filled(one.default) and value and one.check(value) is None:
            result[key] = value
    return result


def root(cluster: dict[str, Any]) -> str:
    """Return the fingerprint of the cluster's root CA."""
    return pem_text.fingerprint(cluster["TLSInfo"]["TrustRoot"], "the cluster's CA")


def address_pools(builtin: Builtin) -> dict[str, Any]:
    """
    Return the address pools of a new cluster in the API's format, ``{}`` if the pillar sets none.

    Always return both keys: the engine accepts pools without a size, but then cannot allocate a
    subnet for any network; it ignores a size without pools.
    """
    pools, mask = builtin["address_pools"], builtin["address_pool_mask"]
    if not pools and not mask:
        return {}
    return {"DefaultAddrPool": pools or [_POOL], "SubnetSize": mask or _MASK}


def mask_limits(builtin: Builtin) -> tuple[int, int]:
    """Return the smallest and the largest prefix length of subnets that all pools can contain."""
    lengths = [ipaddress.ip_network(pool).prefixlen for pool in builtin["address_pools"]]
    return max(lengths, default=8), SMALLEST


def mask(builtin: Builtin) -> int:
    """Return the prefix length of a new cluster's networks."""
    return builtin["address_pool_mask"] or _MASK


def init_only(cluster: dict[str, Any], settings: Settings) -> list[str]:
    """Return messages about settings that differ and can only be set when a cluster is created."""
    builtin = settings["builtin"]
    if _without_subnets(cluster):
        return [_NO_SUBNETS]
    pairs = (
        ("address_pools", cluster.get("DefaultAddrPool") or [], builtin["address_pools"] or None),
        ("address_pool_mask", cluster.get("SubnetSize"), builtin["address_pool_mask"]),
        ("data_path_port", cluster.get("DataPathPort"), builtin["data_path_port"]),
    )
    return [
        f"swarm:builtin:{key} is {wanted}, but this cluster was made with {have}: that cannot be"
        " changed in a running cluster, only in a new one"
        for key, have, wanted in pairs
        if wanted is not None and wanted != have
    ]


_NO_SUBNETS = (
    "this cluster was made with swarm:builtin:address_pools and without a size of the networks"
    " (SubnetSize is 0): its managers cannot give any network a subnet, no task of a service"
    " starts, and engines from 23.0 on may crash. Docker cannot change that in a running cluster."
    " To replace it by a new cluster, which ends this one with its services, secrets and configs:"
    " salt '*' state.apply swarm.clean, then apply swarm"
)


def _without_subnets(cluster: dict[str, Any]) -> bool:
    """Return whether the cluster was created with address pools but without a subnet size."""
    return bool(cluster.get("DefaultAddrPool")) and not cluster.get("SubnetSize")
