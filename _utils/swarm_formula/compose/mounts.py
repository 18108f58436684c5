"""
Read what a compose file's service mounts: volumes, folders, secrets and configs. Pure.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from swarm_formula.compose import values
from swarm_formula.compose.keys import ON_EACH_NODE
from swarm_formula.core import normalize
from swarm_formula.core.faults import FaultError

_NOT_KEPT = {
    *("z", "Z", "cached", "delegated", "consistent", "consistency"),
    *("bind.create_host_path", "bind.selinux"),
}
_MOUNT = {
    "type": "type",
    "source": "source",
    "target": "target",
    "read_only": "read_only",
    "bind.propagation": "propagation",
    "volume.nocopy": "no_copy",
    "tmpfs.size": "size",
    "tmpfs.mode": "mode",
}
_SHORT_OPTIONS: dict[str, dict[str, Any]] = {
    "ro": {"read_only": True},
    "rw": {"read_only": False},
    "nocopy": {"no_copy": True},
    **{
        one: {"propagation": one}
        for one in ("rprivate", "private", "rshared", "shared", "rslave", "slave")
    },
}


def tmpfs(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the mounts of ``tmpfs``."""
    for one in value if isinstance(value, list) else [value]:
        target, _, options = normalize.text(one).partition(":")
        more = dict(each.partition("=")[::2] for each in options.split(",") if each)
        values.known(more, ("size", "mode"))
        yield {"type": "tmpfs", "target": target, **more}


def volumes(
    value: list[Any], known: Mapping[str, dict[str, Any]], skip: Callable[[str, str], None]
) -> Iterator[dict[str, Any]]:
    """
    Yield the mounts of ``volumes``.

    known
        The options of a mount of each volume of the file.

    skip
        Notes a key that has no effect, and the reason.
    """
    for one in values.listed(value):
        mount = _short(one, skip) if isinstance(one, str) else _long(one, skip)
        source = mount.get("source", "")
        if mount["type"] == "volume" and source:
            mount |= values.named(source, known, "volumes")
        elif mount["type"] == "bind" and not source.startswith("/"):
            want = "an absolute path that each node has: nodes have no folder of this file"
            raise FaultError(source, want)
        yield mount


def _short(text: str, skip: Callable[[str, str], None]) -> dict[str, Any]:
    source, _, rest = text.partition(":")
    if not rest:
        return {"type": "volume", "target": text}
    target, _, options = rest.partition(":")
    mount = {"type": "bind" if source[0] in "./~" else "volume"}
    mount |= {"source": source, "target": target}
    for option in filter(None, options.split(",")):
        if option in _NOT_KEPT:
            skip(f"volumes.{target}:{option}", ON_EACH_NODE)
        elif option not in _SHORT_OPTIONS:
            raise FaultError(option, f"one of {', '.join(_SHORT_OPTIONS)}")
        else:
            mount |= _SHORT_OPTIONS[option]
    return mount


def _long(given: Mapping[str, Any], skip: Callable[[str, str], None]) -> dict[str, Any]:
    mount: dict[str, Any] = {}
    for key, value in given.items():
        if isinstance(value, dict) and key in ("bind", "volume", "tmpfs"):
            for below, one in value.items():
                mount |= _mount_option(f"{key}.{below}", one, skip)
        else:
            mount |= _mount_option(key, value, skip)
    if "type" not in mount:
        raise FaultError("a mount without `type`", "bind, volume or tmpfs")
    return mount


def _mount_option(key: str, value: Any, skip: Callable[[str, str], None]) -> dict[str, Any]:
    if value is None:
        return {}
    if key in _NOT_KEPT:
        skip(f"volumes.{key}", ON_EACH_NODE)
        return {}
    if key not in _MOUNT:
        values.known({key: value}, (*_MOUNT,))
    if key == "tmpfs.mode" and isinstance(value, int):
        value = f"{value:04o}"
    return {_MOUNT[key]: values.flag(value) if key in ("read_only", "volume.nocopy") else value}


def files(value: list[Any], known: Mapping[str, str], kind: str) -> list[dict[str, Any]]:
    """
    Return the secrets or configs of a service.

    known
        The name in Docker of each one of the file.
    """
    found = []
    for one in values.listed(value):
        file = dict(one) if isinstance(one, dict) else {"source": one}
        source = file.pop("source", None)
        if isinstance(file.get("mode"), int):
            file["mode"] = f"{file['mode']:04o}"
        given = {key: each for key, each in file.items() if each is not None}
        named = values.named(source, known, kind)
        found.append({"target": source, **given, "name": named})
    return found
