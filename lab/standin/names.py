"""
Find containers, images, networks and volumes by ID, short ID, prefix or name.
"""

from typing import TYPE_CHECKING

from .config import swarm_id

if TYPE_CHECKING:
    from .cache import Container
    from .engine import Engine

SHORT = 12
MIN_PREFIX = 3


def container(found: list["Container"], wanted: str) -> "Container | None":
    """Return the one container that ``wanted`` names, ``None`` for none and for several."""
    if not wanted:
        return None
    for key in (lambda item: item.id, lambda item: swarm_id(item.config)):
        for item in found:
            if key(item) and wanted in (key(item), key(item)[:SHORT]):
                return item
    named = [item for item in found if wanted in _spellings(item)]
    if named:
        return named[0] if len(named) == 1 else None
    prefixed = [
        item
        for key in (lambda item: item.id, lambda item: swarm_id(item.config))
        for item in found
        if key(item).startswith(wanted)
    ]
    return prefixed[0] if len(prefixed) == 1 else None


def _spellings(item: "Container") -> set[str]:
    engine = item.engine
    return {
        spelling
        for name in item.names
        for spelling in (name, name.removeprefix("/"), engine.name + name, engine.id + name)
    }


def network(found: list[tuple["Engine", dict]], wanted: str) -> tuple["Engine", dict] | None:
    """Return the engine and the network that ``wanted`` names, ``None`` if it is not clear."""
    if not wanted:
        return None
    for pair in found:
        if wanted in (pair[1]["Id"], pair[1]["Id"][:SHORT]):
            return pair
    named = [pair for pair in found if wanted in _scoped(*pair)]
    if named:
        return named[0] if len({pair[1]["Id"] for pair in named}) == 1 else None
    prefixed = [pair for pair in found if pair[1]["Id"].startswith(wanted)]
    return prefixed[0] if len({pair[1]["Id"] for pair in prefixed}) == 1 else None


def volume(found: list[tuple["Engine", dict]], wanted: str) -> tuple["Engine", dict] | None:
    """Return the engine and the volume that ``wanted`` names, ``None`` if it is not clear."""
    named = [pair for pair in found if wanted and wanted in _scoped(*pair)]
    if len(named) > 1:
        named = [pair for pair in named if pair[1].get("Driver") != "local"][:1]
    return named[0] if named else None


def _scoped(engine: "Engine", item: dict) -> tuple[str, ...]:
    name = item["Name"]
    return name, f"{engine.id}/{name}", f"{engine.name}/{name}"


def image_matches(image: dict, wanted: str, match_tag: bool = True) -> bool:
    """Tell whether ``wanted`` names the image by ID, ID prefix, tag or digest."""
    image_id = image["Id"]
    ids = (image_id, image_id.partition(":")[2])
    if wanted in ids or (len(wanted) >= MIN_PREFIX and any(i.startswith(wanted) for i in ids if i)):
        return True
    repository, tag = split_tag(wanted)
    for known in (image.get("RepoTags") or []) + (image.get("RepoDigests") or []):
        name, known_tag = split_tag(known)
        if name == repository and (not match_tag or tag in ("", known_tag)):
            return True
    return False


def split_tag(reference: str) -> tuple[str, str]:
    """Split ``host:5000/name:tag`` or ``name@digest`` into name and tag or digest."""
    name, at, digest = reference.partition("@")
    if at:
        return name, digest
    head, colon, tag = reference.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (reference, "")
