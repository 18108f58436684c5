"""The pillar of the lab, written as JSON: it is valid YAML, and needs no library."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

MOST_MANAGERS = 3


def default(
    hosts: Iterable[str],
    mode: str,
    suite: str,
    images: Mapping[str, Mapping],
    ipv6: bool = False,
) -> dict[str, object]:
    """Returns the value of the pillar key `swarm` for a lab as it comes up."""
    names = list(hosts)
    # An even number of managers bears no more failures than one less.
    count = min(MOST_MANAGERS, len(names) if len(names) % 2 else len(names) - 1)
    swarm: dict[str, object] = {"managers": names[:count], "nodes": {"m*": {}}}
    if mode == "builtin":
        return {"mode": mode, **swarm}
    if suite == "bullseye" and not ipv6:
        # Only bullseye's engine is built with the library that overlay networks need, which
        # connects hosts by IPv4 only.
        swarm["overlay"] = True
    for section, image in (("consul", "consul"), ("manager", "swarm")):
        if image in images:
            found = images[image]
            swarm[section] = {"image": found["image"], "image_source": found["source"]}
    return swarm


def write(folder: Path, swarm: Mapping[str, object], host: str | None = None) -> None:
    """Writes the value of the key `swarm`, for every host or for one, on top of the rest."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "swarm" if host is None else f"host_{host}"
    _put(folder / f"{name}.sls", {"swarm": swarm})
    _put(folder / "top.sls", top(path.stem for path in folder.glob("host_*.sls")))


def clear(folder: Path, host: str) -> None:
    """Takes away what was written for one host."""
    (folder / f"host_{host}.sls").unlink(missing_ok=True)
    _put(folder / "top.sls", top(path.stem for path in folder.glob("host_*.sls")))


def top(overrides: Iterable[str]) -> dict[str, object]:
    """Returns the top file: the common SLS for all, its own SLS for each host that has one."""
    own = {name.removeprefix("host_"): [name] for name in sorted(overrides)}
    return {"base": {"*": ["swarm"], **own}}


def _put(path: Path, value: object) -> None:
    # Renamed into place: the master may read at any moment.
    partial = path.with_suffix(".new")
    partial.write_text(json.dumps(value, indent=2) + "\n")
    partial.rename(path)
