"""
Turn a discovery URL into a back end that registers addresses and watches them.
"""

import os
import re
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import log
from .consul import Consul
from .etcd import Etcd
from .golang import split_host_port
from .store import Endpoint, StoreError

DEFAULT_PATH = "docker/swarm/nodes"
TLS_OPTIONS = ("kv.cacertfile", "kv.certfile", "kv.keyfile")


class DiscoveryError(Exception):
    """The discovery URL or an option is wrong, or the back end cannot do it."""


@dataclass
class KeyValue:
    """Discovery in a store: one key per node below ``path``."""

    store: Consul | Etcd
    prefix: str
    path: str

    def register(self, address: str, ttl: float) -> None:
        """Write the key of ``address``; raises ``StoreError``."""
        self.store.put_ephemeral(f"{self.path}/{address}", address, ttl)

    def watch(self) -> Iterator[list[str]]:
        """Yield the addresses now and after every change; raises ``StoreError``."""
        self.store.ensure_directory(self.path)
        for values in self.store.watch_tree(self.path):
            yield [value for value in values if value]


@dataclass
class Static:
    """Discovery from a fixed list of addresses, or from a file that is read again."""

    fetch: Callable[[], list[str]]
    period: float = 0.0

    def register(self, _address: str, _ttl: float) -> None:
        """Refuse: there is nothing to register in."""
        raise StoreError("not implemented in this discovery service")

    def watch(self) -> Iterator[list[str]]:
        """Yield the addresses now and, for a file, again every heartbeat."""
        yield self.fetch()
        while True:
            time.sleep(self.period or 3600)
            if self.period:
                yield self.fetch()


Backend = KeyValue | Static


def create(url: str, heartbeat: float, options: dict[str, str]) -> Backend:
    """Return the back end that ``url`` names; raises ``DiscoveryError``."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "nodes", url
    if scheme in ("consul", "etcd"):
        return _key_value(scheme, rest, options)
    if scheme == "nodes":
        addresses = [address for part in rest.split(",") for address in expand(part)]
        _check(addresses)
        return Static(lambda: addresses)
    if scheme == "file":
        return Static(lambda: _from_file(Path(rest)), heartbeat)
    if scheme == "zk":
        raise DiscoveryError(
            "this stand-in for tests does not speak ZooKeeper: use consul:// or etcd://, "
            "or the real swarm image"
        )
    raise DiscoveryError("discovery service not supported")


def parse_options(pairs: list[str]) -> dict[str, str]:
    """Return ``--discovery-opt`` values as a dict, with the default path for nodes."""
    if any("=" not in pair for pair in pairs):
        raise DiscoveryError("--discovery-opt must contain key=value strings")
    return {"kv.path": DEFAULT_PATH} | dict(pair.split("=", 1) for pair in pairs)


def expand(pattern: str) -> list[str]:
    """Return the addresses of a pattern such as ``10.0.0.[1:3]:2375``."""
    match = re.search(r"\[(\d+):(\d+)\]", pattern)
    if not match:
        return [pattern]
    head, tail = pattern[: match.start()], pattern[match.end() :]
    return [f"{head}{number}{tail}" for number in range(int(match[1]), int(match[2]) + 1)]


def _key_value(scheme: str, rest: str, options: dict[str, str]) -> KeyValue:
    hosts, _, prefix = rest.partition("/")
    names = hosts.split(",")
    if scheme == "consul" and len(names) > 1:
        raise DiscoveryError("consul does not support multiple endpoints")
    tls = _tls(options)
    log.info(f"Initializing discovery {'with' if tls else 'without'} TLS")
    endpoints = [Endpoint(name, tls) for name in names]
    store = Consul(endpoints[0]) if scheme == "consul" else Etcd(endpoints)
    path = "/".join(part for part in (prefix.strip("/"), options["kv.path"].strip("/")) if part)
    return KeyValue(store, prefix.strip("/"), path)


def _tls(options: dict[str, str]) -> ssl.SSLContext | None:
    files = [options.get(name, "") for name in TLS_OPTIONS]
    if not all(files):
        return ssl.create_default_context() if os.environ.get("CONSUL_HTTP_SSL") == "true" else None
    try:
        context = ssl.create_default_context(cafile=files[0])
        context.load_cert_chain(files[1], files[2])
    except OSError as err:
        raise DiscoveryError(f"Could not read TLS files {', '.join(files)}: {err}") from err
    return context


def _check(addresses: list[str]) -> None:
    for address in addresses:
        try:
            split_host_port(address)
        except ValueError as err:
            hint = "please check you are using the correct discovery (missing token:// ?)"
            raise DiscoveryError(f"{err}, {hint}") from None


def _from_file(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as err:
        raise StoreError(f"failed to read '{path}': {err}") from err
    words = [line.partition("#")[0].strip() for line in lines]
    return [address for word in words if word for address in expand(word)]
