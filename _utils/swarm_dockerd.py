"""
The running engine: does it answer, have it start, read its file again, and what did it say.

``salt`` is a mapping of Salt's execution functions; only those of systemd are called.
"""

import contextlib
import filecmp
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import swarm_docker
import swarm_errors
import swarm_plan
import swarm_unit
import swarm_wait

Salt = Mapping[str, Callable]

# How long dockerd takes to reload at the most; it says so with an event.
_RELOAD = 15
_PROC = Path("/proc")
# What the kernel appends to the name of a program that is not there any more.
_GONE = " (deleted)"
# A thread that is in a namespace for a moment has left it after so many seconds.
_VISIT = 0.2


def answers() -> bool:
    """Say whether the engine answers on its socket."""
    try:
        with swarm_docker.connect(what="the engine", timeout=10) as client:
            return client.ping()
    except swarm_errors.SwarmError:
        return False


def version() -> str | None:
    """Return the version of the engine that runs, ``None`` if none does."""
    try:
        with swarm_docker.connect(what="the engine") as client:
            return client.version(api_version=False)["Version"]
    except swarm_errors.SwarmError:
        return None


def replaced(options: Mapping) -> bool:
    """
    Say whether the engine that runs is another program than the one that is installed.

    Packages put the new program in the old one's place, and Debian's leaves the engine running.

    options
        Those of ``daemon.json``: they may say where the engine has its files.
    """
    pidfile = Path(options.get("pidfile", "/var/run/docker.pid"))
    try:
        running = _PROC / pidfile.read_text(encoding="utf-8").strip() / "exe"
        link = str(running.readlink())
        place = Path(link.removesuffix(_GONE))
        if link == str(place) or place.name != "dockerd":
            return False
        # The same again, as by a reinstallation, is no other program.
        return not filecmp.cmp(running, place, shallow=False)
    except OSError:
        return False


def wait(timeout: float) -> None:
    """Wait until the engine answers."""
    missing = "the engine does not answer on its socket"
    swarm_wait.until(lambda: None if answers() else missing, timeout)


def start(salt: Salt, service: str) -> None:
    """Start the unit, also one that hangs in its start, or that three bad ones have locked."""
    reset = ["systemctl", "reset-failed", f"{service}.service"]
    salt["cmd.run"](reset, python_shell=False, ignore_retcode=True)
    salt["service.restart"](service)


@contextlib.contextmanager
def stopped(salt: Salt, service: str, timeout: float) -> Iterator[None]:
    """Stop the engine for a while; it runs again afterwards, whatever happens in between."""
    try:
        # The socket first: whoever calls it would start the engine again.
        for unit in (f"{service}.socket", f"{service}.service"):
            stop = ["systemctl", "stop", unit]
            salt["cmd.run"](stop, python_shell=False, ignore_retcode=True)
        if salt["service.status"](service):
            raise swarm_errors.SwarmError(f"{service} does not stop: see 'systemctl status'")
        yield
    finally:
        start(salt, service)
        wait(timeout)


def reload(salt: Salt, service: str) -> None:
    """Have the engine read its file again (SIGHUP); an error if it refuses."""
    since = time.time()
    salt["service.reload"](service)
    with swarm_docker.connect(what="reload of the engine", timeout=_RELOAD * 2) as client:
        # Text, for the fraction: a reload of the same second is not ours.
        window = {"since": f"{since:.6f}", "until": f"{since + _RELOAD:.6f}"}
        events = client.events(filters={"type": "daemon", "event": "reload"}, decode=True, **window)
        if next(iter(events), None) is None:
            raise swarm_errors.SwarmError("the reload was refused")
        events.close()


def running_store() -> str | None:
    """Return the store for overlay networks that the running engine has."""
    with swarm_docker.connect(what="the engine") as client:
        return client.info().get("ClusterStore") or None


def keeps_containers() -> bool:
    """Say whether containers run on through a restart of the running engine."""
    with swarm_docker.connect(what="the engine") as client:
        return bool(client.info().get("LiveRestoreEnabled", True))


def activate(salt: Salt, settings: Mapping, restart: bool, was_up: bool, store: str | None) -> None:
    """
    Have the engine take over what was written, and wait until it answers.

    store
        The one for overlay networks that was written.
    """
    service = settings["engine"]["service"]
    if restart or not was_up:
        # Even if this run wrote no unit: one that was cut off may have.
        salt["service.systemctl_reload"]()
    if was_up:
        # Even before a restart: the engine refuses here what it would not start with, and a
        # live-restore that is new takes effect, so that the restart leaves containers alone.
        # But never is a store given up by a reload: that is always refused.
        # Nor does a program that was replaced know what was written for its successor.
        if not restart or (running_store() in (None, store) and not replaced(swarm_plan.config())):
            reload(salt, service)
        if restart:
            salt["service.restart"](service)
    else:
        start(salt, service)
    if not salt["service.enabled"](service):
        salt["service.enable"](service)
    wait(settings["timeout"])


def go_back(salt: Salt, settings: Mapping, was_up: bool) -> None:
    """Have the engine run as before, now that its files are as before."""
    service = settings["engine"]["service"]
    salt["service.systemctl_reload"]()
    if not was_up:
        return
    if answers():
        salt["service.reload"](service)
        return
    start(salt, service)
    wait(settings["timeout"])


def check_store(store: str | None) -> None:
    """
    Look whether the engine really has this store.

    One that is built without the discovery service, as Debian 12's is, accepts the reload, ignores
    the store, and then refuses the next start.
    """
    if store and running_store() != store:
        raise swarm_errors.SwarmError(
            "it accepts cluster-store, does not use it, and would not start with it the next time"
            " ('discovery service not supported'): it is built without; set swarm:overlay to false,"
            " or use an engine that is built with it, such as Debian 11's or docker-ce 20.10"
        )


def words(salt: Salt, service: str, since: int) -> str:
    """
    Return what went wrong since a point in time: the engine's own words, else systemd's.

    systemd's, because a daemon that was never started has none.
    """
    which = [f"--since=@{since}", f"--unit={service}.service"]
    command = ["journalctl", "--no-pager", "--output=cat", *which]

    def journal(*more: str) -> str:
        return salt["cmd.run_stdout"]([*command, *more], python_shell=False, ignore_retcode=True)

    found = swarm_unit.words(journal("--identifier=dockerd"))
    if found := found or swarm_unit.systemd_words(journal()):
        return found
    return f"nothing that looks like an error (journalctl -u {service})"


def refuse_masked(salt: Salt, service: str, minion: str) -> None:
    """Raise an error if the engine's unit is masked: then it cannot be started by anybody."""
    show = ["systemctl", "show", "--property=LoadState", f"{service}.service"]
    state = salt["cmd.run_stdout"](show, python_shell=False, ignore_retcode=True)
    if "=masked" in state:
        raise swarm_errors.SwarmError(
            f"{service}.service is masked on {minion}, so that nobody can start the engine;"
            " nothing was changed. If Docker is to run there: 'systemctl unmask"
            f" {service}.service {service}.socket' on {minion}, and apply again"
        )


def _namespaces(paths: Iterable[Path]) -> Iterator[tuple[str, int]]:
    """Yield the names of files of network namespaces, and which namespace each is."""
    for path in paths:
        # Threads and sandboxes come and go.
        with contextlib.suppress(OSError):
            yield path.parts[-3], path.stat().st_ino


def _astray(tasks: Path, sandboxes: Path) -> set[str]:
    host = (_PROC / "1/ns/net").stat().st_ino
    threads = dict(_namespaces(tasks.glob("*/ns/net")))
    # Read after the threads: a sandbox that is being made is then among them.
    known = {host, *(inode for _, inode in _namespaces(sandboxes.glob("*")))}
    return {thread for thread, inode in threads.items() if inode not in known}


def lost_threads(options: Mapping) -> set[str]:
    """
    Return the engine's threads that are in a network namespace which is no sandbox of it.

    Whenever the last container of an overlay network leaves a host, 20.10 leaves a thread behind in
    the sandbox that is gone (moby/libnetwork#1838). What happens to run on it later reaches neither
    the store on loopback nor any other host: networks seem not to exist, now and then.

    options
        Those of ``daemon.json``: they may say where the engine has its files.
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
