"""
Answer the image part of the API: pull and load on every engine, list them as one.
"""

import http.client
import json
import queue
import threading
import urllib.parse
from collections.abc import Callable, Iterator

from . import API_VERSION, config, names, proxy, wire
from .context import Context
from .engine import Engine
from .httpd import Request, Response, Stream
from .placing import messages, pull
from .reply import NotFoundError, as_json, failure, filters_of, labels_match
from .store import start
from .wire import EngineError

NO_TAG, NO_DIGEST = "<none>:<none>", "<none>@<none>"
STREAM = {"Content-Type": "application/json", "Api-Version": API_VERSION}


def visible(found: list[tuple[Engine, dict]], show_all: bool = False) -> list[tuple[Engine, dict]]:
    """Return the images that are not just layers of others."""
    return [
        (engine, image)
        for engine, image in found
        if show_all
        or (image.get("RepoTags") or [NO_TAG])[0] != NO_TAG
        or (image.get("RepoDigests") or [NO_DIGEST])[0] != NO_DIGEST
    ]


def get_list(api: Context, request: Request) -> Response:
    """``GET /images/json``: the same image on several engines is one line."""
    filters = filters_of(request)
    wanted = filters.get("reference", []) + [
        word for word in [request.query.get("filter", "")] if word
    ]
    merged: dict[str, dict] = {}
    for engine, image in visible(api.cluster.images(), request.flag("all")):
        nodes = filters.get("node", [])
        if nodes and engine.name not in nodes and engine.id not in nodes:
            continue
        if not labels_match(filters.get("label", []), image.get("Labels")):
            continue
        if wanted and not any(names.image_matches(image, word) for word in wanted):
            continue
        kept = merged.setdefault(image["Id"], dict(image))
        for key in ("RepoTags", "RepoDigests"):
            kept[key] = list(dict.fromkeys((kept.get(key) or []) + (image.get(key) or [])))
    return as_json(sorted(merged.values(), key=lambda item: item["Created"], reverse=True))


def create(api: Context, request: Request) -> Response | None:
    """``POST /images/create``: pull, or import from the request's body, on every engine."""
    query = request.query
    source = query.get("fromImage", "")
    if not source:
        return _spread_body(api, request, f"/images/create?{request.target.partition('?')[2]}", "")
    image = reference(source, query.get("tag", ""))
    auth = request.header("x-registry-auth")
    request.body()
    _spread(
        api,
        Stream(request, STREAM),
        f"Pulling {image}...",
        lambda engine: pull(engine, image, auth),
        announce=True,
    )
    return None


def load(api: Context, request: Request) -> Response | None:
    """``POST /images/load``: load on every engine."""
    return _spread_body(api, request, "/images/load", "Loading Image...")


def _spread_body(api: Context, request: Request, path: str, title: str) -> None:
    # The whole archive is kept in memory: test images are small.
    data = request.body()

    def send(engine: Engine) -> Iterator[dict]:
        kind = {"Content-Type": "application/x-tar"}
        answer = engine.open("POST", path, data, **kind)
        return messages(engine, answer, "Failed to load image")

    _spread(api, Stream(request, STREAM), title, send, announce=False)


def _spread(api: Context, stream: Stream, title: str, send: Callable, announce: bool) -> None:
    inbox: queue.SimpleQueue = queue.SimpleQueue()
    engines = api.cluster.active()
    for engine in engines:
        start(_work, engine, send, inbox)
    left, failure_text = len(engines), ""
    while left:
        engine, message, error = inbox.get()
        if message is None:
            left -= 1
            message = {} if error or announce else None
        failure_text = error or failure_text
        if message is not None:
            status = error or message.get("status", "") or message.get("stream", "")
            shown = f"{title} : {status}" if status else title
            stream.write(
                json.dumps(message | {"status": shown, "id": engine.name}).encode() + b"\n"
            )
    if failure_text:
        final = {"error": failure_text, "errorDetail": {"code": 1, "message": failure_text}}
        stream.write(json.dumps(final).encode() + b"\n")
    stream.close()


def _work(engine: Engine, send: Callable, inbox: queue.SimpleQueue) -> None:
    error = ""
    try:
        for message in send(engine):
            inbox.put((engine, message, ""))
    except (EngineError, OSError, ValueError, http.client.HTTPException) as err:
        error = str(err)
    inbox.put((engine, None, error))


def reference(repository: str, tag: str) -> str:
    """Join name and tag, or name and digest."""
    if not tag:
        return repository
    return f"{repository}@{tag}" if ":" in tag else f"{repository}:{tag}"


def pass_on(api: Context, request: Request, name: str, *_: str) -> Response | None:
    """Send the request to an engine that has the image."""
    return _forward(_holder(api, name), request)


def _holder(api: Context, name: str) -> Engine:
    for engine, image in api.cluster.images():
        if names.image_matches(image, name):
            return engine
    raise NotFoundError(f"No such image: {name}")


def _forward(engine: Engine, request: Request) -> Response | None:
    try:
        proxy.forward(request, engine.address, engine.options.tls)
    except OSError as err:
        return failure(500, str(wire.as_engine_error(err, engine.address)))
    return None


def get_several(api: Context, request: Request) -> Response | None:
    """``GET /images/get``: from an engine that has all the images asked for."""
    wanted = urllib.parse.parse_qs(request.target.partition("?")[2]).get("names", [])
    for engine in api.cluster.active():
        held = engine.cache.images
        if all(any(names.image_matches(image, name) for image in held) for name in wanted):
            return _forward(engine, request)
    text = f"Unable to find a healthy engine containing all images: [{' '.join(wanted)}]"
    raise NotFoundError(text)


def tag(api: Context, request: Request, name: str) -> Response:
    """``POST /images/NAME/tag``, on every engine that has the image."""
    query = urllib.parse.urlencode(
        {"repo": request.query.get("repo", ""), "tag": request.query.get("tag", "")}
    )
    holders = _holders(api, name)
    if not holders:
        raise NotFoundError(f"No such image: {name}")
    for engine in holders:
        engine.call("POST", f"/images/{name}/tag?{query}", b"")
        engine.cache.refresh_images()
    return Response(201)


def _holders(api: Context, name: str) -> list[Engine]:
    return [
        engine
        for engine in api.cluster.active()
        if any(names.image_matches(image, name) for image in engine.cache.images)
    ]


def remove(api: Context, request: Request, name: str) -> Response:
    """``DELETE /images/NAME``, from every engine that has it."""
    gone, errors = [], []
    for engine in _holders(api, name):
        try:
            gone += engine.call("DELETE", f"/images/{name}?force={int(request.flag('force'))}")
        except EngineError as err:
            errors.append(f"{engine.name}: {err}")
        engine.cache.refresh_images()
    if errors:
        return failure(500, "\n".join(errors))
    if not gone:
        raise NotFoundError(f"No such image {name}")
    return as_json(gone)


def anywhere(api: Context, request: Request) -> Response | None:
    """Send a request that any engine can answer to one of them."""
    return _forward(api.cluster.select({})[0], request)


def refuse(_api: Context, _request: Request) -> Response:
    """Refuse what makes no sense for a swarm."""
    return failure(501, "Not supported in clustering mode.")


def build(api: Context, request: Request) -> Response | None:
    """``POST /build``: on the engine that the build arguments' constraints choose."""
    arguments = json.loads(request.query.get("buildargs") or "{}")
    env = [f"{key}={value or ''}" for key, value in arguments.items()]
    engine = api.cluster.select(config.build({"Env": env}))[0]
    answer = _forward(engine, request)
    threading.Thread(target=engine.cache.refresh_images, daemon=True).start()
    return answer


NAME = "/images/(.+)"
ROUTES = (
    ("GET", "/images/json", get_list),
    ("GET", "/images/viz", refuse),
    ("GET", "/images/search", anywhere),
    ("GET", "/images/get", get_several),
    ("GET", f"{NAME}/(get|history|json)", pass_on),
    ("POST", "/images/create", create),
    ("POST", "/images/load", load),
    ("POST", f"{NAME}/push", pass_on),
    ("POST", f"{NAME}/tag", tag),
    ("DELETE", NAME, remove),
    ("POST", "/auth", anywhere),
    ("POST", "/build", build),
)
