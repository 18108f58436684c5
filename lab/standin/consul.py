"""
Keep keys in Consul the way the original does: sessions of half the TTL, locks by session.
"""

import base64
import json
import os
import threading
from collections.abc import Iterator
from http import HTTPStatus

from .golang import format_duration
from .store import Endpoint, Held, StoreError, start

# The original marks every key it writes with this number, and takes a lock only on such keys.
LOCK_FLAG = 0x2DDCCBC058A50C18
WATCH_WAIT = 15
RETRIES = 5
LOCK_RETRY = 5.0


class Consul:
    """A Consul agent, spoken to over HTTP."""

    def __init__(self, endpoint: Endpoint, env: dict[str, str] | None = None) -> None:
        self.endpoint = endpoint
        self.headers = _auth_headers(os.environ if env is None else env)

    def _call(self, method: str, path: str, body: bytes | None = None) -> tuple[dict, object]:
        status, headers, data = self.endpoint.call(method, path, body, self.headers)
        if status == HTTPStatus.NOT_FOUND:
            return headers, None
        if status != HTTPStatus.OK:
            text = data.decode(errors="replace")
            raise StoreError(f"Unexpected response code: {status} ({text})")
        return headers, json.loads(data or b"null")

    def _read(self, key: str, query: str = "") -> tuple[dict | None, str]:
        headers, pairs = self._call("GET", f"/v1/kv/{key}?{query}")
        return (pairs[0] if pairs else None), headers.get("x-consul-index", "0")

    def _write(self, key: str, value: str, query: str = "") -> bool:
        path = f"/v1/kv/{key}?flags={LOCK_FLAG}{query}"
        return bool(self._call("PUT", path, value.encode())[1])

    def _session(self, behavior: str, ttl: float) -> str:
        # Consul lets a session live up to twice its TTL, hence half of what was asked for.
        entry = {"Behavior": behavior, "TTL": format_duration(ttl / 2), "LockDelay": "1ms"}
        _, created = self._call("PUT", "/v1/session/create", json.dumps(entry).encode())
        return created["ID"]

    def _renew(self, session: str) -> bool:
        return self._call("PUT", f"/v1/session/renew/{session}")[1] is not None

    def ensure_directory(self, path: str) -> None:
        """Create the key that stands for a directory, unless it is there."""
        if self._read(path, "consistent=")[0] is None:
            self._write(path, "")

    def put_ephemeral(self, key: str, value: str, ttl: float) -> None:
        """Write a key that Consul deletes when it is not written again within ``ttl``."""
        for _ in range(RETRIES):
            try:
                self._renew_key_session(key, ttl)
                break
            except StoreError:
                continue
        else:
            raise StoreError("cannot set or renew session for ttl, unable to operate on sessions")
        self._write(key, value)

    def _renew_key_session(self, key: str, ttl: float) -> None:
        pair, _ = self._read(key)
        session = pair.get("Session") if pair else None
        if not session:
            session = self._session("delete", ttl)
            self._acquire(key, "", session)
        self._renew(session)

    def watch_tree(self, path: str) -> Iterator[list[str]]:
        """Yield the values below ``path``, first as they are, then after every change."""
        index = "0"
        while True:
            query = f"recurse=&index={index}&wait={WATCH_WAIT}s"
            headers, pairs = self._call("GET", f"/v1/kv/{path}?{query}")
            if headers.get("x-consul-index", "0") != index:
                index = headers.get("x-consul-index", "0")
                yield [_value(pair) for pair in pairs or [] if pair["Key"] != path]

    def watch(self, key: str) -> Iterator[str]:
        """Yield the value of ``key``, first as it is, then after every change."""
        index = "0"
        while True:
            pair, seen = self._read(key, f"index={index}&wait={WATCH_WAIT}s")
            if seen != index:
                index = seen
                if pair:
                    yield _value(pair)

    def lock(self, key: str, value: str, ttl: float, stop: threading.Event) -> Held:
        """Wait until ``key`` is locked for ``value`` and return the lock; ``stop`` ends it."""
        session = self._session("release", ttl)
        start(self._keep_session, session, ttl / 4, stop)
        self._acquire(key, value, session)
        held = Held()
        start(self._monitor, key, session, held)
        return held

    def _acquire(self, key: str, value: str, session: str) -> None:
        index = "0"
        while True:
            pair, seen = self._read(key, f"index={index}&wait={WATCH_WAIT}s")
            if pair and pair["Flags"] != LOCK_FLAG:
                raise StoreError("Existing key does not match lock use")
            if pair and pair.get("Session"):
                if pair["Session"] == session:
                    return
                index = seen
                continue
            if self._write(key, value, f"&acquire={session}"):
                return
            # Refused although free: Consul's lock delay after a session got lost.
            index = "0"
            if not (self._read(key)[0] or {}).get("Session"):
                threading.Event().wait(LOCK_RETRY)

    def _keep_session(self, session: str, period: float, stop: threading.Event) -> None:
        while not stop.wait(period):
            try:
                if not self._renew(session):
                    return
            except StoreError:
                continue
        for _ in range(RETRIES):
            try:
                self._call("PUT", f"/v1/session/destroy/{session}")
                return
            except StoreError:
                threading.Event().wait(period)

    def _monitor(self, key: str, session: str, held: Held) -> None:
        index = "0"
        try:
            while True:
                query = f"consistent=&index={index}&wait={WATCH_WAIT}s"
                pair, index = self._read(key, query)
                if not pair or pair.get("Session") != session:
                    return
        except StoreError:
            return
        finally:
            held.lost.set()


def _value(pair: dict) -> str:
    return base64.b64decode(pair["Value"] or "").decode(errors="replace")


def _auth_headers(env: dict[str, str]) -> dict[str, str]:
    headers = {}
    if env.get("CONSUL_HTTP_TOKEN"):
        headers["X-Consul-Token"] = env["CONSUL_HTTP_TOKEN"]
    if env.get("CONSUL_HTTP_AUTH"):
        secret = base64.b64encode(env["CONSUL_HTTP_AUTH"].encode()).decode()
        headers["Authorization"] = f"Basic {secret}"
    return headers
