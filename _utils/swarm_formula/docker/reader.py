"""
Read from an engine as the SDK's client does, with the standard library alone.

For test mode on a host that has no SDK yet, so that it reports what already exists. The methods and
the errors have the SDK's names. Nothing is changed.
"""

import http.client
import json
import socket
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from swarm_formula.core import errors

_UNIX = "unix://"
_MISSING = 404
# The read-only methods of the SDK, and the API path of each.
READS: Mapping[str, str] = {
    "configs": "/configs",
    "containers": "/containers/json",
    "get_unlock_key": "/swarm/unlockkey",
    "info": "/info",
    "inspect_container": "/containers/{}/json",
    "inspect_image": "/images/{}/json",
    "inspect_network": "/networks/{}",
    "inspect_node": "/nodes/{}",
    "inspect_swarm": "/swarm",
    "inspect_volume": "/volumes/{}",
    "networks": "/networks",
    "nodes": "/nodes",
    "plugins": "/plugins",
    "secrets": "/secrets",
    "services": "/services",
    "tasks": "/tasks",
    "volumes": "/volumes",
}


class DockerException(Exception):  # noqa: N818
    """The engine did not answer."""


class APIError(DockerException):
    """The engine answered with an error; ``explanation`` is its message."""

    def __init__(self, explanation: str) -> None:
        super().__init__(explanation)
        self.explanation = explanation


class NotFound(APIError):  # noqa: N818
    """The engine does not find the object."""


class Reader:
    """
    A read-only client of the engine on this host.

    base_url
        URL of the engine's socket, ``unix:///...``.

    timeout
        Longest silence of the engine, in seconds.
    """

    def __init__(self, base_url: str, timeout: float, **_: object) -> None:
        if not base_url.startswith(_UNIX):
            raise _missing(base_url)
        self._socket, self._timeout = base_url.removeprefix(_UNIX), timeout
        # Like the SDK's client with `version="auto"`.
        self._prefix = f"/v{self.version()['ApiVersion']}"

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__") or name not in READS:
            raise _missing(name)
        return lambda *which, **more: self._read(READS[name], *which, **more)

    def close(self) -> None:
        """Do nothing: each request has its own connection."""

    def ping(self) -> bool:
        """Check whether the engine answers."""
        return self._get("/_ping") == b"OK"

    def version(self, api_version: bool = True) -> dict[str, Any]:
        """Return the engine's versions."""
        found: dict[str, Any] = json.loads(self._get("/version"))
        return found

    def _read(self, path: str, *which: str, all: bool = False, **more: Any) -> Any:  # noqa: A002
        query = {"all": "1"} if all else {}
        if filters := more.pop("filters", None):
            query["filters"] = json.dumps({key: _listed(one) for key, one in filters.items()})
        if more:
            raise _missing(", ".join(more))
        place = path.format(*(urllib.parse.quote(one, safe="") for one in which))
        words = f"?{urllib.parse.urlencode(query)}" if query else ""
        return json.loads(self._get(f"{self._prefix}{place}{words}"))

    def _get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection("localhost", timeout=self._timeout)
        try:
            connection.sock = self._connected()
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as err:
            raise DockerException(str(err)) from err
        finally:
            connection.close()
        if response.status >= http.client.BAD_REQUEST:
            raise (NotFound if response.status == _MISSING else APIError)(_words(body))
        return body

    def _connected(self) -> socket.socket:
        found = socket.socket(socket.AF_UNIX)
        try:
            found.settimeout(self._timeout)
            found.connect(self._socket)
        except OSError:
            found.close()
            raise
        return found


def _missing(what: str) -> errors.SdkMissingError:
    return errors.sdk_missing("docker", f"only reading goes without it, not {what}")


def _listed(value: Any) -> list[str]:
    """Return the values of a filter in the form that the API expects."""
    values = value if isinstance(value, list) else [value]
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in values]


def _words(body: bytes) -> str:
    text = body.decode(errors="replace").strip()
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text
