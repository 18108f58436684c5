"""
Answer the container part of the API: lists from the cache, the rest at the engine.
"""

import ipaddress
import re
import time
import urllib.parse

from . import config as conf
from . import proxy
from .cache import Container
from .cluster import ConflictError
from .context import Context
from .golang import human_duration, parse_time
from .httpd import Request, Response
from .reply import NotFoundError, as_json, body_of, failure, filters_of, labels_match
from .wire import EngineError

HIDDEN_IMAGES = ("swarm", "swarm-standin")


def find(api: Context, name: str, text: str = "No such container: {0}") -> Container:
    """Return the container called ``name`` on a healthy engine."""
    container = api.cluster.container(name)
    if not container:
        raise NotFoundError(text.format(name))
    if not container.engine.healthy:
        raise EngineError(f"Container {name} running on unhealthy node {container.engine.name}")
    return container


def get_list(api: Context, request: Request) -> Response:
    """``GET /containers/json``."""
    query = request.query
    filters = filters_of(request)
    limit = int(query.get("limit") or 0)
    show_all = request.flag("all") or "exited" in filters.get("status", [])
    found = [
        item
        for item in api.cluster.containers()
        if _visible(item, show_all, limit) and _selected(item, filters)
    ]
    found.sort(key=lambda item: item.info.get("Created", ""), reverse=True)
    if query.get("before"):
        ids = [item.id for item in found]
        before = api.cluster.container(query["before"])
        if not before:
            raise NotFoundError(f"No such container {query['before']}")
        found = found[ids.index(before.id) + 1 :] if before.id in ids else []
    return as_json([_line(item) for item in (found[:limit] if limit > 0 else found)])


def _visible(item: Container, show_all: bool, limit: int) -> bool:
    if show_all:
        return True
    if item.summary.get("Image", "").partition(":")[0] in HIDDEN_IMAGES:
        return False
    return limit > 0 or (bool(item.state.get("Running")) and item.engine.healthy)


def _selected(item: Container, filters: dict[str, list[str]]) -> bool:
    name = item.names[0].removeprefix("/") if item.names else ""
    networks = (item.info.get("NetworkSettings") or {}).get("Networks") or {}
    ids = [network.get("NetworkID", "") for network in networks.values() if network]
    mounts = item.info.get("Mounts") or []
    tests = {
        "name": lambda wanted: _like(name, wanted),
        "id": lambda wanted: _like(item.id, wanted),
        "label": lambda wanted: labels_match(wanted, item.labels),
        "status": lambda wanted: state_word(item.state) in wanted,
        "node": lambda wanted: _like(item.engine.name, wanted),
        "health": lambda wanted: _health(item) in wanted,
        "exited": lambda wanted: _exit_code(item) in wanted,
        "is-task": lambda wanted: "true" not in wanted,
        "network": lambda wanted: any(
            word in networks or any(found.startswith(word) for found in ids) for word in wanted
        ),
        "volume": lambda wanted: any(
            mount.get(key) in wanted for mount in mounts for key in ("Name", "Destination")
        ),
    }
    return all(tests[key](wanted) for key, wanted in filters.items() if key in tests and wanted)


def _like(text: str, wanted: list[str]) -> bool:
    return any(word == text or re.search(word, text) for word in wanted)


def _health(item: Container) -> str:
    return (item.state.get("Health") or {}).get("Status", "none")


def _exit_code(item: Container) -> str:
    return "" if item.state.get("Running") else str(item.state.get("ExitCode", ""))


def state_word(state: dict) -> str:
    """Return Docker's one word for a state."""
    if state.get("Running"):
        return next(
            (word for word in ("paused", "restarting") if state.get(word.title())), "running"
        )
    if state.get("Dead"):
        return "dead"
    return "exited" if parse_time(state.get("StartedAt", "")) else "created"


def state_line(state: dict, now: float) -> str:
    """Return the status column of ``docker ps``."""
    word = state_word(state)
    started = human_duration(now - parse_time(state.get("StartedAt", "")))
    finished = human_duration(now - parse_time(state.get("FinishedAt", "")))
    health = (state.get("Health") or {}).get("Status", "").replace("starting", "health: starting")
    code = state.get("ExitCode", 0)
    return {
        "paused": f"Up {started} (Paused)",
        "restarting": f"Restarting ({code}) {finished} ago",
        "running": f"Up {started} ({health})" if health else f"Up {started}",
        "dead": "Dead",
        "created": "Created",
        "exited": f"Exited ({code}) {finished} ago",
    }[word]


def _line(item: Container) -> dict:
    engine = item.engine
    return item.summary | {
        "Status": state_line(item.state, time.time()) if engine.healthy else "Host Down",
        "Labels": item.labels,
        "Names": [f"/{engine.name}{name}" for name in item.names],
        "Ports": [
            port | ({"IP": engine.ip} if _unspecified(port.get("IP", "")) else {})
            for port in item.summary.get("Ports") or []
        ],
    }


def _unspecified(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False


def get_one(api: Context, _request: Request, name: str) -> Response:
    """``GET /containers/NAME/json``, with the node it runs on."""
    item = find(api, name, "No such container {0}")
    engine = item.engine
    found = engine.call("GET", f"/containers/{item.id}/json")
    found["Node"] = {
        "ID": engine.id,
        "IP": engine.ip,
        "Addr": engine.address,
        "Name": engine.name,
        "Cpus": engine.cpus,
        "Memory": engine.memory,
        "Labels": engine.labels,
    }
    for bindings in ((found.get("NetworkSettings") or {}).get("Ports") or {}).values():
        for binding in bindings or []:
            if not binding.get("HostIp") or _unspecified(binding["HostIp"]):
                binding["HostIp"] = engine.ip
    return as_json(found)


def create(api: Context, request: Request) -> Response:
    """``POST /containers/create``: choose a node and create the container there."""
    config = conf.build(conf.consolidate(body_of(request)))
    conf.validate(config)
    auth = request.header("x-registry-auth")
    container = api.cluster.create(config, request.query.get("name", ""), auth)
    return as_json({"Id": container.id}, 201)


def start(api: Context, request: Request, name: str) -> Response:
    """``POST /containers/NAME/start``."""
    item = find(api, name, "No such container {0}")
    request.body()
    item.engine.call("POST", f"/containers/{item.id}/start", b"")
    try:
        item.engine.cache.refresh_container(item.id)
    except EngineError:
        # A container with --rm may be over and gone before it was looked at.
        item.engine.cache.forget_container(item.id)
    return Response(204)


def remove(api: Context, request: Request, name: str) -> Response:
    """``DELETE /containers/NAME``."""
    item = api.cluster.container(name)
    if not item:
        raise NotFoundError(f"Container {name} not found")
    query = f"force={int(request.flag('force'))}&v={int(request.flag('v'))}"
    item.engine.call("DELETE", f"/containers/{item.id}?{query}")
    item.engine.cache.forget_container(item.id)
    return Response(204)


def rename(api: Context, request: Request, name: str) -> Response:
    """``POST /containers/NAME/rename``, to a name that is free in the whole swarm."""
    item, new = find(api, name), request.query.get("name", "")
    if not api.cluster.name_free(new):
        raise ConflictError(
            f"Conflict: The name {new} is already assigned. You have to delete (or rename) that "
            f"container to be able to assign {new} to a container again."
        )
    item.engine.call("POST", f"/containers/{item.id}/rename?name={urllib.parse.quote(new)}", b"")
    item.engine.cache.refresh_container(item.id)
    return Response(204)


def exec_create(api: Context, request: Request, name: str) -> Response:
    """``POST /containers/NAME/exec``."""
    item = find(api, name, "No such container {0}")
    wanted = body_of(request)
    if not wanted.get("Cmd"):
        return failure(400, "No exec command specified")
    created = item.engine.call("POST", f"/containers/{item.id}/exec", wanted)
    item.exec_ids.append(created["Id"])
    return as_json(created, 201)


def pass_on(api: Context, request: Request, name: str, *_: str) -> Response | None:
    """Send the request to the container's engine."""
    return _pass(find(api, name), request, name)


def pass_and_refresh(api: Context, request: Request, name: str, *_: str) -> Response | None:
    """Send the request to the container's engine and look at the container again."""
    item = find(api, name)
    answer = _pass(item, request, name)
    item.engine.cache.refresh_container(item.id)
    return answer


def attach(api: Context, request: Request, name: str, *_: str) -> Response | None:
    """Connect the client to the container's engine in both directions."""
    item = find(api, name)
    return _pass(item, request, name, both_ways=True)


def exec_pass(api: Context, request: Request, exec_id: str, *_: str) -> Response | None:
    """Send a request about an exec to the engine of its container."""
    item = next((c for c in api.cluster.containers() if exec_id in c.exec_ids), None)
    if not item:
        raise NotFoundError(f"Exec {exec_id} not found")
    return _pass(item, request, "", both_ways=bool(request.header("upgrade")))


def commit(api: Context, request: Request) -> Response | None:
    """``POST /commit``, on the engine of the container."""
    name = request.query.get("container", "")
    answer = _pass(find(api, name), request, name)
    find(api, name).engine.cache.refresh_images()
    return answer


def _pass(item: Container, request: Request, name: str, both_ways: bool = False) -> Response | None:
    engine, send = item.engine, proxy.hijack if both_ways else proxy.forward
    quoted = next((n for n in (urllib.parse.quote(name, safe=""), name) if n in request.target), "")
    target = request.target.replace(quoted, item.id, 1) if quoted else request.target
    try:
        send(request, engine.address, engine.options.tls, target)
    except ConnectionRefusedError as err:
        engine.note(EngineError(str(err)))
        return failure(500, f"Cannot connect to the Docker daemon at tcp://{engine.address}")
    return None


NAME = "/containers/(.+)"
ROUTES = (
    ("GET", "/containers/(?:ps|json)", get_list),
    ("POST", "/containers/create", create),
    ("GET", f"{NAME}/json", get_one),
    ("POST", f"{NAME}/start", start),
    ("POST", f"{NAME}/rename", rename),
    ("POST", f"{NAME}/exec", exec_create),
    ("POST", f"{NAME}/attach", attach),
    ("GET", f"{NAME}/attach/ws", attach),
    ("POST", f"{NAME}/(kill|pause|unpause|restart|stop|update|wait)", pass_and_refresh),
    ("GET", f"{NAME}/(archive|export|changes|top|logs|stats)", pass_on),
    ("HEAD", f"{NAME}/(archive)", pass_on),
    ("PUT", f"{NAME}/(archive)", pass_on),
    ("POST", f"{NAME}/(resize|copy)", pass_on),
    ("GET", "/exec/(.+)/json", exec_pass),
    ("POST", "/exec/(.+)/(start|resize)", exec_pass),
    ("POST", "/commit", commit),
    ("DELETE", NAME, remove),
)
