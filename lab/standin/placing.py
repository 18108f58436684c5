"""
Create containers and pull images on one engine.
"""

import json
import urllib.parse
from collections.abc import Iterator
from http.client import HTTPResponse

from . import names
from .cache import Container
from .engine import Engine
from .wire import EngineError


def create_on(engine: Engine, config: dict, name: str, auth: str) -> Container:
    """Create a container on ``engine``, pulling its image if the engine lacks it."""
    host = dict(config.get("HostConfig") or {})
    if host.get("CpuShares"):
        # Processors become the engine's relative shares.
        host["CpuShares"] = -(-host["CpuShares"] * 1024 // engine.cpus)
    body, path = {**config, "HostConfig": host}, "/containers/create"
    path += f"?name={name}" if name else ""
    try:
        created = engine.call("POST", path, body)
    except EngineError as err:
        if not err.missing:
            raise
        for _ in pull(engine, config.get("Image", ""), auth):
            pass
        created = engine.call("POST", path, body)
    container = engine.cache.refresh_container(created["Id"])
    if not container:
        raise EngineError("Container created but refresh didn't report it back")
    return container


def pull(engine: Engine, image: str, auth: str) -> Iterator[dict]:
    """Pull an image on ``engine`` and yield the messages; raises ``EngineError`` on failure."""
    query = urllib.parse.urlencode({"fromImage": image, "tag": "" if _tagged(image) else "latest"})
    headers = {"X-Registry-Auth": auth} if auth else {}
    answer = engine.open("POST", f"/images/create?{query}", b"", **headers)
    yield from messages(engine, answer, f"Failed to load {image}")


def messages(engine: Engine, answer: HTTPResponse, failure: str) -> Iterator[dict]:
    """Yield an engine's progress messages; raises ``EngineError`` for one that is an error."""
    for line in answer:
        message = json.loads(line)
        if message.get("error"):
            raise EngineError(f"{failure}: {message['error']}")
        yield message
    engine.cache.refresh_images()


def _tagged(image: str) -> bool:
    return bool(names.split_tag(image)[1])
