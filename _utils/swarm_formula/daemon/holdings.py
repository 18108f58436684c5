"""
Refuse changes of ``daemon.json`` that would hide an engine's containers, images or other data.

Docker does not migrate data when such a key changes: it starts with another directory or driver,
and existing data seems to be gone, or containers run on without an engine. Such a change is refused
while the engine has data. The decisions are pure; the data is read from the engine or its disk.
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from swarm_formula.core import errors
from swarm_formula.docker import engine_api

ROOT, EXEC = "/var/lib/docker", "/var/run/docker"
CONTAINERS, IMAGES, VOLUMES, SWARM = "containers", "images", "volumes", "swarm mode"
RUNNING = "running containers"
_EVERYTHING = (CONTAINERS, IMAGES, VOLUMES, SWARM)
_SNAPSHOTTER = "io.containerd.snapshotter.v1"
# From this version on, the containerd image store is the default of an empty engine.
_OWN_STORE = (29,)
# The file that exists while a node is in a cluster (moby daemon/cluster, ``stateFile``).
_STATE = "swarm/docker-state.json"


# {kind: the names, or as many numbers}
Kinds = Mapping[str, frozenset[str] | frozenset[int]]


class Holdings(NamedTuple):
    """The data of an engine, ``{kind: names}``, and how the engine stores it."""

    up: bool
    kinds: Kinds
    root: str  # the engine's data directory, as the engine reports it if it runs
    driver: str = ""
    snapshotter: bool = False  # images are in the containerd image store

    def of(self, *kinds: str) -> list[str]:
        """Return the given kinds that are not empty, each with its count."""
        return [
            kind if kind == SWARM else f"{len(self.kinds[kind])} {kind}"
            for kind in kinds
            if self.kinds.get(kind)
        ]


class Key(NamedTuple):
    """A key of ``daemon.json`` whose change hides data."""

    hides: tuple[str, ...]
    effective: Callable[[dict[str, Any]], object]  # its effective value in a configuration
    cure: str


_EMPTY = (
    "Docker takes nothing along. An empty engine takes the key: save what you need of this node's"
    " volumes and images, have its work elsewhere, take it out of the swarm (salt-run swarm.remove,"
    " which keeps the quorum), remove what is left on its engine by hand, and apply again"
)
_STOP = (
    "stop the containers of this node by hand and apply again; as long as they run, the engine"
    " would lose them and they would run on"
)


def _text(key: str, default: str = "") -> Callable[[dict[str, Any]], object]:
    return lambda config: config.get(key) or default


def _root(config: Mapping[str, Any]) -> object:
    # Until Docker 23, the key could also be named "graph".
    return str(Path(config.get("data-root") or config.get("graph") or ROOT).resolve())


def has_run(config: Mapping[str, Any]) -> bool:
    """Return whether an engine has run on this host: its first start fills its data directory."""
    root = Path(str(_root(config)))
    return root.is_dir() and any(root.iterdir())


def _remap(config: dict[str, Any]) -> object:
    value = config.get("userns-remap") or ""
    return "dockremap" if value == "default" else value


def _snapshotter(config: dict[str, Any]) -> object:
    features = config.get("features")
    return features.get("containerd-snapshotter") if isinstance(features, dict) else None


def _pools(config: dict[str, Any]) -> object:
    """Return the storage driver options that determine where the data is."""
    return sorted(
        one
        for one in config.get("storage-opts") or []
        if str(one).partition("=")[0] in {"zfs.fsname", "dm.thinpooldev", "dm.datadev"}
    )


KEYS: dict[str, Key] = {
    "data-root": Key(_EVERYTHING, _root, ""),
    "graph": Key(_EVERYTHING, _root, ""),
    "userns-remap": Key(_EVERYTHING, _remap, _EMPTY),
    "storage-driver": Key((CONTAINERS, IMAGES), _text("storage-driver"), _EMPTY),
    "storage-opts": Key((CONTAINERS, IMAGES), _pools, _EMPTY),
    "features": Key((CONTAINERS, IMAGES), _snapshotter, _EMPTY),
    "exec-root": Key((RUNNING,), _text("exec-root", EXEC), _STOP),
    "containerd": Key((RUNNING,), _text("containerd"), _STOP),
    "containerd-namespace": Key((RUNNING,), _text("containerd-namespace", "moby"), _STOP),
    "containerd-plugin-namespace": Key(
        (RUNNING,), _text("containerd-plugin-namespace", "plugins.moby"), _STOP
    ),
}


def hiding(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return the keys that differ between ``old`` and ``new`` in their effective value."""
    return [
        key
        for key, one in KEYS.items()
        if old.get(key) != new.get(key) and one.effective(old) != one.effective(new)
    ]


def _same(key: str, new: dict[str, Any], held: Holdings) -> bool:
    """Return whether the engine already uses the new value, regardless of its old file."""
    if key in {"data-root", "graph"} and held.up:
        return _root(new) == str(Path(held.root).resolve())
    if key == "storage-driver" and held.driver:
        # If unset, Docker keeps the driver for which it finds data, except for vfs.
        return new.get(key) == held.driver or (not new.get(key) and held.driver != "vfs")
    if key == "features" and held.up:
        wanted = _snapshotter(new)
        return wanted is None or bool(wanted) == held.snapshotter
    return False


def _hidden(key: str, old: dict[str, Any], new: dict[str, Any], held: Holdings) -> list[str]:
    """Return the data that a change of the key would hide."""
    kinds = KEYS[key].hides
    if kinds == (RUNNING,):
        if held.snapshotter and key.startswith("containerd"):
            kinds = (CONTAINERS, IMAGES)
        elif held.up and not (old.get("live-restore") or new.get("live-restore")):
            # Without live-restore, containers stop with the engine.
            kinds = ()
    return held.of(*kinds)


def refusal(
    old: dict[str, Any],
    new: dict[str, Any],
    held: Holdings,
    missing: Callable[[str], list[str]] | None = None,
) -> str | None:
    """
    Return why ``daemon.json`` must not be changed to ``new``, ``None`` if no data would be hidden.

    missing
        Function that returns which entries of the old ``data-root`` are missing in a new one.
    """
    found = []
    for key in hiding(old, new):
        if _same(key, new, held) or not (hidden := _hidden(key, old, new, held)):
            continue
        what, lost = f"swarm:engine:options:{key}", ", ".join(hidden)
        if key not in {"data-root", "graph"}:
            found.append(f"{what}: {lost} would be out of the engine's sight. {KEYS[key].cure}")
        elif text := _unmoved(_root(new), held, missing):
            found.append(f"{what}: {lost} would be out of the engine's sight. {text}")
    return "; ".join(found) or None


def downgrade_refusal(due: tuple[int, ...], options: dict[str, Any], held: Holdings) -> str | None:
    """
    Return why an older engine must not be installed, ``None`` if it can use the existing data.

    Since Docker 29, an engine that started empty uses the containerd image store. An older engine
    uses it only if ``features`` enables it.
    """
    if not due or due >= _OWN_STORE:
        return None
    lost = held.of(CONTAINERS, IMAGES)
    if not (held.snapshotter and lost) or _snapshotter(options):
        return None
    return (
        f"Docker {due[0]} would not find {', '.join(lost)}, which are in containerd's image store:"
        " leave swarm:engine:version as it was, or tell the older engine of that store with"
        " swarm:engine:options:features: {containerd-snapshotter: true}"
    )


def _unmoved(
    place: object, held: Holdings, missing: Callable[[str], list[str]] | None
) -> str | None:
    """Return how to move the data to its new directory, ``None`` if all of it is there."""
    way = (
        "one node after the other, stop its containers by hand (in swarm mode, drain the node),"
        " then 'systemctl stop docker.socket docker.service', 'mkdir -p"
        f" {place}', 'cp -a {held.root}/. {place}/', and apply there while the engine is stopped:"
        " it is accepted when the new place has all that the old one has; remove the old one only"
        " when all is well"
    )
    if held.up:
        return f"To move it: {way}"
    if held.kinds.get(RUNNING):
        return f"Containers still run, and write to the old place. To move it: {way}"
    lacks = missing(str(place)) if missing else []
    return f"{place} lacks {', '.join(lacks[:3])}. To move it: {way}" if lacks else None


def refused(old: dict[str, Any], new: dict[str, Any]) -> str | None:
    """Return why this host's engine must not be configured with ``new``, ``None`` if it may."""
    if not hiding(old, new):
        return None
    try:
        with engine_api.connect(what="the engine") as client:
            held = of_engine(client)
    except errors.EngineUnreachableError:
        held = on_disk(old)
    return refusal(old, new, held, lambda place: missing_in(held, place))


def lost_by_downgrade(due: tuple[int, ...], options: dict[str, Any]) -> str | None:
    """Return which data of the running engine an older engine would not find, as a sentence."""
    with engine_api.connect(what="the engine") as client:
        return downgrade_refusal(due, options, of_engine(client))


# ---- reading the data of an engine


def of_engine(client: Any) -> Holdings:
    """Return the data of a running engine."""
    with engine_api.translated("what the engine holds"):
        info = client.info()
        volumes = (client.volumes() or {}).get("Volumes") or []
    state = (info.get("Swarm") or {}).get("LocalNodeState") or "inactive"
    driver = dict(one for one in info.get("DriverStatus") or [] if len(one) == 2)  # noqa: PLR2004
    counts = {
        CONTAINERS: info.get("Containers"),
        IMAGES: info.get("Images"),
        RUNNING: info.get("ContainersRunning"),
    }
    kinds: dict[str, frozenset[str] | frozenset[int]] = {
        kind: frozenset(range(count or 0)) for kind, count in counts.items()
    }
    kinds[VOLUMES] = frozenset(one["Name"] for one in volumes)
    kinds[SWARM] = frozenset({state} - {"inactive"})
    return Holdings(
        up=True,
        kinds=kinds,
        root=info.get("DockerRootDir") or ROOT,
        driver=info.get("Driver") or "",
        snapshotter=driver.get("driver-type") == _SNAPSHOTTER,
    )


def on_disk(config: dict[str, Any]) -> Holdings:
    """Return the data that a stopped engine has on disk."""
    root = Path(str(_root(config)))
    if _remap(config):
        # With user namespaces, the data is in a subdirectory, UID.GID.
        root = next((one for one in root.glob("[0-9]*.[0-9]*") if one.is_dir()), root)
    found = _entries(root)
    kinds = {
        kind: frozenset(one for one in found if one.startswith(start))
        for kind, start in (
            (CONTAINERS, "containers/"),
            (IMAGES, "image/"),
            (VOLUMES, "volumes/"),
            (SWARM, "swarm/"),
        )
    }
    runtime = Path(str(config.get("exec-root") or EXEC)) / "runtime-runc/moby"
    kinds[RUNNING] = frozenset(_names(runtime.glob("*")))
    return Holdings(up=False, kinds=kinds, root=str(root))


def _names(paths: Iterable[Path]) -> set[str]:
    return {one.name for one in paths}


def _entries(root: Path) -> set[str]:
    """Return the paths below ``root`` that represent containers, images, volumes and swarm mode."""
    patterns = ("containers/*", "image/*/imagedb/content/sha256/*", "volumes/*/_data", _STATE)
    return {str(one.relative_to(root)) for pattern in patterns for one in root.glob(pattern)}


def missing_in(held: Holdings, place: str) -> list[str]:
    """Return which entries of a stopped engine's data are missing in another directory."""
    return sorted(_entries(Path(held.root)) - _entries(Path(place)))


def in_cluster(config: dict[str, Any]) -> bool:
    """Return whether a stopped engine is a node of a swarm mode cluster."""
    return bool(on_disk(config).kinds[SWARM])


def container_names(config: dict[str, Any]) -> dict[str, list[str]]:
    """Return ``{name: command}`` of the containers that a stopped engine has on disk."""
    found = {}
    for path in Path(on_disk(config).root).glob("containers/*/config.v2.json"):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            data = json.loads(path.read_text(encoding="utf-8"))
            found[data["Name"].lstrip("/")] = (data.get("Config") or {}).get("Cmd") or []
    return found
