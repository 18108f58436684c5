"""
Resolve the names of images to digests: the content that a name has in its registry at this moment.

The engine of a manager asks the registry, with the login of this host. Docker's command line does
the same before it creates a service; the API alone does not, and each node would then pull what the
name means at that time.
"""

import time
from typing import Any

from swarm_formula.core import errors
from swarm_formula.docker import engine_api
from swarm_formula.spec import service_values

# Seconds of silence until a registry counts as unreachable; and those after which one that has
# failed is not asked for further images in the same run.
_SILENCE, _SLOW = 15, 5
_IMAGE = ("TaskTemplate", "ContainerSpec", "Image")


class Resolver:
    """
    The digests of images. Each image is asked for once.

    client
        A client of a manager's engine.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._known: dict[str, str | None] = {}
        self._failed: dict[str, tuple[str, list[str]]] = {}  # registry: first reason, images
        self._away: set[str] = set()

    def options(self, wanted: dict[str, Any], service: dict[str, Any] | None) -> dict[str, Any]:
        """
        Return the options of a service with the digest of its image, if it is to be resolved.

        wanted
            Options in their canonical form. ``resolve`` decides when the registry is asked.

        service
            The service as Docker has it, ``None`` for a new one.
        """
        image, when = wanted.get("image"), wanted.get("resolve") or service_values.CHANGED
        if not image or when == service_values.NEVER or "@" in image:
            return wanted
        if (
            when == service_values.CHANGED
            and service
            and service_values.same_image(_image_of(service), image)
        ):
            return wanted
        digest = self._digest(image)
        return {**wanted, "image": service_values.with_digest(image, digest)} if digest else wanted

    def warnings(self) -> list[str]:
        """Return a warning for each registry that did not return a digest."""
        return [
            f"registry {registry}: no digest of {', '.join(images)}. Services keep the digest that"
            " they have; others get the name alone, and each node pulls what it means at that time."
            f" Without a registry, set resolve: never. The reason: {reason}"
            for registry, (reason, images) in self._failed.items()
        ]

    def _digest(self, image: str) -> str | None:
        if image not in self._known:
            self._known[image] = self._asked(image)
        return self._known[image]

    def _asked(self, image: str) -> str | None:
        registry, began = engine_api.registry(image), time.monotonic()
        if registry in self._away:
            self._failed[registry][1].append(image)
            return None
        try:
            if digest := _ask(self._client, image):
                return digest
            reason = "it returns none"
        except errors.SwarmError as err:
            reason = str(err)
        self._failed.setdefault(registry, (reason, []))[1].append(image)
        if time.monotonic() - began > _SLOW:
            self._away.add(registry)
        return None


def _ask(client: Any, image: str) -> str:
    headers = engine_api.registry_login(client, image)
    with engine_api.translated(f"image {image}"):
        path = f"/distribution/{image}/json"
        answer = engine_api.get(client, path, headers=headers, timeout=_SILENCE).json()
        return (answer.get("Descriptor") or {}).get("digest") or ""


def _image_of(service: dict[str, Any]) -> str:
    spec: Any = service["Spec"]
    for key in _IMAGE:
        spec = spec[key]
    image: str = spec
    return image
