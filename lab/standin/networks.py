"""
Answer the network and volume part of the API.
"""

import secrets
import urllib.parse

from . import config, names
from .context import Context
from .engine import Engine
from .httpd import Request, Response
from .reply import (
    BadRequestError,
    NotFoundError,
    as_json,
    body_of,
    failure,
    filters_of,
    labels_match,
)
from .wire import EngineError, UnreachableError

BUILT_IN = ("none", "host", "bridge")


def unique(found: list[tuple[Engine, dict]]) -> list[tuple[Engine, dict]]:
    """Merge what several engines know of one network: its containers from all of them."""
    merged: dict[str, tuple[Engine, dict]] = {}
    for engine, network in found:
        kept = merged.setdefault(network["Id"], (engine, dict(network)))[1]
        kept["Containers"] = (kept.get("Containers") or {}) | _attached(engine, network)
    return list(merged.values())


def _attached(engine: Engine, network: dict) -> dict:
    attached = dict(network.get("Containers") or {})
    for item in list(engine.cache.containers.values()):
        settings = (item.summary.get("NetworkSettings") or {}).get("Networks") or {}
        for endpoint in settings.values():
            if (
                endpoint
                and endpoint.get("NetworkID") == network["Id"]
                and endpoint.get("EndpointID")
            ):
                attached[item.id] = _endpoint(item.names, endpoint)
    known = {value.get("EndpointID"): key for key, value in attached.items()}
    # Engines list foreign endpoints as "ep-ID": the container's own entry is the better one.
    return {
        key: value
        for key, value in attached.items()
        if not key.startswith("ep-") or known[value.get("EndpointID")] == key
    }


def _endpoint(container_names: list[str], endpoint: dict) -> dict:
    address, size = endpoint.get("IPAddress", ""), endpoint.get("IPPrefixLen", 0)
    return {
        "Name": container_names[0].rpartition("/")[2] if container_names else "",
        "EndpointID": endpoint["EndpointID"],
        "MacAddress": endpoint.get("MacAddress", ""),
        "IPv4Address": f"{address}/{size}" if address else "",
        "IPv6Address": "",
    }


def get_list(api: Context, request: Request) -> Response:
    """``GET /networks``: local ones are called ``node/name``."""
    filters = filters_of(request)
    for kind in filters.get("type", []):
        if kind not in ("custom", "builtin"):
            raise BadRequestError(f"Invalid filter: 'type'='{kind}'")
    shown = [
        network | ({"Name": f"{engine.name}/{network['Name']}"} if _local(network) else {})
        for engine, network in unique(api.cluster.networks())
        if _selected(engine, network, filters)
    ]
    return as_json(shown)


def _local(network: dict) -> bool:
    return network.get("Scope") == "local"


def _selected(engine: Engine, network: dict, filters: dict[str, list[str]]) -> bool:
    kind = "builtin" if network["Name"] in BUILT_IN else "custom"
    scoped = (network["Name"], f"{engine.name}/{network['Name']}")
    tests = {
        "type": lambda wanted: wanted == [kind],
        "label": lambda wanted: labels_match(wanted, network.get("Labels")),
        "driver": lambda wanted: network.get("Driver") in wanted,
        "node": lambda wanted: engine.name in wanted,
        "scope": lambda wanted: network.get("Scope") in wanted,
        "name": lambda wanted: any(word in scoped[0] or word == scoped[1] for word in wanted),
        "id": lambda wanted: any(network["Id"].startswith(word) for word in wanted),
    }
    return all(tests[key](wanted) for key, wanted in filters.items() if key in tests and wanted)


def _find(api: Context, name: str, text: str = "No such network: {0}") -> tuple[Engine, dict]:
    found = names.network(unique(api.cluster.networks()), name)
    if not found:
        raise NotFoundError(text.format(name))
    return found


def get_one(api: Context, _request: Request, name: str) -> Response:
    """``GET /networks/NAME``."""
    return as_json(_find(api, name)[1])


def create(api: Context, request: Request) -> Response:
    """``POST /networks/create``: an overlay unless said otherwise; ``node/name`` picks the node."""
    wanted = body_of(request)
    wanted["Driver"] = wanted.get("Driver") or "overlay"
    node, slash, name = wanted.get("Name", "").partition("/")
    constraint = config.build({"Env": [f"constraint:node=={node}"]}) if slash else {}
    wanted["Name"] = name if slash else node
    engine = api.cluster.select(constraint)[0]
    created = engine.call("POST", "/networks/create", wanted)
    network = engine.cache.refresh_network(created["Id"])
    if network and network.get("Scope") == "global":
        for other in api.cluster.active():
            other.cache.networks.setdefault(network["Id"], network)
    return as_json(created, 201)


def connect(api: Context, request: Request, name: str) -> Response:
    """``POST /networks/NAME/connect``, on the engine of the container."""
    _, network = _find(api, name)
    wanted = body_of(request)
    item = api.cluster.container(wanted.get("Container", ""))
    if not item:
        raise NotFoundError(f"No such container: {wanted.get('Container', '')}")
    wanted["Container"] = item.id
    try:
        item.engine.call("POST", f"/networks/{network['Id']}/connect", wanted)
    except EngineError as err:
        return failure(err.status or 500, str(err).removeprefix("Error response from daemon: "))
    item.engine.cache.refresh_others()
    item.engine.cache.refresh_container(item.id)
    return Response(200)


def disconnect(api: Context, request: Request, name: str) -> Response:
    """``POST /networks/NAME/disconnect``; with force, any engine may do it for a dead one."""
    _, network = _find(api, name)
    wanted = body_of(request)
    item = api.cluster.container(wanted.get("Container", ""))
    if not item:
        raise NotFoundError(f"No such container: {wanted.get('Container', '')}")
    path = f"/networks/{network['Id']}/disconnect"
    body = {"Container": item.id, "Force": bool(wanted.get("Force"))}
    try:
        item.engine.call("POST", path, body)
    except UnreachableError:
        if not body["Force"] or network.get("Scope") != "global":
            raise
        api.cluster.select({})[0].call("POST", path, body)
        return Response(200)
    except EngineError as err:
        raise NotFoundError(str(err)) from err
    item.engine.cache.refresh_others()
    item.engine.cache.refresh_container(item.id)
    return Response(204)


def remove(api: Context, _request: Request, name: str) -> Response:
    """``DELETE /networks/NAME``; a network that spans engines goes from all of them."""
    engine, network = _find(api, name, "No such network {0}")
    spans = network.get("Scope") == "global"
    try:
        engine.call("DELETE", f"/networks/{network['Id']}")
    except UnreachableError:
        others = [other for other in api.cluster.active() if other.healthy]
        if not spans or not others:
            raise
        others[0].call("DELETE", f"/networks/{network['Id']}")
    for other in api.cluster.active() if spans else [engine]:
        other.cache.networks.pop(network["Id"], None)
    return Response(204)


def volume_list(api: Context, request: Request) -> Response:
    """``GET /volumes``: local ones are called ``node/name``."""
    filters = filters_of(request)
    shown = []
    for engine, volume in api.cluster.volumes():
        wanted, nodes = filters.get("name", []), filters.get("node", [])
        if wanted and not any(word in volume["Name"] for word in wanted):
            continue
        if not labels_match(filters.get("label", []), volume.get("Labels")):
            continue
        if volume.get("Driver") == "local":
            if nodes and engine.name not in nodes:
                continue
            volume = volume | {"Name": f"{engine.name}/{volume['Name']}"}  # noqa: PLW2901
        shown.append(volume)
    return as_json({"Volumes": shown or None, "Warnings": None})


def volume_get(api: Context, _request: Request, name: str) -> Response:
    """``GET /volumes/NAME``."""
    found = names.volume(api.cluster.volumes(), name)
    if not found:
        raise NotFoundError(f"No such volume: {name}")
    return as_json(found[1])


def volume_create(api: Context, request: Request) -> Response:
    """``POST /volumes/create``: on every engine, or on one as ``node/name``."""
    wanted = body_of(request)
    node, slash, name = (wanted.get("Name") or secrets.token_hex(32)).partition("/")
    wanted["Name"] = name if slash else node
    constraint = config.build({"Env": [f"constraint:node=={node}"]})
    engines = api.cluster.select(constraint)[:1] if slash else api.cluster.active()
    created = None
    for engine in engines:
        created = engine.call("POST", "/volumes/create", wanted)
        engine.cache.refresh_volume(wanted["Name"])
    return as_json(created, 201)


def volume_remove(api: Context, _request: Request, name: str) -> Response:
    """``DELETE /volumes/NAME``, from every engine that has it."""
    found, errors = False, []
    for engine in api.cluster.active():
        held = names.volume([(engine, item) for item in engine.cache.volumes.values()], name)
        if not held:
            continue
        try:
            engine.call("DELETE", f"/volumes/{urllib.parse.quote(held[1]['Name'])}")
            engine.cache.volumes.pop(held[1]["Name"], None)
            found = True
        except EngineError as err:
            errors.append(f"{engine.name}: {err}")
    if errors:
        return failure(500, "\n".join(errors))
    if not found:
        raise NotFoundError(f"No such volume {name}")
    return Response(204)


ROUTES = (
    ("GET", "/networks", get_list),
    ("POST", "/networks/create", create),
    ("POST", "/networks/(.+)/connect", connect),
    ("POST", "/networks/(.+)/disconnect", disconnect),
    ("GET", "/networks/(.*)", get_one),
    ("DELETE", "/networks/(.+)", remove),
    ("GET", "/volumes", volume_list),
    ("POST", "/volumes/create", volume_create),
    ("GET", "/volumes/(.+)", volume_get),
    ("DELETE", "/volumes/(.+)", volume_remove),
)
