"""
Normalize single values, so that configured values and values from Docker compare equal.

Pure functions. Each accepts both user input and its own output. Invalid values raise ``ValueError``
or ``TypeError``; the caller adds the location.
"""

import calendar
import hashlib
import json
import posixpath
import re
import shlex
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

# More CPUs than any host has, but small enough that Docker returns the number unchanged.
_CPUS = 1_000_000
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = r"(\d+(?:\.\d+)?)\s*([bkmgt]?)i?b?"
_DEVICE = r"(?P<path>/[^:\s]+)(:(?P<inside>/[^:\s]+))?(:(?P<rights>[rwm]{1,3}))?"
_PORT = (
    r"(?:(?P<ip>\[[0-9a-fA-F:.]+\]|\d+(?:\.\d+){3}):)?(?:(?P<host>\d*):)?(?P<port>\d+)"
    r"(?:/(?P<proto>\w+))?"
)
_RESTART = r"no|always|unless-stopped|on-failure(:\d+)?"
_HIGHEST_PORT = 65535


def plain(pillar: Any) -> Any:
    """Return a part of the pillar in plain types: Salt's own have their order and their dates."""
    return json.loads(json.dumps(pillar, default=str))


def short_hash(value: Any) -> str:
    """Return a hash of a value that may be secret: it is too short for a guess to be sure of it."""
    digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
    return f"sha256:{digest[:8]}"


def text(value: Any) -> str:
    """Return ``value`` as Docker writes it: ``true`` for YAML's true, an empty string for null."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        raise TypeError("found several values")
    return "" if value is None else str(value)


def words(value: Any) -> list[str]:
    """Return a command as a list; a string is split as in a shell."""
    return shlex.split(value) if isinstance(value, str) else [text(one) for one in value or []]


def userns_mode(value: Any) -> str:
    """Return ``host``, or an empty string for the user namespaces that the engine uses."""
    if value not in {None, "", "host"}:
        raise ValueError("found another mode")
    return value or ""


def names(value: Any) -> list[str]:
    """Return the capabilities sorted and without ``CAP_``."""
    if isinstance(value, str):
        raise TypeError("found a string")
    return sorted({text(one).upper().removeprefix("CAP_") for one in value or []})


def table(value: Any) -> dict[str, str]:
    """Return a dictionary of strings."""
    return {str(key): text(one) for key, one in (value or {}).items()}


def environment(value: Any) -> dict[str, str]:
    """Return a dictionary of strings whose names are valid before a ``=``."""
    found = table(value)
    if bad := [name for name in found if not name or "=" in name]:
        raise ValueError(f"found the name {bad[0]!r}")
    return found


def number(value: Any) -> int:
    """Return a non-negative integer; unset is zero."""
    if isinstance(value, bool) or int(value or 0) < 0:
        raise ValueError("found no number of at least 0")
    return int(value or 0)


def cpus(value: Any) -> float:
    """Return a number of CPUs in Docker's precision; unset is zero."""
    # NaN fails every comparison. Docker counts billionths of a CPU in 64 bits.
    if isinstance(value, bool) or not 0 <= float(value or 0) <= _CPUS:
        raise ValueError(f"found no number from 0 to {_CPUS}")
    return round(float(value or 0), 9)


def size(value: Any) -> int:
    """Return the bytes of a size such as ``512m``, ``1.5g``, ``64MiB`` or a number."""
    match = re.fullmatch(_SIZE, text(value).strip().lower() or "0")
    if not match:
        raise ValueError("found no size")
    return int(float(match[1]) * _UNITS[match[2]])


def signal(value: Any) -> str:
    """Return the name of a signal with ``SIG``; unset is Docker's default."""
    name = (text(value) or "SIGTERM").upper()
    return name if name.isdigit() or name.startswith("SIG") else f"SIG{name}"


def flag(value: Any) -> bool:
    """Return a boolean; unset is false."""
    if value is not None and not isinstance(value, bool):
        raise TypeError
    return bool(value)


def _sorted(value: Any, normal: Callable[[str], str]) -> list[str]:
    """Return the normalized items of a list, each once."""
    if isinstance(value, str):
        raise TypeError("found a string")
    return sorted({normal(text(one)) for one in value or []})


def devices(value: Any) -> list[str]:
    """Return devices, sorted, as ``path:path in the container:rights``."""
    return _sorted(value, _device)


def _device(device: str) -> str:
    match = re.fullmatch(_DEVICE, device)
    if not match:
        raise ValueError(f"found {device!r}")
    rights = "".join(one for one in "rwm" if one in (match["rights"] or "rwm"))
    return f"{match['path']}:{match['inside'] or match['path']}:{rights}"


def device_mappings(value: Iterable[str]) -> list[dict[str, str]]:
    """Return devices in the API's form."""
    keys = ("PathOnHost", "PathInContainer", "CgroupPermissions")
    return [dict(zip(keys, one.split(":"), strict=True)) for one in value]


def devices_found(raw: Iterable[Mapping[str, str]] | None) -> list[str]:
    """Return devices from the API's form."""
    return [
        f"{one['PathOnHost']}:{one['PathInContainer']}:{one['CgroupPermissions']}"
        for one in raw or []
    ]


def network_mode(value: Any) -> str:
    """Return the network mode; Docker has two names for the default mode."""
    return "bridge" if text(value) in {"", "default"} else text(value)


def restart_policy(value: Any) -> str:
    """Return a restart policy such as ``on-failure:3``."""
    # YAML 1.1 reads an unquoted no as false.
    policy = "no" if value in (False, None, "") else text(value).removesuffix(":0")
    if not re.fullmatch(_RESTART, policy):
        raise ValueError("found no policy that Docker has")
    return policy


def mounts(value: Any) -> list[str]:
    """Return mounts as sorted ``source:target[:options]``, without Docker's default options."""
    return _sorted(value, _mount)


def _mount(mount: str) -> str:
    source, _, rest = mount.partition(":")
    target, _, options = rest.partition(":")
    if not source or not target.startswith("/"):
        raise ValueError(f"found {mount!r}")
    if source.startswith("/"):
        source = posixpath.normpath(source)
    extra = sorted({option for option in options.split(",") if option not in {"", "rw"}})
    return ":".join([source, posixpath.normpath(target), *([",".join(extra)] if extra else [])])


def ports(value: Any) -> list[str]:
    """Return published ports, sorted, as ``[ip:]host:container/protocol``; empty host: any port."""
    return _sorted(value, _port)


def _port(port: str) -> str:
    match = re.fullmatch(_PORT, port)
    if not match or int(match["port"]) > _HIGHEST_PORT or int(match["host"] or 0) > _HIGHEST_PORT:
        raise ValueError(f"found {port!r}")
    ip = f"{match['ip']}:" if match["ip"] else ""
    host = match["host"] if match["host"] not in (None, "0") else ""
    return f"{ip}{host}:{match['port']}/{(match['proto'] or 'tcp').lower()}"


def port_bindings(published: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """Return published ports in the format of Docker's API."""
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in published:
        outside, _, inside = port.rpartition(":")
        ip, _, host = outside.rpartition(":")
        bindings.setdefault(inside, []).append({"HostIp": ip.strip("[]"), "HostPort": host})
    return bindings


def published(bindings: Mapping[str, Any] | None) -> list[str]:
    """Return Docker's port bindings as a list of strings."""
    found = []
    for inside, outsides in (bindings or {}).items():
        for outside in outsides or [{}]:
            ip = outside.get("HostIp") or ""
            prefix = f"[{ip}]:" if ":" in ip else f"{ip}:" if ip else ""
            found.append(f"{prefix}{outside.get('HostPort') or ''}:{inside}")
    return found


def ulimits(value: Any) -> dict[str, str]:
    """Return limits as ``soft:hard``; a single number sets both."""
    limits = table(value)
    for name, limit in limits.items():
        soft, _, hard = limit.partition(":")
        limits[name] = f"{int(soft)}:{int(hard or soft)}"
    return limits


def stamp(text: str) -> float:
    """Return Docker's time (``2026-01-02T03:04:05.678901234Z``) in seconds since the epoch."""
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))


def dig(data: Any, path: Iterable[str]) -> Any:
    """Return the value at a path of keys, ``None`` if a part of the path is missing."""
    for key in path:
        data = (data or {}).get(key)
    return data
