"""
Compare the wanted settings of a container with the actual ones. Pure functions: no I/O, no Salt.

Both sides are normalized to a dictionary with the keys of ``swarm_container.running``.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from swarm_formula.core import errors, faults, normalize

# Settings that Docker updates in an existing container; all others need a new container.
IN_PLACE = {"restart_policy", "memory", "cpus"}
_HIDDEN = r"(?i)TOKEN|PASSW|SECRET|KEY|CREDENTIAL|ENCRYPT"
_HIDDEN_FLAG = r"(?i)-+[\w.-]*(?:token|passw|secret|encrypt)[\w.-]*"


class Field(NamedTuple):
    """How users write a setting, and where and how Docker's API stores it."""

    path: tuple[str, ...]
    normal: Callable[[Any], Any]
    expects: str
    encode: Callable[[Any], Any] = lambda value: value
    decode: Callable[[Any], Any] = lambda raw: raw


FIELDS = {
    "command": Field(("Config", "Cmd"), normalize.words, "a list of words, or one string"),
    "entrypoint": Field(
        ("Config", "Entrypoint"), normalize.words, "a list of words, or one string"
    ),
    "environment": Field(
        ("Config", "Env"),
        normalize.environment,
        "a dictionary of plain values",
        encode=lambda table: [f"{key}={value}" for key, value in table.items()],
        decode=lambda raw: dict(entry.partition("=")[::2] for entry in raw or []),
    ),
    "labels": Field(("Config", "Labels"), normalize.table, "a dictionary of plain values"),
    "hostname": Field(("Config", "Hostname"), normalize.text, "a host name"),
    "user": Field(("Config", "User"), normalize.text, "a user, such as nobody or 1000:1000"),
    "stop_signal": Field(("Config", "StopSignal"), normalize.signal, "a signal, such as SIGINT"),
    "stop_timeout": Field(
        ("Config", "StopTimeout"),
        normalize.number,
        "a number of seconds",
        decode=lambda raw: 10 if raw is None else raw,
    ),
    "ports": Field(
        ("HostConfig", "PortBindings"),
        normalize.ports,
        'a list such as ["8500:8500", "127.0.0.1:53:8600/udp"]',
        encode=normalize.port_bindings,
        decode=normalize.published,
    ),
    "mounts": Field(
        ("HostConfig", "Binds"),
        normalize.mounts,
        'a list such as ["data:/data", "/etc/x:/etc/x:ro"]',
    ),
    "network_mode": Field(
        ("HostConfig", "NetworkMode"),
        normalize.network_mode,
        "bridge, host, none, container:<name> or a network",
    ),
    "userns_mode": Field(("HostConfig", "UsernsMode"), normalize.userns_mode, "host"),
    "restart_policy": Field(
        ("HostConfig", "RestartPolicy"),
        normalize.restart_policy,
        "no, always, unless-stopped, on-failure or on-failure:<number of times>",
        encode=lambda policy: {
            "Name": policy.partition(":")[0],
            "MaximumRetryCount": int(policy.partition(":")[2] or 0),
        },
        decode=lambda raw: f"{raw['Name'] or 'no'}:{raw['MaximumRetryCount']}" if raw else "no",
    ),
    "cap_add": Field(("HostConfig", "CapAdd"), normalize.names, "a list such as [NET_ADMIN]"),
    "cap_drop": Field(("HostConfig", "CapDrop"), normalize.names, "a list such as [ALL]"),
    "privileged": Field(("HostConfig", "Privileged"), normalize.flag, "true or false"),
    "devices": Field(
        ("HostConfig", "Devices"),
        normalize.devices,
        'a list such as ["/dev/ttyUSB0", "/dev/sda:/dev/xvda:r"]',
        encode=normalize.device_mappings,
        decode=normalize.devices_found,
    ),
    "memory": Field(("HostConfig", "Memory"), normalize.size, "a size, such as 512m or 1g"),
    "cpus": Field(
        ("HostConfig", "NanoCpus"),
        normalize.cpus,
        "a number of CPUs, such as 0.5",
        encode=lambda cpus: round(cpus * 1e9),
        decode=lambda raw: (raw or 0) / 1e9,
    ),
    "log_driver": Field(("HostConfig", "LogConfig", "Type"), normalize.text, "a log driver"),
    "log_options": Field(
        ("HostConfig", "LogConfig", "Config"), normalize.table, "a dictionary of plain values"
    ),
    "ulimits": Field(
        ("HostConfig", "Ulimits"),
        normalize.ulimits,
        "a dictionary such as {nofile: 1024:4096}",
        encode=lambda limits: [
            dict(zip(("Name", "Soft", "Hard"), (name, *map(int, limit.split(":"))), strict=True))
            for name, limit in limits.items()
        ],
        decode=lambda raw: {one["Name"]: f"{one['Soft']}:{one['Hard']}" for one in raw or []},
    ),
}


# Where a missing image comes from; nothing of it is in a container.
_OF_IMAGE = {"image_source", "image_hash"}
# What the state takes besides the settings of the table.
_OF_STATE = {"image", "timeout", *_OF_IMAGE}


def drop_unset(**settings: Any) -> dict[str, Any]:
    """Return the settings that are set, that is, are not ``None``."""
    return {key: value for key, value in settings.items() if value is not None}


def wanted(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the normalized settings of a container; raise an error for invalid ones."""
    given = {key: value for key, value in drop_unset(**spec).items() if key not in _OF_IMAGE}
    if not isinstance(given.get("image"), str) or not given["image"]:
        raise errors.SettingsError(f"container {name}: it needs an 'image', such as swarm:1.2.9")
    image = given.pop("image")
    return {"image": image, **normalized(f"container {name}", given, FIELDS, _OF_STATE)}


def normalized(
    what: str,
    given: Mapping[str, Any],
    fields: Mapping[str, Field],
    beside: Collection[str] = (),
    quoted: bool = False,
) -> dict[str, Any]:
    """
    Return normalized settings; raise an error if one is unknown or invalid.

    what
        The object, for the error.

    beside
        Keys that a state takes besides those of the table.

    quoted
        Whether the error may quote values: none is secret.
    """
    result = {}
    for key, value in given.items():
        if key not in fields:
            known = sorted({*fields, *beside} - {key})
            raise errors.SettingsError(str(faults.unknown_key(what, key, known)))
        try:
            result[key] = fields[key].normal(value)
        except (ValueError, TypeError, AttributeError, OverflowError) as err:
            found = f"found {value!r}" if quoted else f"found a {type(value).__name__}"
            # The formula's own messages quote no secret.
            text = err if str(err).startswith("found") else found
            raise errors.SettingsError(
                f"{what}: '{key}' must be {fields[key].expects}, {text}"
            ) from err
    return result


def read(inspected: Mapping[str, Any], fields: Mapping[str, Field]) -> dict[str, Any]:
    """Return the normalized settings of an object that was inspected."""
    return {
        key: field.normal(field.decode(normalize.dig(inspected, field.path)))
        for key, field in fields.items()
    }


def current(container: Mapping[str, Any]) -> dict[str, Any]:
    """Return the normalized settings of a container from the output of ``docker inspect``."""
    found = read(container, {key: one for key, one in FIELDS.items() if key != "mounts"})
    host = container.get("HostConfig") or {}
    binds = [*(host.get("Binds") or []), *_binds(host.get("Mounts") or [])]
    return {"image": container.get("Image", ""), **found, "mounts": normalize.mounts(binds)}


def _binds(mounts: list[dict[str, Any]]) -> list[str]:
    """Return mounts that other tools created in the long syntax, in the short syntax."""
    return [
        f"{mount['Source']}:{mount['Target']}{':ro' if mount.get('ReadOnly') else ''}"
        for mount in mounts
        if mount.get("Source") and mount.get("Type") in {"bind", "volume"}
    ]


def beyond_image(settings: Mapping[str, Any], image: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return settings without the environment variables and labels that come from the image."""
    base = current({"Config": (image or {}).get("Config") or {}})
    trimmed = dict(settings)
    for key in {"environment", "labels"} & settings.keys():
        trimmed[key] = {k: v for k, v in settings[key].items() if base[key].get(k) != v}
    # Docker replaces an empty command with the image's, unless the settings have an entrypoint.
    if settings.get("command") == [] and not settings.get("entrypoint"):
        trimmed["command"] = base["command"]
    return trimmed


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``{key: {"old": ..., "new": ...}}`` for every setting in ``new`` that differs."""
    old = dict(old)
    # The daemon adds its own default log options: only the given options can be compared.
    if "log_options" in new:
        old["log_options"] = {
            k: v for k, v in old["log_options"].items() if k in new["log_options"]
        }
    return {key: narrow(old.get(key), value) for key, value in new.items() if old.get(key) != value}


def narrow(old: Any, new: Any) -> dict[str, Any]:
    """Return the old and the new value; of dictionaries, only the entries that differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        same = {key for key in old.keys() & new.keys() if old[key] == new[key]}
        old, new = (
            {key: value for key, value in side.items() if key not in same} for side in (old, new)
        )
    return {"old": old, "new": new}


def body(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request body that creates a container with these settings."""
    request: dict[str, Any] = {"Image": settings["image"], "HostConfig": {}}
    for key, field in FIELDS.items():
        if key not in settings or (key == "command" and not settings[key]):
            continue
        place = request
        for step in field.path[:-1]:
            place = place if step == "Config" else place.setdefault(step, {})
        place[field.path[-1]] = field.encode(settings[key])
    request["ExposedPorts"] = {port: {} for port in request["HostConfig"].get("PortBindings", {})}
    return request


def update_body(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request body that updates these settings of an existing container."""
    host: dict[str, Any] = body({"image": "", **settings})["HostConfig"]
    if "Memory" in host:
        # Docker refuses memory above the old memory-swap limit, by default twice the memory.
        host["MemorySwap"] = 2 * host["Memory"]
    return host


def in_place(changes: Mapping[str, Any]) -> bool:
    """Check whether Docker can make these changes in the existing container."""
    # In an update, Docker takes zero as "unchanged": only a new container can lift a limit.
    lifted = {key for key in {"memory", "cpus"} & changes.keys() if not changes[key]["new"]}
    return bool(changes) and not changes.keys() - IN_PLACE and not lifted


def shown(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes (or settings) with a short hash in place of each value that looks secret."""
    return {key: _masked(key, value) for key, value in changes.items()}


def _masked(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _masked(name, one) for name, one in value.items()}
    if isinstance(value, list):
        return _masked_words(value)
    return normalize.short_hash(value) if value and re.search(_HIDDEN, str(key)) else value


def _masked_words(command: list[Any]) -> list[str]:
    """Return a command with a short hash in place of the values of flags such as ``--token``."""
    shown_words: list[str] = []
    hide = False
    for word in map(str, command):
        flag, equals, value = word.partition("=")
        secret = bool(re.fullmatch(_HIDDEN_FLAG, flag))
        hidden = (
            f"{flag}={normalize.short_hash(value)}"
            if secret and equals
            else normalize.short_hash(word)
        )
        shown_words.append(hidden if hide or (secret and equals) else word)
        hide = secret and not equals
    return shown_words
