"""
Remember the containers, images, networks and volumes of one engine.
"""

import json
import threading
import urllib.parse
from typing import Any, Protocol

from . import config
from .wire import EngineError

LIST_TIMEOUT = 30.0
NO_REFRESH = (
    "top", "resize", "export", "exec_create", "exec_start", "exec_detach", "exec_die", "attach",
    "detach", "extract-to-dir", "copy", "archive-path",
)  # fmt: skip


class Engine(Protocol):
    """The engine that is remembered: ``standin.engine`` has the real one."""

    cache: "Cache"
    cpus: int

    def call(self, method: str, path: str, *more: Any, **options: Any) -> Any:
        """Send a request, and return the answer."""


class Container:
    """A container: its line in the engine's list, its inspection, what scheduling asks of it."""

    def __init__(self, engine: Engine, summary: dict) -> None:
        self.engine, self.summary = engine, summary
        self.info: dict = {}
        self.config: dict = {}
        self.exec_ids: list[str] = []

    @property
    def id(self) -> str:
        """The engine's ID."""
        return self.summary.get("Id", "")

    @property
    def names(self) -> list[str]:
        """The names with their leading slash."""
        return self.summary.get("Names") or []

    @property
    def labels(self) -> dict[str, str]:
        """The labels, those of the swarm among them."""
        return self.config.get("Labels") or {}

    @property
    def host_config(self) -> dict:
        """The host configuration, with CPU shares as a number of processors."""
        return self.config.get("HostConfig") or {}

    @property
    def state(self) -> dict:
        """The state as inspected."""
        return self.info.get("State") or {}

    def take(self, info: dict) -> None:
        """Take over a new inspection."""
        self.info = info
        self.exec_ids = list(dict.fromkeys((info.get("ExecIDs") or []) + self.exec_ids))
        host = dict(info.get("HostConfig") or {})
        host["CpuShares"] = (host.get("CpuShares") or 0) * self.engine.cpus // 1024
        self.config = config.build({**(info.get("Config") or {}), "HostConfig": host})


class Cache:
    """What an engine holds, as of the last refresh or event."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.containers: dict[str, Container] = {}
        self.images: list[dict] = []
        self.networks: dict[str, dict] = {}
        self.volumes: dict[str, dict] = {}
        self._lock = threading.RLock()

    def refresh_all(self) -> None:
        """Read all lists again; raises ``EngineError``."""
        self.refresh_containers(full=False)
        self.refresh_others()
        self.refresh_images()

    def refresh_containers(self, full: bool) -> None:
        """Read the list of containers; inspect new ones, and with ``full`` all of them."""
        found = self.engine.call("GET", "/containers/json?all=1", timeout=LIST_TIMEOUT)
        fresh = {}
        for summary in found:
            container = self._update(summary, full)
            if container:
                fresh[container.id] = container
        with self._lock:
            self.containers = fresh

    def refresh_container(self, container_id: str, full: bool = True) -> Container | None:
        """Read one container again and return it, ``None`` if it is gone."""
        wanted = urllib.parse.quote(json.dumps({"id": [container_id]}))
        found = self.engine.call("GET", f"/containers/json?all=1&filters={wanted}")
        summary = next((item for item in found if item["Id"] == container_id), None)
        container = self._update(summary, full) if summary else None
        with self._lock:
            if container:
                self.containers[container_id] = container
            else:
                self.containers.pop(container_id, None)
        return container

    def _update(self, summary: dict, full: bool) -> Container | None:
        container = self.containers.get(summary["Id"])
        # Docker tells nobody when a container gets out of "restarting".
        full = full or container is None or bool(container.state.get("Restarting"))
        container = container or Container(self.engine, summary)
        if full:
            try:
                container.take(self.engine.call("GET", f"/containers/{summary['Id']}/json"))
            except EngineError as err:
                if err.missing:
                    return None
                raise
        container.summary = summary
        return container

    def refresh_images(self) -> None:
        """Read the list of images."""
        self.images = self.engine.call("GET", "/images/json?all=1", timeout=LIST_TIMEOUT)

    def refresh_others(self) -> None:
        """Read the lists of networks and volumes."""
        volumes = self.engine.call("GET", "/volumes", timeout=LIST_TIMEOUT)["Volumes"] or []
        self.volumes = {volume["Name"]: volume for volume in volumes}
        networks = self.engine.call("GET", "/networks", timeout=LIST_TIMEOUT)
        self.networks = {network["Id"]: network for network in networks}

    def refresh_network(self, network_id: str) -> dict | None:
        """Read one network again and return it, ``None`` if it is gone."""
        return self._refresh_one(self.networks, f"/networks/{network_id}", network_id)

    def refresh_volume(self, name: str) -> dict | None:
        """Read one volume again and return it, ``None`` if it is gone."""
        return self._refresh_one(self.volumes, f"/volumes/{name}", name)

    def _refresh_one(self, store: dict[str, dict], path: str, key: str) -> dict | None:
        try:
            store[key] = self.engine.call("GET", path)
        except EngineError as err:
            if not err.missing:
                raise
            store.pop(key, None)
        return store.get(key)

    def forget_container(self, container_id: str) -> None:
        """Drop a removed container."""
        with self._lock:
            self.containers.pop(container_id, None)

    def handle(self, event: dict) -> None:
        """Refresh what an event of the engine tells about."""
        kind, action = event.get("Type", ""), event.get("Action", "")
        actor = (event.get("Actor") or {}).get("ID", "")
        if kind == "network":
            self.refresh_network(actor)
        elif kind == "volume":
            self.refresh_volume(actor)
        elif kind == "image" or (kind == "container" and action == "commit"):
            self.refresh_images()
        elif kind == "container" and action.partition(":")[0] not in NO_REFRESH:
            self.refresh_container(actor)

    def used(self, key: str) -> int:
        """Return what the containers reserve of ``Memory`` or ``CpuShares``."""
        return sum(item.host_config.get(key) or 0 for item in list(self.containers.values()))
