"""
Check, start, stop and reload the Docker daemon, and read its errors from the journal.

``salt`` is a mapping of Salt's execution functions; only ``service.*`` and ``cmd.*`` are called.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from salt.exceptions import CommandExecutionError

from swarm_formula.core import errors
from swarm_formula.core import wait as core_wait
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.daemon import file_plan, systemd_unit
from swarm_formula.docker import engine_api

# Seconds within which dockerd reports a reload by an event.
_RELOAD = 15
_PROC = Path("/proc")
# The kernel appends this to the path of an executable that has been deleted.
_GONE = " (deleted)"
# Seconds after which a thread that enters a namespace only briefly has left it.
_VISIT = 0.2


def answers() -> bool:
    """Return whether the engine answers on its socket."""
    try:
        with engine_api.connect(what="the engine", timeout=10) as client:
            return bool(client.ping())
    except errors.SwarmError:
        return False


def version() -> str | None:
    """Return the version of the running engine, ``None`` if none is running."""
    try:
        with engine_api.connect(what="the engine") as client:
            return engine_api.version(client)
    except errors.SwarmError:
        return None


def replaced(options: Mapping[str, Any]) -> bool:
    """
    Return whether the running engine is a different program from the installed one.

    Packages replace the program file, and Debian's package does not restart the engine.

    options
        The options of ``daemon.json``, which may set the path of the PID file.
    """
    pidfile = Path(options.get("pidfile", "/var/run/docker.pid"))
    try:
        running = _PROC / pidfile.read_text(encoding="utf-8").strip() / "exe"
        link = str(running.readlink())
        place = Path(link.removesuffix(_GONE))
        if link == str(place) or place.name != "dockerd":
            return False
        import filecmp

        # After a reinstallation, the file is a new one with the same content.
        return not filecmp.cmp(running, place, shallow=False)
    except OSError:
        return False


def wait(timeout: float) -> None:
    """Wait until the engine answers."""
    missing = "the engine does not answer on its socket"
    core_wait.until(lambda: None if answers() else missing, timeout)


def start(salt: Salt, service: str) -> None:
    """Start the unit, even if its start hangs or systemd's start limit has been reached."""
    reset = ["systemctl", "reset-failed", f"{service}.service"]
    salt["cmd.run"](reset, python_shell=False, ignore_retcode=True)
    salt["service.restart"](service)


def resume(salt: Salt, service: str, timeout: float) -> None:
    """Start the engine with files with which it ran before, and wait until it answers."""
    # A start may fail once, for example because another program has iptables' lock. Docker's unit
    # has Restart=always: systemd tries again, and the engine's answer tells how that ends.
    with contextlib.suppress(CommandExecutionError):
        start(salt, service)
    wait(timeout)


@contextlib.contextmanager
def stopped(salt: Salt, service: str, timeout: float) -> Iterator[None]:
    """Stop the engine within the context; it is started again afterwards, even after an error."""
    try:
        # The socket first: a connection to it would start the engine again.
        for unit in (f"{service}.socket", f"{service}.service"):
            stop = ["systemctl", "stop", unit]
            salt["cmd.run"](stop, python_shell=False, ignore_retcode=True)
        if salt["service.status"](service):
            raise errors.SwarmError(f"{service} does not stop: see 'systemctl status'")
        yield
    finally:
        resume(salt, service, timeout)


def reload(salt: Salt, service: str) -> None:
    """Reload the engine's configuration file (SIGHUP); raise an error if it refuses."""
    since = time.time()
    salt["service.reload"](service)
    with engine_api.connect(what="reload of the engine", timeout=_RELOAD * 2) as client:
        # Strings, for the fraction: an earlier reload in the same second must not count.
        window = {"since": f"{since:.6f}", "until": f"{since + _RELOAD:.6f}"}
        events = client.events(filters={"type": "daemon", "event": "reload"}, decode=True, **window)
        if next(iter(events), None) is None:
            raise errors.SwarmError("the reload was refused")
        events.close()


def running_store() -> str | None:
    """Return the store that the running engine uses for overlay networks, if any."""
    with engine_api.connect(what="the engine") as client:
        return client.info().get("ClusterStore") or None


def keeps_containers() -> bool:
    """Return whether containers keep running while the engine restarts (live restore)."""
    with engine_api.connect(what="the engine") as client:
        return bool(client.info().get("LiveRestoreEnabled", True))


def activate(  # noqa: PLR0913, PLR0917
    salt: Salt,
    settings: Settings,
    restart: bool,
    was_up: bool,
    store: str | None,
    beside: Callable[[], object],
) -> None:
    """
    Reload, restart or start the engine with the written files, and wait until it answers.

    store
        The store for overlay networks in the written ``daemon.json``.

    beside
        What to begin before a restart, once the engine has reloaded the files.
    """
    service = settings["engine"]["service"]
    if restart or not was_up:
        # Even if this run wrote no unit: an interrupted run may have written one.
        salt["service.systemctl_reload"]()
    if was_up:
        # Reload even before a restart: the engine refuses a configuration with which it would not
        # start, and a newly set live-restore takes effect, so that containers survive the restart.
        # Not if the store is removed or replaced, because the engine always refuses that in a
        # reload; and not if the program was replaced, because the running one may not know
        # options that were written for its successor.
        if not restart or (running_store() in (None, store) and not replaced(file_plan.config())):
            reload(salt, service)
            if restart:
                beside()
        if restart:
            salt["service.restart"](service)
    else:
        start(salt, service)
    if not salt["service.enabled"](service):
        salt["service.enable"](service)
    wait(settings["timeout"])


def go_back(salt: Salt, settings: Settings, was_up: bool, restart: bool) -> None:
    """
    Restore the engine's previous state, after its files have been restored.

    restart
        The running engine has started with the new files.
    """
    service = settings["engine"]["service"]
    salt["service.systemctl_reload"]()
    if not was_up:
        return
    if answers() and not restart:
        salt["service.reload"](service)
        return
    resume(salt, service, settings["timeout"])


def check_store(store: str | None) -> None:
    """
    Check that the engine really uses this store; raise an error if it does not.

    An engine that is built without the discovery service, such as Debian 12's, accepts the reload,
    ignores the store, and then refuses to start the next time.
    """
    if store and running_store() != store:
        raise errors.SwarmError(
            "it accepts cluster-store, does not use it, and would not start with it the next time"
            " ('discovery service not supported'): it is built without; set swarm:overlay to false,"
            " or use an engine that is built with it, such as Debian 11's or docker-ce 20.10"
        )


def words(salt: Salt, service: str, since: int) -> str:
    """
    Return the error messages of the engine since a point in time, or else those of systemd.

    A daemon that was never started has not logged anything itself.
    """
    which = [f"--since=@{since}", f"--unit={service}.service"]
    command = ["journalctl", "--no-pager", "--output=cat", *which]

    def journal(*more: str) -> str:
        text = salt["cmd.run_stdout"]([*command, *more], python_shell=False, ignore_retcode=True)
        return str(text)

    found = systemd_unit.words(journal("--identifier=dockerd"))
    if found := found or systemd_unit.systemd_words(journal()):
        return found
    return f"nothing that looks like an error (journalctl -u {service})"


def refuse_masked(salt: Salt, service: str, minion: str) -> None:
    """Raise an error if the engine's unit is masked, and therefore cannot be started."""
    show = ["systemctl", "show", "--property=LoadState", f"{service}.service"]
    state = salt["cmd.run_stdout"](show, python_shell=False, ignore_retcode=True)
    if "=masked" in state:
        raise errors.SwarmError(
            f"{service}.service is masked on {minion}, so that nobody can start the engine;"
            " nothing was changed. If Docker is to run there: 'systemctl unmask"
            f" {service}.service {service}.socket' on {minion}, and apply again"
        )


def _namespaces(paths: Iterable[Path]) -> Iterator[tuple[str, int]]:
    """Yield a name from the path of each network namespace file, and the namespace's inode."""
    for path in paths:
        # Threads and sandboxes may disappear meanwhile.
        with contextlib.suppress(OSError):
            yield path.parts[-3], path.stat().st_ino


def _astray(tasks: Path, sandboxes: Path) -> set[str]:
    host = (_PROC / "1/ns/net").stat().st_ino
    threads = dict(_namespaces(tasks.glob("*/ns/net")))
    # Read after the threads, so that a sandbox that is being created is included.
    known = {host, *(inode for _, inode in _namespaces(sandboxes.glob("*")))}
    return {thread for thread, inode in threads.items() if inode not in known}


def lost_threads(options: Mapping[str, Any]) -> set[str]:
    """
    Return the engine's threads that are in a network namespace that is not one of its sandboxes.

    When the last container of an overlay network leaves a host, Docker 20.10 leaves a thread in the
    removed sandbox (moby/libnetwork#1838). Code that later runs on this thread reaches neither the
    store on loopback nor any other host: networks intermittently seem not to exist.

    options
        The options of ``daemon.json``, which may set the paths of the PID file and the sandboxes.
    """
    pidfile = Path(options.get("pidfile", "/var/run/docker.pid"))
    sandboxes = Path(options.get("exec-root", "/var/run/docker")) / "netns"
    try:
        tasks = _PROC / pidfile.read_text(encoding="utf-8").strip() / "task"
    except OSError:
        return set()
    found = _astray(tasks, sandboxes)
    if found:
        time.sleep(_VISIT)
        found &= _astray(tasks, sandboxes)
    return found
