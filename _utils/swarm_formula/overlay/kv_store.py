"""
Read the engine's store for overlay networks, as ``daemon.json`` names it: Consul, or etcd.

Standard library only, as ``swarm-overlay.service`` runs it outside Salt.
"""

import base64
import contextlib
import http.client
import ipaddress
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

_ROOT = "docker/network/v1.0/"
ENDPOINTS, NETWORKS = "endpoint", "overlay/network"
# Seconds that the store may take to answer.
_SILENCE = 30


class StoreError(Exception):
    """The store does not answer."""


class Store:
    """The engine's store for overlay networks, as its own ``daemon.json`` names it."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        url: str = config.get("cluster-store") or ""
        self._kind, _, rest = url.partition("://")
        self._hosts, _, self._prefix = rest.partition("/")
        self._files: dict[str, str] = config.get("cluster-store-opts") or {}
        self.own = _host(config.get("cluster-advertise") or "")

    def __bool__(self) -> bool:
        return bool(self._kind and self._hosts and self.own)

    def __str__(self) -> str:
        return f"the store {self._kind}://{self._hosts}"

    def read(self, what: str, index: int = 0, wait: int = 0) -> tuple[dict[str, Any], int]:
        """
        Return ``{key: value}`` below a part of the store, and its index.

        Consul answers as soon as that is another one than ``index``, at the latest after ``wait``.
        """
        folder = f"{self._prefix}/{_ROOT}{what}/".lstrip("/")
        if self._kind == "consul":
            query = f"?recurse&index={index}&wait={wait}s" if index and wait else "?recurse"
            found, headers = self._get(f"/v1/kv/{folder}{query}", wait)
            pairs = {
                one["Key"]: base64.b64decode(one["Value"] or "").decode() for one in found or []
            }
            return _parsed(pairs), int(headers.get("X-Consul-Index") or 0)
        found, _ = self._get(f"/v2/keys/{folder}?recursive=true", 0)
        return _parsed(dict(_leaves((found or {}).get("node") or {}))), 0

    @property
    def tells(self) -> bool:
        """Whether it answers when there is something new; else it has to be asked at times."""
        return self._kind == "consul"

    def _get(self, path: str, wait: int) -> tuple[Any, Any]:
        failure: Exception | None = None
        for host in self._hosts.split(","):
            scheme = "https" if self._files.get("kv.cacertfile") else "http"
            try:
                return self._answer(f"{scheme}://{host}{path}", wait)
            except (OSError, ValueError, http.client.HTTPException) as err:
                failure = err
        raise StoreError(f"{self} does not answer: {failure}") from failure

    def _answer(self, url: str, wait: int) -> tuple[Any, Any]:
        handlers: list[Any] = [urllib.request.ProxyHandler({})]
        if url.startswith("https"):
            context = ssl.create_default_context(cafile=self._files["kv.cacertfile"])
            if self._files.get("kv.certfile"):
                context.load_cert_chain(self._files["kv.certfile"], self._files["kv.keyfile"])
            handlers.append(urllib.request.HTTPSHandler(context=context))
        opener = urllib.request.build_opener(*handlers)
        try:
            with opener.open(url, timeout=wait + _SILENCE) as answer:
                return json.load(answer), answer.headers
        except urllib.error.HTTPError as err:
            if err.code == http.HTTPStatus.NOT_FOUND:
                return None, err.headers
            raise


def _host(endpoint: str) -> str:
    """Return the host of ``host:port`` in the form that Python has for addresses."""
    name = endpoint.rpartition(":")[0].strip("[]")
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(name))
    return name


def _leaves(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not node.get("dir"):
        yield node.get("key", ""), node.get("value", "")
    for one in node.get("nodes") or []:
        yield from _leaves(one)


def _parsed(pairs: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for key, text in pairs.items():
        # Folders are keys without a value.
        with contextlib.suppress(ValueError):
            found[key] = json.loads(text)
    return found
