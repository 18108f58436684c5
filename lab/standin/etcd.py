"""
Keep keys in etcd through its v2 keys API, as the original does.
"""

import json
import threading
import urllib.parse
from collections.abc import Iterator

from .store import Endpoint, Held, StoreError, start

KEY_NOT_FOUND, NODE_EXISTS, EVENT_INDEX_CLEARED = 100, 105, 401
NOT_FOUND = (KEY_NOT_FOUND, 102, 104)
GONE = ("delete", "compareAndDelete", "expire")
# The v2 watch blocks until something happens; a silent hour is no error.
WATCH_TIMEOUT = 3600.0


class EtcdError(StoreError):
    """etcd refused a request; ``code`` is its error code, ``index`` the store's index."""

    def __init__(self, answer: dict) -> None:
        super().__init__(f"{answer.get('errorCode')}: {answer.get('message')}")
        self.code = answer.get("errorCode")
        self.index = answer.get("index", 0)


class Etcd:
    """A set of etcd members; the first that answers is used."""

    def __init__(self, endpoints: list[Endpoint]) -> None:
        self.endpoints = endpoints

    def _call(
        self,
        method: str,
        key: str,
        form: dict | None = None,
        timeout: float = 30.0,
        **query: object,
    ) -> tuple[dict, int]:
        path = f"/v2/keys/{key}?{urllib.parse.urlencode(query)}"
        body = urllib.parse.urlencode(form).encode() if form is not None else None
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        failure = StoreError("client: etcd cluster is unavailable or misconfigured")
        for endpoint in self.endpoints:
            try:
                _, headers, data = endpoint.call(method, path, body, kind, timeout)
            except StoreError as err:
                failure = StoreError(f"{failure}; {err}")
                continue
            answer = _decode(data)
            if "errorCode" in answer:
                raise EtcdError(answer)
            return answer, int(headers.get("x-etcd-index", 0))
        raise failure

    def _values(self, path: str) -> tuple[list[str], int]:
        answer, index = self._call("GET", path, quorum="true", recursive="true", sorted="true")
        return [node.get("value", "") for node in answer["node"].get("nodes", [])], index

    def ensure_directory(self, path: str) -> None:
        """Create the directory, unless it is there."""
        try:
            self._call("GET", path, quorum="true")
        except EtcdError as err:
            if err.code not in NOT_FOUND:
                raise
            self._call("PUT", path, {"dir": "true"})

    def put_ephemeral(self, key: str, value: str, ttl: float) -> None:
        """Write a key that etcd deletes when it is not written again within ``ttl``."""
        form = {"value": value}
        if ttl:
            form["ttl"] = str(int(ttl))
        self._call("PUT", key, form)

    def watch_tree(self, path: str) -> Iterator[list[str]]:
        """Yield the values below ``path``, first as they are, then after every change."""
        while True:
            values, index = self._values(path)
            yield values
            self._wait(path, index, recursive="true")

    def watch(self, key: str) -> Iterator[str]:
        """Yield the value of ``key``, first as it is, then after every change."""
        answer, index = self._call("GET", key, quorum="true")
        while True:
            yield answer["node"].get("value", "")
            answer = self._wait(key, index)
            index = answer["node"]["modifiedIndex"]

    def _wait(self, key: str, index: int, **query: str) -> dict:
        return self._call(
            "GET", key, timeout=WATCH_TIMEOUT, wait="true", waitIndex=index + 1, **query
        )[0]

    def lock(self, key: str, value: str, ttl: float, stop: threading.Event) -> Held:
        """Wait until ``key`` is locked for ``value`` and return the lock; ``stop`` ends it."""
        form = {"value": value, "ttl": str(int(ttl))}
        while True:
            try:
                answer, _ = self._call("PUT", key, form, prevExist="false")
                break
            except EtcdError as err:
                if err.code != NODE_EXISTS:
                    raise
                self._wait_free(key, err.index)
        held = Held()
        start(self._hold, key, form, answer["node"]["modifiedIndex"], held, stop, ttl / 3)
        return held

    def _wait_free(self, key: str, index: int) -> None:
        while True:
            answer = self._wait(key, index)
            if answer["action"] in GONE:
                return
            index = answer["node"]["modifiedIndex"]

    def _hold(  # noqa: PLR0913, PLR0917
        self, key: str, form: dict, index: int, held: Held, stop: threading.Event, period: float
    ) -> None:
        try:
            while not stop.wait(period):
                answer, _ = self._call("PUT", key, form, prevIndex=index)
                index = answer["node"]["modifiedIndex"]
        except StoreError:
            return
        finally:
            held.lost.set()


def _decode(data: bytes) -> dict:
    try:
        answer = json.loads(data)
    except ValueError:
        text = data.decode(errors="replace").strip()
        raise StoreError(f"etcd's answer is no JSON, is its v2 API off? {text}") from None
    return answer
