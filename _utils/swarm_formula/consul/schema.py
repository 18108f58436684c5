"""
Name the keys of Consul's configuration as its version does. Pure.

The formula reckons with the names of 1.8. Newer ones are used only where ``consul.json`` is written
and read: newer versions took the old ones with a warning, for as long as they did.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

_TAG = re.compile(r":v?\d+\.\d+[^/]*$")
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?!\d)")
_LABEL = "org.opencontainers.image."
# The keys on the way to a value.
_Path = tuple[str, ...]
_DEFAULTS = ("tls", "defaults")

# The name of 1.8: (the first version with another one, that name).
MOVED: dict[_Path, tuple[tuple[int, ...], _Path]] = {
    ("acl", "tokens", "master"): ((1, 11), ("acl", "tokens", "initial_management")),
    ("ca_file",): ((1, 12), (*_DEFAULTS, "ca_file")),
    ("cert_file",): ((1, 12), (*_DEFAULTS, "cert_file")),
    ("key_file",): ((1, 12), (*_DEFAULTS, "key_file")),
    ("verify_incoming",): ((1, 12), (*_DEFAULTS, "verify_incoming")),
    ("verify_outgoing",): ((1, 12), (*_DEFAULTS, "verify_outgoing")),
    ("verify_server_hostname",): ((1, 12), ("tls", "internal_rpc", "verify_server_hostname")),
}


def version(image: str) -> tuple[int, ...]:
    """Return the version in an image's tag, ``()`` if it names none."""
    return series(found[0][1:]) if (found := _TAG.search(image.partition("@")[0])) else ()


def series(text: str) -> tuple[int, ...]:
    """Return ``(1, 20)`` of ``1.20.2`` or ``v1.20.2-ent``, ``()`` of a text without a version."""
    found = _VERSION.match(text)
    return tuple(map(int, found.groups())) if found else ()


def built(image: Mapping[str, Any]) -> tuple[int, ...]:
    """
    Return the version of Consul in an inspected image, ``()`` if the image does not tell.

    Docker's official image has an environment variable, HashiCorp's another one, and labels, which
    an image may also have from a base that is no Consul.
    """
    config = image.get("Config") or {}
    given = dict(one.split("=", 1) for one in config.get("Env") or [] if "=" in one)
    labels = config.get("Labels") or {}
    titled = str(labels.get(f"{_LABEL}title", "")).lower() == "consul"
    return (
        series(given.get("CONSUL_VERSION", ""))
        or (series(given.get("PRODUCT_VERSION", "")) if titled else ())
        or (series(str(labels.get(f"{_LABEL}version", ""))) if titled else ())
    )


def _move(config: dict[str, Any], old: _Path, new: _Path) -> None:
    """Move the value at one path to another one, and drop sections that are empty afterwards."""
    walked = [config]
    for key in old[:-1]:
        below = walked[-1].get(key)
        if not isinstance(below, dict):
            return
        walked.append(below)
    if old[-1] not in walked[-1]:
        return
    value, place = walked[-1].pop(old[-1]), config
    for key in new[:-1]:
        place = place.setdefault(key, {})
    place[new[-1]] = value
    for section, key in reversed(list(zip(walked, old[:-1], strict=False))):
        if not section[key]:
            del section[key]


def _moved(config: dict[str, Any], moves: Iterator[tuple[_Path, _Path]]) -> dict[str, Any]:
    result = copy.deepcopy(config)
    for old, new in moves:
        _move(result, old, new)
    return result


def written(config: dict[str, Any], have: tuple[int, ...]) -> dict[str, Any]:
    """Return a configuration with the names of a version; those of 1.8 if it is unknown."""
    return _moved(config, ((old, new) for old, (since, new) in MOVED.items() if have >= since))


def read(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration of any version with the names of 1.8."""
    return _moved(config, ((new, old) for old, (_, new) in MOVED.items()))
