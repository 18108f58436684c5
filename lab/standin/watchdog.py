"""
Move containers off a failed engine, and remove their doubles when it comes back.
"""

import threading

from . import config, log
from .cache import Container
from .cluster import Cluster, ConflictError
from .election import Election
from .engine import Engine
from .filters import NoNodeError
from .store import start
from .wire import EngineError

SPANNING = ("global", "swarm")


class Watchdog:
    """Acts on engines that fail or return, as long as this manager is primary."""

    def __init__(self, cluster: Cluster, election: Election) -> None:
        self.cluster, self.election = cluster, election
        self._lock = threading.Lock()
        cluster.handlers.append(self._handle)

    def _handle(self, engine: Engine, event: dict) -> None:
        if event.get("from") != "swarm" or not self.election.leading:
            return
        if event["status"] == "engine_disconnect":
            start(self._reschedule, engine)
        else:
            start(self._remove_doubles, engine)

    def _reschedule(self, engine: Engine) -> None:
        with self._lock:
            for item in list(engine.cache.containers.values()):
                if "on-node-failure" in config.expressions(item.config, "reschedule-policies"):
                    self._move(item)

    def _move(self, item: Container) -> None:
        cache = item.engine.cache
        # Forgotten first: its name is taken as long as it is known.
        cache.forget_container(item.id)
        name = item.names[0].removeprefix("/") if item.names else ""
        try:
            new = self.cluster.create(self._config(item), name)
            self._reconnect(item, new)
            if item.state.get("Running"):
                new.engine.call("POST", f"/containers/{new.id}/start", b"")
                new.engine.cache.refresh_container(new.id)
        except (EngineError, NoNodeError, ConflictError) as err:
            log.error(f"Failed to reschedule container {item.id}: {err}")
            cache.containers[item.id] = item
            return
        log.info(
            f"Rescheduled container {item.id} from {item.engine.name} to {new.engine.name} "
            f"as {new.id}"
        )

    def _config(self, item: Container) -> dict:
        kept = {
            name: endpoint
            for name, endpoint in _endpoints(item).items()
            if not self._spans(endpoint)
        }
        return {**item.config, "NetworkingConfig": {"EndpointsConfig": kept}}

    def _spans(self, endpoint: dict) -> bool:
        return any(
            network["Id"] == endpoint.get("NetworkID") and network.get("Scope") in SPANNING
            for _, network in self.cluster.networks()
        )

    def _reconnect(self, item: Container, new: Container) -> None:
        for name, endpoint in _endpoints(item).items():
            if not self._spans(endpoint):
                continue
            path = f"/networks/{name}"
            old = {"Container": item.names[0].removeprefix("/"), "Force": True}
            wanted = {"Container": new.id, "EndpointConfig": {"Aliases": endpoint.get("Aliases")}}
            try:
                new.engine.call("POST", f"{path}/disconnect", old)
            except EngineError as err:
                log.warning(f"Failed to remove network endpoint from old container: {err}")
            try:
                new.engine.call("POST", f"{path}/connect", wanted)
            except EngineError as err:
                log.warning(f"Failed to connect network {name} to container {new.id}: {err}")

    def _remove_doubles(self, engine: Engine) -> None:
        try:
            engine.cache.refresh_containers(full=False)
        except EngineError:
            return
        with self._lock:
            elsewhere = {
                config.swarm_id(item.config)
                for item in self.cluster.containers()
                if item.engine is not engine
            }
            for item in list(engine.cache.containers.values()):
                if config.swarm_id(item.config) and config.swarm_id(item.config) in elsewhere:
                    self._remove(item)

    def _remove(self, item: Container) -> None:
        try:
            item.engine.call("DELETE", f"/containers/{item.id}?force=1&v=1")
        except EngineError as err:
            log.error(f"Failed to remove duplicate container {item.id}: {err}")
            return
        item.engine.cache.forget_container(item.id)


def _endpoints(item: Container) -> dict[str, dict]:
    return (item.info.get("NetworkSettings") or {}).get("Networks") or {}
