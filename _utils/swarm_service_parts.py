"""
Normalize the parts of a service that have keys of their own: ports, mounts, networks, files. Pure.

Each normalizer accepts what users write and its own result, and returns lists sorted and without
default values. Invalid values raise ``ValueError`` or ``TypeError``; the caller adds the location.
"""

import json
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any

import swarm_fault
import swarm_values as values

_HIGHEST_PORT = 65535
_PORT = re.compile(r"(?:(?P<published>\d+):)?(?P<target>\d+)(?:/(?P<protocol>tcp|udp|sctp))?")
_PORT_OF_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|\d+(\.\d+){3}|[A-Za-z][\w.-]*):.*")
_ADDRESS = (
    "an address: swarm mode publishes a port on all addresses of a node, never on one. Take the"
    " address away, and let a firewall decide who reaches the port"
)
_MODE = re.compile(r"0?[0-7]{3,4}")


def listed(value: Any) -> list:
    """Return a list as it is; raise an error for anything else."""
    if not isinstance(value, list):
        raise TypeError
    return value


def _sorted(records: list[dict]) -> list[dict]:
    return sorted(records, key=lambda one: json.dumps(one, sort_keys=True))


def _record(value: Any, fields: Mapping[str, Callable[[Any], Any]], given: str = "") -> dict:
    """Return a mapping with known keys, each value normalized; ``null`` is no value."""
    if not isinstance(value, dict):
        raise TypeError
    for key in value:
        if key not in fields:
            hint = swarm_fault.suggest(key, fields) or f": there are {', '.join(fields)}"
            raise ValueError(f"found the unknown key {key!r}{given}{hint}")
    return {key: fields[key](one) for key, one in value.items() if one is not None}


def text(value: Any) -> str:
    """Return a text that is not empty."""
    found = values.text(value)
    if not found.strip():
        raise ValueError("found an empty text; null takes a value away")
    return found


def texts(value: Any) -> list[str]:
    """Return a list of texts, in its order."""
    return [text(one) for one in listed(value)]


def flag(value: Any) -> bool:
    """Return a boolean."""
    if not isinstance(value, bool):
        raise TypeError
    return value


def one_of(*choices: str) -> Callable[[Any], str]:
    """Return a normalizer that accepts one of these words."""

    def normal(value: Any) -> str:
        if value not in choices:
            raise ValueError("found another word" + swarm_fault.suggest(value, choices))
        return value

    return normal


def table(value: Any) -> dict[str, str]:
    """Return a mapping of texts."""
    if not isinstance(value, dict):
        raise TypeError
    return values.table(value)


def _port_number(value: Any) -> int:
    number = int(value) if isinstance(value, str) and value.isdigit() else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _HIGHEST_PORT:
        raise ValueError(f"found {value!r}, no port from 1 to {_HIGHEST_PORT}")
    return number


def _no_address(value: Any) -> None:
    raise ValueError(f"found {value!r}, {_ADDRESS}")


_PORT_FIELDS = {
    "target": _port_number,
    "published": _port_number,
    "protocol": one_of("tcp", "udp", "sctp"),
    "mode": one_of("ingress", "host"),
    "host_ip": _no_address,
}


def ports(value: Any) -> list[dict]:
    """Return published ports as ``{published, target, protocol, mode}``, without defaults."""
    found = _sorted([_port(one) for one in listed(value)])
    taken: set[tuple] = set()
    for one in found:
        published = (one.get("published"), one.get("protocol"))
        if published[0] and published in taken:
            raise ValueError(f"found port {published[0]} published twice")
        taken.add(published)
    return found


def _port(value: Any) -> dict:
    if isinstance(value, int | float):
        raise ValueError(f"found {value!r}: write ports in quotes, for YAML takes 22:22 for 1342")
    if not isinstance(value, dict):
        match = _PORT.fullmatch(values.text(value))
        if not match:
            address = _PORT_OF_ADDRESS.fullmatch(values.text(value))
            raise ValueError(f"found {value!r}" + (f", {_ADDRESS}" if address else ""))
        value = match.groupdict()
    port = _record(value, _PORT_FIELDS, " of a port")
    if not port.get("target"):
        raise ValueError("found a port without 'target', the port in the container")
    defaults = {"published": 0, "protocol": "tcp", "mode": "ingress"}
    return {key: one for key, one in port.items() if defaults.get(key) != one}


def published(value: list[dict]) -> list[dict]:
    """Return published ports in the API's form."""
    return [
        {
            "TargetPort": one["target"],
            **({"PublishedPort": one["published"]} if "published" in one else {}),
            "Protocol": one.get("protocol", "tcp"),
            "PublishMode": one.get("mode", "ingress"),
        }
        for one in value
    ]


def published_found(raw: list[dict]) -> list[dict]:
    """Return published ports from the API's form."""
    keys = {
        "target": "TargetPort",
        "published": "PublishedPort",
        "protocol": "Protocol",
        "mode": "PublishMode",
    }
    return [{key: one[place] for key, place in keys.items() if one.get(place)} for one in raw]


def _path(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError(f"found {value!r}, no absolute path")
    return posixpath.normpath(value)


def file_mode(value: Any) -> str:
    """Return the mode of a file as four octal digits. Only texts: YAML may read 0400 as decimal."""
    if not isinstance(value, str) or not _MODE.fullmatch(value):
        raise ValueError(f"found the mode {value!r}: write it in quotes, such as '0400'")
    return f"{int(value, 8):04o}"


def _source(value: Any) -> str:
    return posixpath.normpath(value) if str(value).startswith("/") else text(value)


_PROPAGATION = one_of("rprivate", "private", "rshared", "shared", "rslave", "slave")
_MOUNT_FIELDS = {
    "type": one_of("bind", "volume", "tmpfs"),
    "source": _source,
    "target": _path,
    "read_only": flag,
    "propagation": _PROPAGATION,
    "no_copy": flag,
    "driver": text,
    "driver_options": table,
    "labels": table,
    "size": values.size,
    "mode": file_mode,
}
_OF_TYPE = {
    "bind": {"propagation"},
    "volume": {"no_copy", "driver", "driver_options", "labels"},
    "tmpfs": {"size", "mode"},
}
_MOUNT_DEFAULTS = {"read_only": False, "propagation": "rprivate", "no_copy": False, "size": 0}


def mounts(value: Any) -> list[dict]:
    """Return mounts as ``{type, source, target, ...}``, without defaults."""
    found = _sorted([_mount(one) for one in listed(value)])
    targets = [one["target"] for one in found]
    if doubles := {one for one in targets if targets.count(one) > 1}:
        raise ValueError(f"found {min(doubles)} mounted twice")
    return found


def _mount(value: Any) -> dict:
    mount = _record(_short_mount(value) if isinstance(value, str) else value, _MOUNT_FIELDS)
    source = mount.get("source", "")
    mount.setdefault("type", "bind" if source.startswith("/") else "volume")
    kind = mount["type"]
    if "target" not in mount:
        raise ValueError("found a mount without 'target', the path in the container")
    if (kind == "bind") != source.startswith("/") or (kind == "tmpfs" and source):
        raise ValueError(f"found a mount of type {kind} with the source {source!r}")
    others = set().union(*_OF_TYPE.values()) - _OF_TYPE[kind]
    if wrong := sorted(others & mount.keys()):
        raise ValueError(f"found {wrong[0]!r} for a mount of type {kind}")
    return {
        key: one
        for key, one in mount.items()
        if one not in ({}, "") and _MOUNT_DEFAULTS.get(key, "") != one
    }


def _short_mount(value: str) -> dict:
    words = value.split(":")
    if len(words) == 1:
        return {"target": value}
    source, target, *access = words
    if access not in ([], ["ro"], ["rw"]):
        raise ValueError(f"found {value!r}: after the second colon, there is only ro or rw")
    return {"source": source, "target": target, "read_only": access == ["ro"]}


def mounted(value: list[dict]) -> list[dict]:
    """Return mounts in the API's form."""
    return [_mounted(one) for one in value]


def _mounted(mount: dict) -> dict:
    found = {"Type": mount["type"], "Target": mount["target"]}
    if "source" in mount:
        found["Source"] = mount["source"]
    if mount.get("read_only"):
        found["ReadOnly"] = True
    if "propagation" in mount:
        found["BindOptions"] = {"Propagation": mount["propagation"]}
    driver = {"Name": mount.get("driver"), "Options": mount.get("driver_options")}
    volume = {
        "NoCopy": mount.get("no_copy"),
        "Labels": mount.get("labels"),
        "DriverConfig": {key: one for key, one in driver.items() if one},
    }
    if volume := {key: one for key, one in volume.items() if one}:
        found["VolumeOptions"] = volume
    tmpfs = {"SizeBytes": mount.get("size"), "Mode": int(mount.get("mode", "0"), 8)}
    if tmpfs := {key: one for key, one in tmpfs.items() if one}:
        found["TmpfsOptions"] = tmpfs
    return found


def mounts_found(raw: list[dict]) -> list[dict]:
    """Return mounts from the API's form."""
    return [_mount_found(one) for one in raw]


def _mount_found(raw: dict) -> dict:
    volume, tmpfs = raw.get("VolumeOptions") or {}, raw.get("TmpfsOptions") or {}
    driver = volume.get("DriverConfig") or {}
    found = {
        "type": raw.get("Type"),
        "source": raw.get("Source"),
        "target": raw.get("Target"),
        "read_only": raw.get("ReadOnly"),
        "propagation": (raw.get("BindOptions") or {}).get("Propagation"),
        "no_copy": volume.get("NoCopy"),
        "labels": volume.get("Labels"),
        "driver": driver.get("Name"),
        "driver_options": driver.get("Options"),
        "size": tmpfs.get("SizeBytes"),
        "mode": f"{tmpfs['Mode']:04o}" if tmpfs.get("Mode") else None,
    }
    return {key: one for key, one in found.items() if one}


_NETWORK_FIELDS = {"aliases": lambda value: sorted(set(texts(value))), "driver_opts": table}


def networks(value: Any) -> dict[str, dict]:
    """Return networks as ``{name: {aliases, driver_opts}}``."""
    if not isinstance(value, dict):
        value = dict(map(_network, listed(value)))
    found = {text(name): _record(one or {}, _NETWORK_FIELDS) for name, one in value.items()}
    return {name: {key: one for key, one in found[name].items() if one} for name in sorted(found)}


def _network(value: Any) -> tuple[str, dict]:
    if isinstance(value, dict):
        return text(value.get("name")), {key: one for key, one in value.items() if key != "name"}
    return text(value), {}


def attachments(value: dict[str, dict]) -> list[dict]:
    """Return networks in the API's form, which has IDs in place of names when it is read."""
    keys = {"aliases": "Aliases", "driver_opts": "DriverOpts"}
    return [
        {"Target": name, **{keys[key]: one for key, one in more.items()}}
        for name, more in value.items()
    ]


def attachments_found(raw: list[dict]) -> dict[str, dict]:
    """Return networks from the API's form, with names in place of IDs."""
    return {
        one["Target"]: {"aliases": one.get("Aliases"), "driver_opts": one.get("DriverOpts")}
        for one in raw
    }


class Files:
    """Secrets or configs of a service: files in its containers."""

    def __init__(self, kind: str, folder: str) -> None:
        self._id, self._name, self._folder = f"{kind}ID", f"{kind}Name", folder

    def normal(self, value: Any) -> list[dict]:
        """Return them as ``{name, target, uid, gid, mode}``, without defaults; sorted."""
        found = _sorted([self._file(one) for one in listed(value)])
        targets = [one["target"] for one in found]
        if doubles := {one for one in targets if targets.count(one) > 1}:
            raise ValueError(f"found the target {min(doubles)!r} twice")
        return found

    def _file(self, value: Any) -> dict:
        fields = {"name": text, "target": text, "uid": text, "gid": text, "mode": file_mode}
        file = _record(value if isinstance(value, dict) else {"name": value}, fields)
        if "name" not in file:
            raise ValueError("found one without 'name'")
        file.setdefault("target", f"{self._folder}{file['name']}")
        defaults = {"uid": "0", "gid": "0", "mode": "0444"}
        return {key: one for key, one in file.items() if defaults.get(key) != one}

    def encode(self, value: list[dict]) -> list[dict]:
        """Return them in the API's form, without the IDs, which the API needs."""
        return [
            {
                "File": {
                    "Name": one["target"],
                    "UID": one.get("uid", "0"),
                    "GID": one.get("gid", "0"),
                    "Mode": int(one.get("mode", "0444"), 8),
                },
                self._name: one["name"],
            }
            for one in value
        ]

    def decode(self, raw: list[dict]) -> list[dict]:
        """Return them from the API's form."""
        return [self._decoded(one) for one in raw]

    def _decoded(self, raw: dict) -> dict:
        file = raw.get("File") or {}
        found = {
            "name": raw[self._name],
            "target": file.get("Name"),
            "uid": file.get("UID") or None,
            "gid": file.get("GID") or None,
        }
        mode = file.get("Mode")
        return {**found, **({} if mode is None else {"mode": f"{mode:04o}"})}

    def with_ids(self, raw: list[dict], ids: Mapping[str, str]) -> list[dict]:
        """Return the API's form with the ID of each, by its name."""
        return [{**one, self._id: ids.get(one[self._name], one.get(self._id))} for one in raw]


SECRETS, CONFIGS = Files("Secret", ""), Files("Config", "/")
