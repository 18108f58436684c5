"""
Provide an image on the local engine: keep a local image, load it from an archive, or pull it.
"""

import contextlib
import json
import logging
import os
import tarfile
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from salt.exceptions import SaltException
from salt.utils.hashutils import get_hash

from swarm_formula.core import deadlines, errors
from swarm_formula.docker import engine_api

log = logging.getLogger(__name__)

_MANIFEST = "manifest.json"
# Errors from an archive that is damaged, or whose manifest is not Docker's.
_UNREADABLE = (
    tarfile.TarError,
    OSError,
    EOFError,
    ValueError,
    AttributeError,
    KeyError,
    TypeError,
)
# The prefixes that Docker adds to a short image name, longest first.
_IMPLIED = ("docker.io/library/", "index.docker.io/library/", "docker.io/", "library/")
# Salt's ``cp.cache_file``: returns the path of a downloaded file, ``False`` if there is none.
Fetch = Callable[[str], str | Literal[False]]


class Archive(NamedTuple):
    """An archive made by ``docker save``, and its SHA-256 in hexadecimal digits, if it is known."""

    source: str
    digest: str | None = None


def local(client: Any, name: str) -> dict[str, Any] | None:
    """Return Docker's data on a local image, or ``None`` if it does not exist."""
    image: dict[str, Any] | None = engine_api.found(client.inspect_image, name)
    return image


def ensure(
    client: Any, name: str, archive: Archive | None, fetch: Fetch, timeout: float
) -> dict[str, Any]:
    """
    Return the local image; load or pull it first if it is missing.

    An existing tag is kept even if the content of the archive has changed, because checking it
    would transfer it on each run. For new content, use a new tag or ``swarm_image.load``.
    """
    image = local(client, name)
    if image is None and archive:
        load(client, name, archive, fetch, timeout)
    elif image is None:
        pull(client, name, timeout)
    return image or arrived(client, name)


def load(client: Any, name: str, archive: Archive, fetch: Fetch, timeout: float) -> None:
    """Load the images of a tar archive after checking its hash, and that ``name`` is among them."""
    source = archive.source
    path = source_file(source, fetch)
    if archive.digest and (found := get_hash(path, "sha256")) != archive.digest.lower():
        raise errors.SettingsError(
            f"image {name}: {source} has the SHA-256 {found}, not {archive.digest} (image_hash),"
            " and was not loaded: compare it with the original before you change the hash"
        )
    tags = tags_in(path, source)
    if plain(name) not in map(plain, tags):
        there = ", ".join(tags) or "images without a name"
        raise errors.SettingsError(
            f"image {name}: {source} does not hold it, but {there}: "
            f"make the archive with 'docker save -o FILE {name}', or give the image its right name"
        )
    log.debug("loading image %s from %s", name, path)
    with open(path, "rb") as file:
        _run(client, f"image {name} from {source}", timeout, "/images/load?quiet=1", data=file)


def archive(source: str | None, digest: str | None) -> Archive | None:
    """Return the archive of an image, ``None`` if it is pulled."""
    return Archive(source, digest) if source else None


def pull(client: Any, name: str, timeout: float) -> None:
    """Pull an image; give up after ``timeout`` seconds."""
    repository, tag = _split(name)
    log.debug("pulling image %s", name)
    _run(
        client,
        f"image {name} could not be pulled (without a registry, give it an image_source)",
        timeout,
        "/images/create",
        params={"fromImage": repository, "tag": tag},
        headers=engine_api.registry_login(client, repository),
    )


def tags_in(path: str, source: str) -> list[str]:
    """Return the image names in an archive, which may be compressed, made by ``docker save``."""
    try:
        with tarfile.open(path) as archive:
            # Only a file has content: ``None`` for a folder of this name.
            if _MANIFEST in archive.getnames() and (file := archive.extractfile(_MANIFEST)):
                return [tag for image in json.load(file) for tag in image.get("RepoTags") or []]
    except _UNREADABLE as err:
        raise errors.SettingsError(
            f"{source} cannot be read as an image archive ({err}): make it with 'docker save'"
        ) from err
    raise errors.SettingsError(
        f"{source} is no image archive, it has no manifest.json (was it made by 'docker export'?): "
        "make it with 'docker save'"
    )


def plain(name: str) -> str:
    """Return an image's name with its tag and without the prefixes that Docker implies."""
    for implied in _IMPLIED:
        name = name.removeprefix(implied)
    repository, tag = _split(name)
    return name if tag.startswith("sha256:") else f"{repository}:{tag}"


def source_file(source: str, fetch: Fetch) -> str:
    """Return the local path of an image archive; ``fetch`` downloads a source that is a URL."""
    try:
        path = source if source.startswith("/") else fetch(source)
    except SaltException as err:
        raise errors.SwarmError(f"the image archive {source} cannot be had: {err}") from err
    if not path or not os.path.isfile(path):
        raise errors.SettingsError(
            f"there is no image archive {source}: put it there (salt:// is a path in the master's "
            "file_roots), or leave image_source out to pull the image from a registry"
        )
    return path


def _split(name: str) -> tuple[str, str]:
    """Return an image's repository and its tag or digest."""
    if "@" in name:
        repository, _, digest = name.partition("@")
        return repository, digest
    head, colon, tail = name.rpartition(":")
    return (head, tail) if colon and "/" not in tail else (name, "latest")


def _run(client: Any, what: str, timeout: float, path: str, **request: Any) -> None:
    """Send a long-running request, and read Docker's progress report to its end."""
    late = f"{what}: not done after {timeout:g} s: raise swarm:timeout, or look what holds it up"

    def run() -> None:
        answer = engine_api.post(client, path, stream=True, timeout=(10, timeout), **request)
        with contextlib.closing(answer):
            for line in filter(None, answer.iter_lines()):
                # Docker reports errors in a response with status 200, too.
                if error := _error(json.loads(line)):
                    raise errors.ApiError(f"{what}: Docker says: {error}")

    with engine_api.translated(what), engine_api.patience(late):
        # The SDK's own pull method has no overall timeout.
        deadlines.within(timeout, run)


def _error(report: dict[str, Any]) -> str:
    """Return the error in a line of a progress report, empty if it has none."""
    # Docker deprecated "error" with API 1.48; "errorDetail" is in all versions.
    detail = report.get("errorDetail") or {}
    return str(detail.get("message") or report.get("error") or "")


def arrived(client: Any, name: str) -> dict[str, Any]:
    image = local(client, name)
    if image is None:
        raise errors.ApiError(f"image {name}: Docker reported success but has no such image")
    return image
