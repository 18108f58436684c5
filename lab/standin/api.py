"""
Answer the Docker API for the whole swarm: routes, system calls and errors.
"""

import json
import os
import platform
import re
import select
import socket
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass

from . import API_VERSION, MARK, VERSION, containers, images, log, networks, proxy
from .cluster import ConflictError
from .config import ConfigError
from .context import Context
from .expr import ExpressionError
from .filters import NoNodeError
from .httpd import Request, Response, Stream
from .reply import BadRequestError, NotFoundError, as_json, failure
from .status import swarm_status
from .wire import EngineError

LOCAL_ROUTES = ("/_ping", "/info", "/debug")
# How long a request waits for a primary; the original waits for ever.
PRIMARY_WAIT = 120.0
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "Origin, X-Requested-With, Content-Type, Accept",
    "Access-Control-Allow-Methods": "GET, POST, DELETE, PUT, OPTIONS, HEAD",
}
PREFIX = re.compile(r"/v[0-9]+.[0-9]+(?=/)")


@dataclass(frozen=True)
class Api(Context):
    """The API of one manager."""

    def handle(self, request: Request) -> Response | None:
        """Answer a request here or at the primary; ``None`` when the connection is used up."""
        local = self.election.leading or request.path.endswith(LOCAL_ROUTES)
        return self._answer(request) if local else self._to_primary(request)

    def _to_primary(self, request: Request) -> Response | None:
        target = self.election.wait_for_target(PRIMARY_WAIT)
        if not target:
            return failure(500, "No elected primary cluster manager: time-out")
        if target == self.election.address:
            return self._answer(request)
        try:
            proxy.hijack(request, target, self.cluster.options.tls)
        except OSError as err:
            text = f"Unable to reach primary cluster manager ({err}): {target}"
            return failure(500, text)
        return None

    def _answer(self, request: Request) -> Response | None:
        log.debug("HTTP request received", method=request.method, uri=request.target)
        response = self._dispatch(request)
        if response and self.cors:
            response.headers |= CORS
        return response

    def _dispatch(self, request: Request) -> Response | None:
        path = urllib.parse.unquote(PREFIX.sub("", request.path, count=1))
        if self.cors and request.method == "OPTIONS":
            return Response()
        for method, pattern, answer in ROUTES:
            match = pattern.fullmatch(path) if method == request.method else None
            if match:
                response = _guard(answer, self, request, *match.groups())
                if response:
                    response.headers["Api-Version"] = API_VERSION
                return response
        return failure(404, "404 page not found", quiet=True)

    def info(self) -> dict:
        """Return what ``docker info`` shows of the swarm."""
        cluster = self.cluster
        states = [item.state for item in cluster.containers()]
        paused = sum(bool(state.get("Paused")) for state in states)
        running = sum(bool(state.get("Running")) and not state.get("Paused") for state in states)
        return CONSTANT_INFO | {
            "Containers": len(states),
            "ContainersRunning": running,
            "ContainersPaused": paused,
            "ContainersStopped": len(states) - paused - running,
            "Images": len(images.visible(cluster.images())),
            "SystemStatus": self.election.status() + swarm_status(cluster),
            "Debug": self.debug,
            "SystemTime": time.strftime("%Y-%m-%dT%H:%M:%S") + f".{time.time_ns() % 10**9:09}Z",
            "NEventsListener": cluster.listeners(),
            "KernelVersion": platform.release(),
            "NCPU": sum(engine.total_cpus for engine in cluster.active()),
            "MemTotal": sum(engine.total_memory for engine in cluster.active()),
            "HttpProxy": os.environ.get("http_proxy", ""),
            "HttpsProxy": os.environ.get("https_proxy", ""),
            "NoProxy": os.environ.get("no_proxy", ""),
            "Name": socket.gethostname(),
        }


CONSTANT_INFO = {
    "ID": "",
    "Driver": "",
    "DriverStatus": None,
    "Plugins": {"Volume": None, "Network": None, "Authorization": None, "Log": None},
    "MemoryLimit": True,
    "SwapLimit": True,
    "KernelMemory": False,
    "CpuCfsPeriod": True,
    "CpuCfsQuota": True,
    "CPUShares": True,
    "CPUSet": True,
    "IPv4Forwarding": True,
    "BridgeNfIptables": True,
    "BridgeNfIp6tables": True,
    "NFd": 0,
    "OomKillDisable": True,
    "NGoroutines": 0,
    "LoggingDriver": "",
    "CgroupDriver": "",
    "OperatingSystem": "linux",
    "OSType": "",
    "Architecture": "amd64",
    "IndexServerAddress": "",
    "RegistryConfig": None,
    "DockerRootDir": "",
    "Labels": None,
    "ExperimentalBuild": False,
    "ServerVersion": f"swarm/{VERSION}",
    "ClusterStore": "",
    "ClusterAdvertise": "",
    "Runtimes": None,
    "DefaultRuntime": "",
    "Swarm": {
        "NodeID": "",
        "NodeAddr": "",
        "LocalNodeState": "",
        "ControlAvailable": False,
        "Error": "",
        "RemoteManagers": None,
    },
    "LiveRestoreEnabled": False,
    "Isolation": "",
    "InitBinary": "",
    "ContainerdCommit": {"ID": "", "Expected": ""},
    "RuncCommit": {"ID": "", "Expected": ""},
    "InitCommit": {"ID": "", "Expected": ""},
    "SecurityOptions": None,
}


def _guard(answer: Callable, api: Api, request: Request, *parts: str) -> Response | None:
    try:
        return answer(api, request, *parts)
    except NotFoundError as err:
        return failure(404, str(err))
    except ConflictError as err:
        return failure(409, str(err))
    except BadRequestError as err:
        return failure(400, str(err))
    except (ConfigError, NoNodeError, EngineError, ExpressionError) as err:
        return failure(500, str(err))


def get_ping(_api: Api, _request: Request) -> Response:
    """``GET /_ping``."""
    return Response(200, b"OK", {"Content-Type": "text/plain; charset=utf-8"})


def get_info(api: Api, _request: Request) -> Response:
    """``GET /info``."""
    return as_json(api.info())


def get_version(_api: Api, _request: Request) -> Response:
    """``GET /version``; the commit tells that this is the stand-in."""
    return as_json(
        {
            "Version": f"swarm/{VERSION}",
            "ApiVersion": API_VERSION,
            "GitCommit": MARK,
            "GoVersion": f"python{platform.python_version()}",
            "Os": "linux",
            "Arch": "amd64",
            "KernelVersion": platform.release(),
            "BuildTime": "<unknown>",
        }
    )


def get_events(api: Api, request: Request) -> None:
    """``GET /events``: the events of all engines, each with its node, until the client leaves."""
    until = int(request.query.get("until") or 0)
    stream = Stream(request, {"Content-Type": "application/json", "Api-Version": API_VERSION})
    for item in api.cluster.listen():
        if (until and time.time() >= until) or _left(request.connection):
            break
        if item:
            stream.write(_event(*item))
    stream.close()


def _left(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], 0)[0]) and not connection.recv(1)


def _event(engine: object, event: dict) -> bytes:
    node = {"name": engine.name, "id": engine.id, "addr": engine.address, "ip": engine.ip}
    actor = dict(event.get("Actor") or {})
    actor["Attributes"] = {**(actor.get("Attributes") or {})} | {
        f"node.{key}": value for key, value in node.items()
    }
    shown = event | {"Actor": actor, "from": f"{event.get('from', '')} node:{engine.name}"}
    shown["node"] = {key.capitalize(): value for key, value in node.items()}
    return json.dumps(shown).encode()


SYSTEM = (
    ("GET", "/_ping", get_ping),
    ("GET", "/info", get_info),
    ("GET", "/version", get_version),
    ("GET", "/events", get_events),
)
ROUTES = [
    (method, re.compile(pattern), answer)
    for method, pattern, answer in SYSTEM + containers.ROUTES + images.ROUTES + networks.ROUTES
]
