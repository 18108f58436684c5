"""
Hold the swarm together: engines come and go by discovery, containers get a place.
"""

import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterator

from . import config as conf
from . import log, names
from .cache import Container
from .discovery import Backend
from .engine import Engine, EngineOptions
from .filters import Node
from .placing import create_on
from .scheduler import Scheduler
from .store import StoreError, start
from .wire import EngineError

PENDING_CHECK = 10.0
LISTEN_PAUSE = 5.0
IMAGE_MISSING = ("No such image", "not found", "does not exist")


class ConflictError(Exception):
    """A container's name is taken."""


class Cluster:
    """All engines of the swarm, validated and pending."""

    def __init__(self, scheduler: Scheduler, options: EngineOptions, create_retry: int = 0) -> None:
        self.scheduler, self.options, self.create_retry = scheduler, options, create_retry
        self.engines: dict[str, Engine] = {}
        self.pending: dict[str, Engine] = {}
        self._placing: dict[str, Container] = {}
        self._lock, self._schedule = threading.RLock(), threading.RLock()
        self.handlers: list[Callable[[Engine, dict], None]] = []
        self._listeners: list[queue.SimpleQueue] = []

    def run(self, backend: Backend, heartbeat: float) -> None:
        """Follow the discovery and try pending engines again, in the background, for ever."""
        start(self._watch_discovery, backend, heartbeat)
        start(self._retry_pending)

    def _watch_discovery(self, backend: Backend, heartbeat: float) -> None:
        known: list[str] = []
        while True:
            try:
                for found in backend.watch():
                    # Removal first: an engine may come back under another address.
                    for address in [item for item in known if item not in found]:
                        self._remove(address)
                    for address in [item for item in found if item not in known]:
                        self._add(address)
                    known = found
            except StoreError as err:
                log.error(f"Discovery error: {err}")
            log.error("Discovery error: Unexpected watch error")
            time.sleep(heartbeat)

    def _retry_pending(self) -> None:
        while True:
            time.sleep(PENDING_CHECK)
            for engine in list(self.pending.values()):
                if engine.due():
                    start(self._validate, engine)

    def _add(self, address: str) -> None:
        with self._lock:
            if address in [engine.address for engine in self.all_engines()]:
                return
            engine = self.pending[address] = Engine(address, self.options, self._publish)
        start(self._validate, engine)

    def _validate(self, engine: Engine) -> None:
        try:
            engine.connect()
        except EngineError as err:
            log.debug(f"Failed to validate pending node: {err}", Addr=engine.address)
            return
        with self._lock:
            if self.pending.get(engine.address) is not engine:
                return
            if engine.id in self.engines:
                engine.conflict(self.engines[engine.id].address)
                return
            del self.pending[engine.address]
            engine.validated()
            self.engines[engine.id] = engine
        log.info(f"Registered Engine {engine.name} at {engine.address}")

    def _remove(self, address: str) -> None:
        with self._lock:
            engine = next((e for e in self.all_engines() if e.address == address), None)
            if not engine:
                return
            self.pending.pop(address, None)
            self.engines.pop(engine.id, None)
        engine.disconnect()
        log.info(f"Removed Engine {engine.name}")

    def all_engines(self) -> list[Engine]:
        """Return validated and pending engines."""
        return [*self.engines.values(), *self.pending.values()]

    def active(self) -> list[Engine]:
        """Return the validated engines."""
        return list(self.engines.values())

    def containers(self) -> list[Container]:
        """Return all containers."""
        return [item for e in self.active() for item in list(e.cache.containers.values())]

    def container(self, wanted: str) -> Container | None:
        """Return the container that ``wanted`` names."""
        return names.container(self.containers(), wanted)

    def images(self) -> list[tuple[Engine, dict]]:
        """Return all images with their engines."""
        return [(engine, image) for engine in self.active() for image in engine.cache.images]

    def networks(self) -> list[tuple[Engine, dict]]:
        """Return all networks with their engines; one that spans engines comes several times."""
        return [(e, item) for e in self.active() for item in list(e.cache.networks.values())]

    def volumes(self) -> list[tuple[Engine, dict]]:
        """Return all volumes with their engines."""
        return [(e, item) for e in self.active() for item in list(e.cache.volumes.values())]

    def select(self, config: dict) -> list[Engine]:
        """Return the engines that may run ``config``, best first; raises ``NoNodeError``."""
        chosen = self.scheduler.select([self._node(engine) for engine in self.active()], config)
        return [self.engines[node.id] for node in chosen]

    def _node(self, engine: Engine) -> Node:
        found = list(engine.cache.containers.values())
        known = {conf.swarm_id(item.config) for item in found}
        placing = [
            item
            for key, item in list(self._placing.items())
            if item.engine is engine and key not in known
        ]
        extra = {
            key: sum(item.host_config.get(key) or 0 for item in placing)
            for key in ("Memory", "CpuShares")
        }
        return Node(
            id=engine.id,
            name=engine.name,
            labels=engine.labels,
            containers=found + placing,
            images=engine.cache.images,
            used_memory=engine.cache.used("Memory") + extra["Memory"],
            used_cpus=engine.cache.used("CpuShares") + extra["CpuShares"],
            total_memory=engine.total_memory,
            total_cpus=engine.total_cpus,
            health=engine.health,
        )

    def create(self, config: dict, name: str, auth: str = "") -> Container:
        """Place and create a container, with the retries that the options allow."""
        retries = self.create_retry
        try:
            return self._create(config, name, auth)
        except EngineError as err:
            failure = err
        if any(word in str(failure) for word in IMAGE_MISSING) and not conf.pinned(config):
            image = config.get("Image", "")
            if any(names.image_matches(item, image) for _, item in self.images()):
                return self._create(config, name, auth, image)
        while retries > 0:
            retries -= 1
            try:
                return self._create(config, name, auth)
            except EngineError as err:
                failure = err
        raise failure

    def _create(self, config: dict, name: str, auth: str, image: str = "") -> Container:
        with self._schedule:
            if name and not self.name_free(name):
                raise ConflictError(
                    f"Conflict: The name {name} is already assigned. You have to delete (or rename)"
                    f" that container to be able to assign {name} to a container again."
                )
            config = self._prepare(config)
            wanted = (
                conf.with_expression(config, "affinities", f"image=={image}") if image else config
            )
            engine = self.select(wanted)[0]
            place = Container(engine, {"Names": [f"/{name}"] if name else []})
            place.config = config
            key = conf.swarm_id(config)
            self._placing[key] = place
        try:
            return create_on(engine, config, name, auth)
        except EngineError as err:
            log.error("Failed to create container", NodeName=engine.name, error=err)
            raise
        finally:
            self._placing.pop(key, None)

    def _prepare(self, config: dict) -> dict:
        if not conf.swarm_id(config):
            labels = {**config["Labels"], f"{conf.NAMESPACE}.id": secrets.token_hex(32)}
            config = {**config, "Labels": labels}
        host = config.get("HostConfig") or {}
        found = names.network(self.networks(), host.get("NetworkMode") or "")
        if found and found[1].get("Scope") == "local":
            if not conf.pinned(config):
                config = conf.with_expression(config, "constraints", f"node==~{found[0].name}")
            config = {**config, "HostConfig": {**host, "NetworkMode": found[1]["Name"]}}
        return config

    def name_free(self, name: str) -> bool:
        """Tell whether no container has ``name`` and none is being created with it."""
        taken = [*self.containers(), *self._placing.values()]
        return not any(f"/{name}" in item.names or name in item.names for item in taken)

    def listen(self) -> Iterator[tuple[Engine, dict] | None]:
        """Yield events of engines and of the swarm; ``None`` now and then when all is quiet."""
        inbox: queue.SimpleQueue = queue.SimpleQueue()
        self._listeners.append(inbox)
        try:
            while True:
                try:
                    yield inbox.get(timeout=LISTEN_PAUSE)
                except queue.Empty:
                    yield None
        finally:
            self._listeners.remove(inbox)

    def listeners(self) -> int:
        """Return how many clients listen to events."""
        return len(self._listeners)

    def _publish(self, engine: Engine, event: dict) -> None:
        for handler in self.handlers:
            handler(engine, event)
        for inbox in list(self._listeners):
            inbox.put((engine, event))
