"""
Normalize the mounts of a service. Pure.

Each normalizer accepts what users write and its own result, and returns lists sorted and without
default values. Invalid values raise ``ValueError`` or ``TypeError``; the caller adds the location.
"""

import posixpath
from collections.abc import Mapping
from typing import Any

from swarm_formula.core import normalize
from swarm_formula.spec import service_parts


def _path(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError(f"found {value!r}, no absolute path")
    return posixpath.normpath(value)


def _source(value: Any) -> str:
    return posixpath.normpath(value) if str(value).startswith("/") else service_parts.text(value)


_PROPAGATION = service_parts.one_of("rprivate", "private", "rshared", "shared", "rslave", "slave")
_MOUNT_FIELDS = {
    "type": service_parts.one_of("bind", "volume", "tmpfs"),
    "source": _source,
    "target": _path,
    "read_only": service_parts.flag,
    "propagation": _PROPAGATION,
    "no_copy": service_parts.flag,
    "driver": service_parts.text,
    "driver_options": service_parts.table,
    "labels": service_parts.table,
    "size": normalize.size,
    "mode": service_parts.file_mode,
}
_OF_TYPE = {
    "bind": {"propagation"},
    "volume": {"no_copy", "driver", "driver_options", "labels"},
    "tmpfs": {"size", "mode"},
}
_MOUNT_DEFAULTS = {"read_only": False, "propagation": "rprivate", "no_copy": False, "size": 0}


def mounts(value: Any) -> list[dict[str, Any]]:
    """Return mounts as ``{type, source, target, ...}``, without defaults."""
    found = service_parts.ordered([_mount(one) for one in service_parts.listed(value)])
    targets = [one["target"] for one in found]
    if doubles := {one for one in targets if targets.count(one) > 1}:
        raise ValueError(f"found {min(doubles)} mounted twice")
    return found


def _mount(value: Any) -> dict[str, Any]:
    mount = service_parts.record(
        _short_mount(value) if isinstance(value, str) else value, _MOUNT_FIELDS
    )
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


def _short_mount(value: str) -> dict[str, Any]:
    words = value.split(":")
    if len(words) == 1:
        return {"target": value}
    source, target, *access = words
    if access not in ([], ["ro"], ["rw"]):
        raise ValueError(f"found {value!r}: after the second colon, there is only ro or rw")
    return {"source": source, "target": target, "read_only": access == ["ro"]}


def mounted(value: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return mounts in the API's form."""
    return [_mounted(one) for one in value]


def _mounted(mount: Mapping[str, Any]) -> dict[str, Any]:
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


def mounts_found(raw: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return mounts from the API's form."""
    return [_mount_found(one) for one in raw]


def _mount_found(raw: Mapping[str, Any]) -> dict[str, Any]:
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
