"""
Check whether a restarted engine still starts containers.

An engine may start well with options, or a version, with which it starts no container, for example
with a wrong ``init-path``. Where its services' tasks are moved to other nodes, nothing else shows
that before the last engine has restarted.
"""

import contextlib
from typing import Any

from swarm_formula.core import errors
from swarm_formula.docker import engine_api

# No image has this file. The runtime looks for it after everything else has been prepared, so that
# this is the only error of an engine that works, and no program of a user is run.
_ENTRYPOINT = "/swarm-formula-probe"
_LABEL = "swarm-formula.probe"
_HOST = {"NetworkMode": "none"}


class Trial:
    """A trial container, before and after a restart of the engine."""

    def __init__(self, image: str | None) -> None:
        # ID of an image with which the engine has started a container, ``None`` if none is known.
        self.image = image

    def check(self) -> None:
        """Raise ``NoContainerError`` if the engine does not start the container any more."""
        if not self.image:
            return
        with _connected() as client:
            refused = _refusal(client, self.image)
        if refused:
            raise errors.NoContainerError(
                f"since its restart, the engine starts no container: {refused}"
            )


def before() -> Trial:
    """
    Return a trial with an image in use that works now.

    Without a running container, or if the engine does not start one now either, it checks nothing.
    """
    image = None
    with contextlib.suppress(errors.SwarmError), _connected() as client:
        found = next((one["ImageID"] for one in client.containers() if one.get("ImageID")), None)
        image = found if found and _refusal(client, found) is None else None
    return Trial(image)


def _connected() -> contextlib.AbstractContextManager[Any]:
    return engine_api.connect(what="a trial container")


def _refusal(client: Any, image: str) -> str | None:
    """Return why the engine does not start a container, ``None`` if it does."""
    if engine_api.found(client.inspect_image, image) is None:
        return None
    _remove(client)
    try:
        with engine_api.translated("a trial container"):
            made = client.create_container(
                image,
                entrypoint=[_ENTRYPOINT],
                labels={_LABEL: ""},
                host_config=_HOST,
            )
            client.start(made["Id"])
    except errors.ApiError as err:
        return None if _ENTRYPOINT in str(err) else str(err)
    finally:
        _remove(client)
    return None


def _remove(client: Any) -> None:
    """Remove the container of this run, or of one that was killed."""
    for one in client.containers(all=True, filters={"label": _LABEL}):
        engine_api.found(client.remove_container, one["Id"], force=True, v=True)
