"""
Overlay networks of classic Swarm on this host: whether they reach the other hosts, and the service
that sees to it.
"""

import time

import swarm_errors
import swarm_files
import swarm_overlay
import swarm_overlay_unit
import swarm_wait
from swarm_store import StoreError

__virtualname__ = "swarm_overlay"

# Seconds that the engine, or the service, may need for what it has just heard.
_PATIENCE = 4


def __virtual__():
    return __virtualname__


def complaints():
    """
    Return what is wrong with the overlay networks of this host, as texts.

    Without a store that answers, or an engine, there is nothing to compare.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_overlay.complaints
    """
    try:
        found = _survey()
    except swarm_errors.SwarmError:
        return []
    host = __opts__["id"]
    return [
        f"{text}; salt {host} swarm_overlay.heal mends it, and no container is restarted"
        for text in swarm_overlay.words(found)
    ]


def heal(test=False, timeout=0):
    """
    Mend what ``swarm_overlay.complaints`` tells; return what was wrong.

    Entries that the kernel lacks for an overlay network are written, and containers are started
    whose start has failed because the store did not answer. Nothing is restarted.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_overlay.heal test=True

    timeout
        Seconds to wait for a store that does not answer. Defaults to 0.
    """
    found = _await_survey(timeout) if timeout else _survey()
    if found and not test:
        try:
            swarm_overlay.heal(found)
        except OSError as err:
            raise _error(err) from err
    return swarm_overlay.words(found)


def apply(test=False):
    """
    Ensure this host's service for overlay networks runs, or is not there without ``swarm:overlay``.

    What is wrong in spite of it is mended; return what changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_overlay.apply test=True
    """
    settings = __salt__["swarm_settings.get"]()
    if not settings["overlay"]:
        return remove(test)
    changes = _serve(swarm_overlay_unit.texts(settings["engine"]["service"]), test)
    if not _has_engine():
        return changes
    wrong = _foretold() if test else heal(timeout=settings["timeout"])
    return {**changes, **({"overlay networks": {"old": wrong, "new": []}} if wrong else {})}


def remove(test=False):
    """
    Ensure this host has no service for overlay networks; return what changed.

    Networks and what the service has mended stay as they are.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_overlay.remove
    """
    paths = swarm_overlay_unit.paths()
    if not any(path.exists() for path in paths):
        return {}
    if not test:
        if swarm_overlay_unit.UNIT.exists():
            __salt__["service.stop"](swarm_overlay_unit.NAME)
            __salt__["service.disable"](swarm_overlay_unit.NAME)
        _write(dict.fromkeys(paths))
        __salt__["service.systemctl_reload"]()
    return {swarm_overlay_unit.NAME: {"old": "present", "new": None}}


def _serve(texts, test):
    name = swarm_overlay_unit.NAME
    current = {path: swarm_files.read(path) for path in texts}
    old = _state(current, texts)
    if old == "running":
        return {}
    if not test:
        _write({path: text for path, text in texts.items() if current[path] != text})
        __salt__["service.systemctl_reload"]()
        __salt__["service.enable"](name)
        __salt__["service.restart"](name)
    return {name: {"old": old, "new": "running"}}


def _write(texts):
    folders = swarm_overlay_unit.folders()
    for path, text in texts.items():
        swarm_files.write(path, text)
    for folder in folders:
        swarm_files.drop_empty(folder)


def _state(current, texts):
    """Return how the service is: ``running`` is as it is to be."""
    if not any(current.values()):
        return None
    if current != texts:
        return "of another version"
    if not __salt__["service.enabled"](swarm_overlay_unit.NAME):
        return "disabled"
    return "running" if __salt__["service.status"](swarm_overlay_unit.NAME) else "stopped"


def _has_engine():
    return bool(swarm_overlay.config().get("cluster-store")) and __salt__["swarm_engine.exists"]()


def _survey():
    """Return what is wrong, and was a moment ago as well."""
    try:
        before = swarm_overlay.survey()
        if not before:
            return before
        time.sleep(_PATIENCE)
        return swarm_overlay.lasting(before, swarm_overlay.survey())
    except (OSError, StoreError) as err:
        raise _error(err) from err


def _await_survey(timeout):
    """Return what is wrong; the store may be without a leader while its servers take turns."""
    found = []

    def probe():
        try:
            found.append(_survey())
        except swarm_errors.StoreError as err:
            if not isinstance(err.__cause__, StoreError):
                raise
            return str(err)
        return None

    swarm_wait.until(probe, timeout)
    return found[0]


def _foretold():
    """Return what a run would mend; nothing while the store does not answer."""
    try:
        return heal(test=True)
    except swarm_errors.StoreError:
        return []


def _error(err):
    return swarm_errors.StoreError(f"overlay networks of {__opts__['id']}: {err}")
