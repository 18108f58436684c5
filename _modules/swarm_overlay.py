"""
Overlay networks of classic Swarm on this host: whether they reach the other hosts, and the service
that sees to it.
"""

import time

from swarm_formula.core import errors, host_files, wait
from swarm_formula.overlay import keeper, keeper_unit
from swarm_formula.overlay.kv_store import StoreError

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
    except errors.SwarmError:
        return []
    host = __opts__["id"]
    return [
        f"{text}; salt {host} swarm_overlay.heal mends it, and no container is restarted"
        for text in keeper.words(found)
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
            keeper.heal(found)
        except OSError as err:
            raise _error(err) from err
    return keeper.words(found)


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
    changes = _serve(keeper_unit.texts(settings["engine"]["service"]), test)
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
    paths = keeper_unit.paths()
    if not any(path.exists() for path in paths):
        return {}
    if not test:
        if keeper_unit.UNIT.exists():
            __salt__["service.stop"](keeper_unit.NAME)
            __salt__["service.disable"](keeper_unit.NAME)
        _write(dict.fromkeys(paths))
        __salt__["service.systemctl_reload"]()
    return {keeper_unit.NAME: {"old": "present", "new": None}}


def _serve(texts, test):
    name = keeper_unit.NAME
    current = {path: host_files.read(path) for path in texts}
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
    folders = keeper_unit.folders()
    for path, text in texts.items():
        host_files.write(path, text)
    for folder in folders:
        host_files.drop_empty(folder)


def _state(current, texts):
    """Return how the service is: ``running`` is as it is to be."""
    if not any(current.values()):
        return None
    if current != texts:
        return "of another version"
    if not __salt__["service.enabled"](keeper_unit.NAME):
        return "disabled"
    return "running" if __salt__["service.status"](keeper_unit.NAME) else "stopped"


def _has_engine():
    return bool(keeper.config().get("cluster-store")) and __salt__["swarm_engine.exists"]()


def _survey():
    """Return what is wrong, and was a moment ago as well."""
    try:
        before = keeper.survey()
        if not before:
            return before
        time.sleep(_PATIENCE)
        return keeper.lasting(before, keeper.survey())
    except (OSError, StoreError) as err:
        raise _error(err) from err


def _await_survey(timeout):
    """Return what is wrong; the store may be without a leader while its servers take turns."""
    found = []

    def probe():
        try:
            found.append(_survey())
        except errors.StoreError as err:
            if not isinstance(err.__cause__, StoreError):
                raise
            return str(err)
        return None

    wait.until(probe, timeout)
    return found[0]


def _foretold():
    """Return what a run would mend; nothing while the store does not answer."""
    try:
        return heal(test=True)
    except errors.StoreError:
        return []


def _error(err):
    return errors.StoreError(f"overlay networks of {__opts__['id']}: {err}")
