"""
Run the swarm's registry on the host that the pillar names.
"""

from pathlib import Path
from typing import Any

import requests

from swarm_formula.core import deadlines, errors, host_files, own_registry
from swarm_formula.core import wait as core_wait
from swarm_formula.core.addresses import endpoint
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.docker import engine_api, trial
from swarm_formula.registry import container_spec, removal, users
from swarm_formula.salt import secret_store
from swarm_formula.tls import cert_files

_NAME = own_registry.CONTAINER
_PATHS = "swarm:registry"
# Both are answers of a registry, to one who has logged in and to one who has not.
_ANSWERS = (200, 401)
_TIMEOUT = 5


def apply(salt: Salt, settings: Settings, test: bool) -> dict[str, Any]:
    """Ensure the registry of the pillar runs on this host; return what changed."""
    logins = _logins(salt, settings)
    server = container_spec.server(settings, cert_files.NODE.due(test))
    with engine_api.unless_absent(test):
        _refuse_stranger(salt)
    had = host_files.read(container_spec.users_file())
    changes = users.diff(had, logins)
    planned = salt["swarm_container.apply"](_NAME, server.spec, test=True)
    if not test:
        _write(settings, server, logins)
        if planned:
            planned = _start(salt, settings, server.spec)
        _tidy(server, logins)
    return {**changes, **({_NAME: planned} if planned else {})}


def _logins(salt: Salt, settings: Settings) -> str | None:
    """Return the text of the file with the users, ``None`` for a registry without a login."""
    if not (place := settings["registry"]["htpasswd"]):
        return None
    path = f"{_PATHS}:htpasswd"
    found = secret_store.load(salt, place, path=path)
    return users.text(users.parsed(found, f"{place} on {settings['id']} ({path})"))


def _refuse_stranger(salt: Salt) -> None:
    """Raise an error if another container has the registry's name."""
    found = salt["swarm_container.get"](_NAME)
    if found and not own_registry.is_ours(found["command"]):
        raise errors.SwarmError(
            f"there is a container {_NAME} here that the formula has not made: rename it, as by"
            f" `docker rename {_NAME} my-registry`, and apply again; nothing was changed"
        )


def _write(settings: Settings, server: container_spec.Server, logins: str | None) -> None:
    """Write what the container reads; the files of a running one stay."""
    registry = settings["registry"]
    # Recorded first, so that a run that is killed can still be undone.
    host_files.note(removal.RECORD, {"image": registry["image"], "path": registry["path"]})
    _make(Path(registry["path"]))
    if logins is not None and host_files.read(container_spec.users_file()) != logins:
        # The registry reads it again at the next login.
        host_files.write(container_spec.users_file(), logins, mode=0o600)
    if host_files.read(server.file) != server.text:
        host_files.write(server.file, server.text, mode=0o600)


def _make(images: Path) -> None:
    """Make the folder of the images for root alone; one that is there stays as it is."""
    try:
        if not images.is_dir():
            images.mkdir(mode=0o700, parents=True)
    except OSError as err:
        raise errors.SwarmError(f"{images} ({_PATHS}:path): {err.strerror}") from err


def _start(salt: Salt, settings: Settings, spec: dict[str, Any]) -> dict[str, Any]:
    """Start or replace the container; the previous one is restored if the new one is silent."""
    return trial.replace(salt, _NAME, spec, lambda: _wait_answer(salt, settings), _PATHS)


def _wait_answer(salt: Salt, settings: Settings) -> None:
    """Wait until the registry answers with a certificate that nodes trust."""
    place = endpoint(settings["address"], settings["registry"]["port"])

    def probe() -> str | None:
        if why := _silent(place, cert_files.NODE.current().ca):
            salt["swarm_container.check"](_NAME)
        return why

    core_wait.until(probe, settings["timeout"])


def _silent(place: str, authority: str) -> str | None:
    """Return why the registry gives no answer, ``None`` if it gives one."""
    try:
        with deadlines.Session() as session:
            session.trust_env = False
            session.verify = authority
            status = session.get(f"https://{place}/v2/", timeout=_TIMEOUT).status_code
    except (requests.exceptions.RequestException, OSError) as err:
        return f"the registry at {place} does not answer: {err}"
    return None if status in _ANSWERS else f"the registry at {place} answers {status}"


def _tidy(server: container_spec.Server, logins: str | None) -> None:
    """Remove what the container that runs does not read."""
    for path in container_spec.configs():
        if path != server.file:
            host_files.write(path, None)
    if logins is None:
        host_files.write(container_spec.users_file(), None)
    # By a name that stays: for `registry garbage-collect`.
    link = own_registry.folder() / "config.yml"
    if not link.is_symlink() or link.resolve() != server.file.resolve():
        host_files.link(link, server.file.name)
