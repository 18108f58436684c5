"""
Keep the overlay networks of classic Swarm whole on this host.

A program of its own as well as a library: ``swarm-overlay.service`` runs this file with Salt's
Python, without a master and with the standard library only.

The engine learns from gossip (serf) on which host the other containers of an overlay network are.
What it misses, it asks for when a packet has no way (``watchMiss``). After each start of the engine
both fail: containers start or are restored before serf has its store, their namespaces never get a
``watchMiss`` (libnetwork, ``isSerfAlive`` in ``drivers/overlay/ov_network.go``), and joins of that
time are lost for good. The store holds the truth all the time: the address, MAC address and host of
each endpoint. This program compares the kernel's entries with it, and writes those that are missing
or lead to another host. No container is restarted, and no other entry is touched.

Containers whose start has failed because the store did not answer (the engine waits one minute for
it, once) are started when it does.
"""

import contextlib
import http.client
import json
import logging
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from swarm_formula.overlay import routes
from swarm_formula.overlay.kv_store import ENDPOINTS, NETWORKS, Store, StoreError
from swarm_formula.overlay.namespaces import is_namespace, look, mend, namespaces
from swarm_formula.overlay.routes import Route

T = TypeVar("T")

log = logging.getLogger("swarm-overlay")

DAEMON = Path("/etc/docker/daemon.json")
SOCKET = "/var/run/docker.sock"
# Seconds: a call of the engine, what the store may take to tell of a change, a pause after a fault,
# and what the engine's own gossip may take.
_CALL, _WATCH, _PAUSE, _GOSSIP = 60, 10, 5, 3
# How often the start of a container is tried.
_STARTS = 5


# ---- the engine


class _Local(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(SOCKET)


def _engine(method: str, path: str) -> Any:
    connection = _Local("engine", timeout=_CALL)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    if answer.status >= http.HTTPStatus.BAD_REQUEST:
        raise OSError(f"Docker says: {text.strip()}")
    return json.loads(text) if text else None


def stranded(networks: Iterable[str]) -> list[dict[str, Any]]:
    """Return the containers of overlay networks that the engine was to start, and could not."""
    known = set(networks)
    filters = urllib.parse.quote(json.dumps({"status": ["exited"]}))
    found = []
    for one in _engine("GET", f"/containers/json?all=1&filters={filters}"):
        container = _engine("GET", f"/containers/{one['Id']}/json")
        if known & routes.networks_of(container) and routes.late(container):
            found.append(container)
    return found


# ---- all of it


# {network ID: (path, [(device, route)])}
Faults = dict[str, tuple[Path, list[tuple[str, Route]]]]


class Look(NamedTuple):
    """What is wrong with the overlay networks of this host."""

    faults: Faults
    stranded: list[dict[str, Any]]  # inspected containers

    def __bool__(self) -> bool:  # a tuple of two is true
        return bool(self.faults or self.stranded)


def config() -> dict[str, Any]:
    """Return ``daemon.json``."""
    try:
        found = json.loads(DAEMON.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def faults(options: Mapping[str, Any], store: Store, ends: Mapping[str, Any]) -> Faults:
    """Return what the kernel lacks."""
    networks = routes.endpoints(ends)
    here = namespaces(options, networks)
    pools = routes.subnets(store.read(NETWORKS)[0]) if here else {}
    found = {}
    for network, path in here.items():
        wanted = routes.routes(networks[network], pools.get(network, []), store.own)
        try:
            missing = routes.lacking(wanted, look(path))
        except OSError:
            if is_namespace(path):
                raise
            # Namespaces come and go.
            continue
        if missing:
            found[network] = (path, missing)
    return found


def survey() -> Look:
    """Return what is wrong now; a ``StoreError`` if the store does not answer."""
    options = config()
    store = Store(options)
    if not store:
        return Look({}, [])
    ends, _ = store.read(ENDPOINTS)
    return Look(faults(options, store, ends), stranded(routes.endpoints(ends)))


def lasting(before: Look, after: Look) -> Look:
    """Return what is wrong after as well as before."""
    found: Faults = {}
    for network, (path, missing) in after.faults.items():
        _, known = before.faults.get(network, (path, []))
        if still := [one for one in missing if one in known]:
            found[network] = (path, still)
    ids = {one["Id"] for one in before.stranded}
    return Look(found, [one for one in after.stranded if one["Id"] in ids])


def words(look: Look) -> list[str]:
    """Return what is wrong as texts."""
    texts = []
    for network, (_, missing) in look.faults.items():
        ways = sorted(f"{one.address} on {one.host}" for _, one in missing)
        texts.append(f"the overlay network {network[:12]} has no way to {', '.join(ways)}")
    texts += [
        f"the container {one['Name'].lstrip('/')} was not started, for the store did not answer"
        f" then: {one['State']['Error']}"
        for one in look.stranded
    ]
    return texts


def heal(look: Look) -> None:
    """Write the missing entries, and start the containers."""
    for path, missing in look.faults.values():
        mend(path, missing)
    for one in look.stranded:
        _engine("POST", f"/containers/{one['Id']}/start")


class Keeper:
    """What the service remembers from one look to the next."""

    def __init__(self) -> None:
        self._index = 0
        self._seen: set[tuple[str, str, Route]] = set()
        self._engine: float | None = None
        self._tries = 0
        self._said = self._failed = ""

    def round(self) -> float:
        """Look once, and mend what was wrong the last time as well; return the pause in seconds."""
        pause = self._try(self._round)
        return _PAUSE if pause is None else pause

    def _round(self) -> float:
        options = config()
        store = Store(options)
        if not store:
            return _WATCH
        try:
            ends, self._index = store.read(ENDPOINTS, self._index, 0 if self._seen else _WATCH)
            found = faults(options, store, ends)
        except StoreError as err:
            self._say(str(err))
            return _PAUSE
        self._say(f"{store} answers")
        self._mend(found)
        self._start(options, routes.endpoints(ends))
        if self._seen:
            return _GOSSIP
        return 1 if store.tells else _WATCH

    def _say(self, text: str) -> None:
        if text != self._said:
            log.info("%s", text)
        self._said = text

    def _try(self, call: Callable[..., T], *args: Any) -> T | None:
        """Call; what fails now may not the next time, and is said once."""
        try:
            return call(*args)
        except _FAULTS as err:
            text = f"{call.__name__.strip('_')}: {err}"
            if text != self._failed:
                log.warning("%s", text)
            self._failed = text
            return None

    def _mend(self, found: Faults) -> None:
        """Leave the engine the time until the next look: its own word comes within a second."""
        seen: set[tuple[str, str, Route]] = set()
        for network, (path, missing) in found.items():
            due = [one for one in missing if (network, *one) in self._seen]
            seen |= {(network, *one) for one in missing if one not in due}
            if due:
                self._try(mend, path, due)
                _report(words(Look({network: (path, due)}, [])), "mended")
        self._seen = seen

    def _start(self, options: Mapping[str, Any], networks: Iterable[str]) -> None:
        """Start what the engine could not, once for each start of the engine."""
        engine = _started(options)
        if engine != self._engine:
            self._engine, self._tries = engine, _STARTS
        found = self._try(stranded, networks) if self._tries else []
        if found is None:
            # The engine answers when it is done with its containers.
            return
        self._tries = self._tries - 1 if found else 0
        for one in found:
            _report(words(Look({}, [one])), "starting it")
            self._try(_engine, "POST", f"/containers/{one['Id']}/start")


def _started(options: Mapping[str, Any]) -> float | None:
    """Return when the engine was started; another one has another file."""
    with contextlib.suppress(OSError):
        return Path(options.get("pidfile") or "/var/run/docker.pid").stat().st_mtime
    return None


_FAULTS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    http.client.HTTPException,
    subprocess.SubprocessError,
)


def _report(texts: list[str], what: str) -> None:
    for text in texts:
        log.warning("%s; %s", text, what)


def main() -> None:
    """Keep the networks whole for ever."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    keeper = Keeper()
    while True:
        time.sleep(keeper.round())


if __name__ == "__main__":
    main()
