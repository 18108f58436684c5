"""
Follow one Docker Engine: its state, its specs, and a cache of what runs on it.
"""

import json
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse

from . import log
from .cache import Cache
from .golang import parse_time, split_host_port
from .store import start
from .wire import CLIENT_VERSION, Call, EngineError, Pool, UnreachableError

PENDING, UNHEALTHY, HEALTHY, DISCONNECTED = "Pending", "Unhealthy", "Healthy", "Disconnected"
SPEC_INTERVAL = 300.0
VALIDATION_LIMIT = 4 * 3600.0
MIN_BACKOFF = 30.0
CLOCK_TOLERANCE = 2.0
LIST_TIMEOUT = 30.0


@dataclass(frozen=True)
class EngineOptions:
    """How engines are refreshed, and how much more than they have may be reserved."""

    refresh_min: float = 30.0
    refresh_max: float = 60.0
    failure_retry: int = 3
    overcommit: int = 5
    tls: ssl.SSLContext | None = None


class Engine:
    """An engine found by discovery; ``notify`` gets its events as dicts."""

    def __init__(
        self, address: str, options: EngineOptions, notify: Callable[["Engine", dict], None]
    ) -> None:
        self.address, self.options, self.notify = address, options, notify
        self.id = self.name = self.version = self.ip = ""
        self.cpus = self.memory = 0
        self.labels: dict[str, str] = {}
        self.state, self.error, self.failures = PENDING, "", 0
        self.updated = time.time()
        self.clock_delta = 0.0
        self.cache = Cache(self)
        self._pool = Pool(address, options.tls)
        self._api = ""
        self._lock = threading.RLock()
        self._resume, self._gone = threading.Event(), threading.Event()

    @property
    def healthy(self) -> bool:
        """Whether the last contacts went well."""
        return self.state == HEALTHY

    @property
    def health(self) -> int:
        """The degree of health from 0 to 100, less for every recent failure."""
        retry = self.options.failure_retry
        if not self.healthy or self.failures >= retry:
            return 0
        return 100 - self.failures * 100 // retry

    @property
    def total_memory(self) -> int:
        """Memory with overcommit."""
        return self.memory + self.memory * self.options.overcommit // 100

    @property
    def total_cpus(self) -> int:
        """Processors with overcommit."""
        return self.cpus + self.cpus * self.options.overcommit // 100

    def open(self, method: str, path: str, body: bytes, **headers: str) -> HTTPResponse:
        """Send a request whose answer is read piece by piece; raises ``EngineError``."""
        return self._counted(self._pool.stream, method, path, body, None, headers)

    def call(
        self, method: str, path: str, body: object = None, timeout: float | None = None
    ) -> object:
        """Send a request; return the decoded answer, ``None`` for an empty one."""
        data = self._counted(self._pool.fetch, method, path, body, timeout, {})
        return json.loads(data) if data else None

    def _counted(self, send: Callable, method: str, path: str, *more: object) -> object:
        # Every outcome counts for the engine's health.
        try:
            answer = send(Call(method, self._api + path, *more))
        except EngineError as err:
            self.note(err)
            raise
        self.note(None)
        return answer

    def note(self, err: Exception | None) -> None:
        """Count a success or a failed connection, and change state if it is time to."""
        event = ""
        with self._lock:
            if err is None:
                self.error, self.updated, self.failures = "", time.time(), 0
                if self.state == UNHEALTHY:
                    self.state, event = HEALTHY, "engine_reconnect"
                    self._resume.set()
            elif isinstance(err, UnreachableError):
                self.failures += 1
                self.error, self.updated = str(err), time.time()
                if self.healthy and self.failures >= self.options.failure_retry:
                    self.state, event = UNHEALTHY, "engine_disconnect"
        if event:
            log.info(f"Engine is {self.state.lower()}", name=self.name, id=self.id)
            self.emit(event)

    def emit(self, status: str) -> None:
        """Report a change of the engine itself as an event of the swarm."""
        now = time.time()
        self.notify(
            self,
            {
                "status": status,
                "from": "swarm",
                "Type": "swarm",
                "Action": status,
                "Actor": {"ID": "", "Attributes": {}},
                "time": int(now),
                "timeNano": int(now * 1e9),
            },
        )

    def connect(self) -> None:
        """Validate the engine and fill the cache; raises ``EngineError``."""
        host, _ = split_host_port(self.address)
        try:
            self.ip = socket.getaddrinfo(host, None)[0][4][0]
        except OSError as err:
            raise EngineError(f"lookup {host}: {err}") from err
        self.update_specs()
        start(self._watch_events)
        self.cache.refresh_containers(full=True)
        self.cache.refresh_images()
        self.cache.refresh_others()
        self.emit("engine_connect")

    def validated(self) -> None:
        """Turn a pending engine healthy and keep it fresh from now on."""
        with self._lock:
            if self.state != PENDING:
                return
            self.state, self.failures = HEALTHY, 0
        start(self._refresh_loop)

    def conflict(self, other: str) -> None:
        """Show that another address has the same engine ID."""
        with self._lock:
            self.updated = time.time()
            self.error = (
                f"ID duplicated. {self.id} shared by this node {self.address} "
                f"and another node {other}"
            )

    def due(self) -> bool:
        """Tell whether a pending engine is to be tried again: after 2^failures + 30 seconds."""
        waited = time.time() - self.updated
        backoff = min(2.0 ** min(self.failures, 20) + MIN_BACKOFF, VALIDATION_LIMIT)
        return self.state == PENDING and waited > backoff

    def disconnect(self) -> None:
        """Stop following the engine, because discovery lost it."""
        with self._lock:
            if self.state == DISCONNECTED:
                return
            self.state = DISCONNECTED
        self._gone.set()
        self._resume.set()
        self._pool.close()
        self.emit("engine_disconnect")

    def update_specs(self) -> None:
        """Read name, size, version and labels; raises ``EngineError`` for what is no engine."""
        self._api = ""
        info = self.call("GET", "/info", timeout=LIST_TIMEOUT)
        delta = (
            time.time() - parse_time(info.get("SystemTime", "")) if info.get("SystemTime") else 0
        )
        if not info.get("NCPU") or not info.get("MemTotal"):
            raise EngineError(
                "cannot get resources for this engine, "
                f"make sure {self.address} is a Docker Engine, not a Swarm manager"
            )
        version = self.call("GET", "/version", timeout=LIST_TIMEOUT)
        self._negotiate(version.get("ApiVersion", "1.24"))
        with self._lock:
            self.version = version["Version"]
            self._take_id(f"{info['ID']}|{self.address}")
            self.clock_delta = delta if abs(delta) >= CLOCK_TOLERANCE else 0.0
            self.name, self.cpus, self.memory = info["Name"], info["NCPU"], info["MemTotal"]
            self.labels = spec_labels(info, f"(ID: {self.id}, Addr: {self.address})")

    def _negotiate(self, offered: str) -> None:
        theirs = tuple(int(part) for part in offered.split("."))
        major, minor = min(theirs, CLIENT_VERSION)
        self._api = f"/v{major}.{minor}"

    def _take_id(self, found: str) -> None:
        if self.id and self.id != found:
            self.state = PENDING
            self.error = (
                f"Engine (ID: {self.id}, Addr: {self.address}) shows up with another ID:{found}. "
                "Please remove it from cluster, it can be added back."
            )
            raise EngineError(self.error)
        self.id = found

    def _refresh_loop(self) -> None:
        specs_at = time.time()
        while True:
            low, high = self.options.refresh_min, self.options.refresh_max
            backoff = min(max(self.failures - self.options.failure_retry, 0), 1000)
            self._resume.wait(low * (1 + backoff) + random.uniform(0, high - low))  # noqa: S311
            self._resume.clear()
            if self._gone.is_set():
                return
            try:
                if not self.healthy or time.time() - specs_at > SPEC_INTERVAL:
                    self.update_specs()
                    specs_at = time.time()
                self.cache.refresh_all()
            except EngineError as err:
                log.debug("Engine refresh failed", name=self.name, id=self.id, error=err)

    def _watch_events(self) -> None:
        while not self._gone.is_set():
            try:
                answer = self._pool.stream(Call("GET", f"{self._api}/events"))
                while line := answer.readline():
                    if self._gone.is_set():
                        return
                    self._handle(json.loads(line))
            except (OSError, EngineError, HTTPException, ValueError) as err:
                log.error(
                    "error monitoring events, will restart", name=self.name, id=self.id, error=err
                )
            self._gone.wait(min(self.failures + 1, 10))

    def _handle(self, event: dict) -> None:
        try:
            if event.get("Type") == "daemon" and event.get("Action") == "reload":
                self.update_specs()
            else:
                self.cache.handle(event)
        except EngineError as err:
            log.debug("refresh after an event failed", name=self.name, error=err)
        self.notify(self, event)


def spec_labels(info: dict, who: str) -> dict[str, str]:
    """Return an engine's labels for scheduling; raises ``EngineError`` for a malformed one."""
    facts = {
        "storagedriver": info.get("Driver"),
        "kernelversion": info.get("KernelVersion"),
        "operatingsystem": info.get("OperatingSystem"),
        "ostype": info.get("OSType"),
    }
    labels = {key: value for key, value in facts.items() if value}
    for label in info.get("Labels") or []:
        key, equals, value = label.partition("=")
        if not equals:
            raise EngineError(
                f'Engine {who} contains an invalid label ({label}) not formatted as "key=value".'
            )
        if key == "node":
            log.warning(
                f'Engine {who} contains a label ({label}) with key of "node" which cannot '
                "be used in Swarm."
            )
            continue
        labels.setdefault(key, value)
    return labels
