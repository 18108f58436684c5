"""
The Docker Engine of a node: package, ``daemon.json``, unit, service.
"""

import time
from pathlib import Path

import swarm_address
import swarm_daemon
import swarm_docker
import swarm_errors
import swarm_files
import swarm_roles
import swarm_unit
import swarm_wait
from salt.exceptions import CommandExecutionError

__virtualname__ = "swarm_engine"

_DAEMON = Path("/etc/docker/daemon.json")
_UNITS = Path("/etc/systemd/system")
# How long dockerd takes to reload at the most; it says so with an event.
_RELOAD = 15


def __virtual__():
    return __virtualname__


def _settings():
    return __salt__["swarm_settings.get"]()


def version():
    """
    Return the version of the engine: of the one that runs, else of the package; empty if none.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.version
    """
    try:
        with swarm_docker.connect(what="the engine") as client:
            return client.version(api_version=False)["Version"]
    except swarm_errors.SwarmError:
        return __salt__["pkg.version"](_settings()["engine"]["package"]) or ""


def check(engine_version):
    """
    Raise an error if an engine of this version cannot take what pillar wants of it.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.check 28.5.2

    engine_version
        As the package or the engine says it.
    """
    settings = _settings()
    wanted = {
        **swarm_daemon.options(settings, engine_version),
        **swarm_daemon.overlay_options(settings, ""),
    }
    if found := swarm_daemon.refusals(wanted, engine_version):
        raise swarm_errors.SwarmError(
            f"the engine of {settings['id']} cannot take what pillar wants, nothing was written: "
            + "; ".join(found)
        )


def exists():
    """
    Return whether this host has an engine at all.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.exists
    """
    return bool(_command(_settings()["engine"]["service"]))


def _command(service):
    """Return the command of the engine's unit without our drop-in, ``None`` for no unit."""
    result = __salt__["cmd.run_all"](
        ["systemctl", "cat", f"{service}.service"], python_shell=False, ignore_retcode=True
    )
    return swarm_unit.exec_start(result["stdout"])


def _dropin_path(engine):
    return _UNITS / f"{engine['service']}.service.d" / swarm_unit.DROPIN


def _dropin(settings):
    """Return the wanted drop-in, ``None`` while the package's unit is not there."""
    engine = settings["engine"]
    command = _command(engine["service"])
    listen = swarm_address.endpoint(engine["listen"] or settings["address"], engine["port"])
    if not command:
        return None
    return swarm_unit.dropin(command, listen)


def _admin_hosts(config):
    if "hosts" in config:
        raise swarm_errors.SwarmError(
            f"{_DAEMON} has 'hosts' of its own, and dockerd takes them from one place only:"
            " remove that key; swarm:engine:listen and swarm:engine:port say where it listens"
        )


def _plan(settings, wanted, keys):
    """Return what to write where, and the changes to report; files are ``{path: (old, new)}``."""
    current = swarm_files.read_json(_DAEMON)
    _admin_hosts(current)
    record = swarm_files.record("daemon.json")
    config, noted = swarm_daemon.merge(current, wanted, record, keys)
    files, changes = {}, {}
    differs = swarm_daemon.diff(current, config)
    if differs:
        text = swarm_files.to_json(config) if config else None
        files[_DAEMON] = (swarm_files.read(_DAEMON), text)
        changes["daemon.json"] = differs
    return {"files": files, "changes": changes, "record": noted, "differs": differs}


def _plan_unit(settings, plan, wanted):
    path = _dropin_path(settings["engine"])
    old = swarm_files.read(path)
    if wanted != old:
        plan["files"][path] = (old, wanted)
        plan["changes"][str(path)] = {"old": old, "new": wanted}


def _plan_service(settings, plan):
    service = settings["engine"]["service"]
    if _ping():
        if not __salt__["service.enabled"](service):
            plan["changes"]["enabled"] = {"old": False, "new": True}
    else:
        plan["changes"]["service"] = {"old": "stopped", "new": "running"}


def configure(test=False):
    """
    Ensure the engine runs with what pillar wants in ``daemon.json`` and listens on its TCP port.

    Keys and labels of an admin stay. Only reloadable keys changed: SIGHUP, and everything keeps
    running; else a restart. If the engine does not take it, everything is put back as it was,
    and the error holds the engine's own words.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.configure test=True
    """
    settings = _settings()
    engine_version = version()
    check(engine_version)
    plan = _plan(settings, swarm_daemon.options(settings, engine_version), None)
    unit = _dropin(settings)
    if unit is None and not test:
        service = settings["engine"]["service"]
        raise swarm_errors.SwarmError(
            f"there is no unit {service}.service (swarm:engine:service); is the engine installed?"
        )
    _plan_unit(settings, plan, unit or "written once the package's own unit is there")
    _plan_service(settings, plan)
    return _carry_out(settings, plan, test)


def configure_overlay(test=False):
    """
    Ensure the engine has the store for overlay networks if pillar wants them, and none if not.

    To be called when the store answers: the engine takes it by SIGHUP, so it can be a container
    of that same engine.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.configure_overlay test=True
    """
    settings = _settings()
    wanted = swarm_daemon.overlay_options(settings, swarm_roles.engine_endpoint(settings))
    if wanted:
        check(version())
    return _carry_out(settings, _plan(settings, wanted, swarm_daemon.OVERLAY_KEYS), test)


def clean(test=False):
    """
    Ensure nothing of this formula is in ``daemon.json`` and the unit; return what changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.clean test=True
    """
    settings = _settings()
    every = (*swarm_files.record("daemon.json"), *swarm_daemon.OVERLAY_KEYS)
    plan = _plan(settings, {}, every)
    _plan_unit(settings, plan, None)
    if not exists():
        return {}
    return _carry_out(settings, plan, test)


def _carry_out(settings, plan, test):
    pending = swarm_files.record("pending")
    if pending and not plan["changes"]:
        # An earlier run wrote the files and was killed before the engine took them.
        plan["changes"]["engine"] = {"old": "has not read its configuration", "new": "has read it"}
    if test or not plan["changes"]:
        if not test:
            swarm_files.note("daemon.json", plan["record"])
        return plan["changes"]
    before = swarm_files.record("daemon.json")
    unit_changed = any(path != _DAEMON for path in plan["files"])
    restart = unit_changed or swarm_daemon.needs_restart(plan["differs"]) or bool(pending)
    swarm_files.note("pending", {"since": time.time()})
    swarm_files.note("daemon.json", plan["record"])
    started = int(time.time())
    was_up = _ping()
    try:
        _write(plan["files"], new=True)
        _activate(settings, restart, was_up)
    except CommandExecutionError as err:
        words = swarm_unit.words(_journal(settings, started))
        swarm_files.note("daemon.json", before)
        _put_back(settings, plan["files"], was_up)
        swarm_files.note("pending", {})
        raise swarm_errors.SwarmError(
            f"the engine of {settings['id']} does not take {', '.join(_keys(plan))}; everything was put"
            f" back as it was, and it runs again. It said: {words} ({err})"
        ) from err
    swarm_files.note("pending", {})
    return plan["changes"]


def _keys(plan):
    return [*plan["differs"], *(str(path) for path in plan["files"] if path != _DAEMON)] or ["a start"]


def _write(files, new):
    for path, (before, after) in files.items():
        swarm_files.write(path, after if new else before)
    if any(path != _DAEMON for path in files):
        __salt__["service.systemctl_reload"]()


def _put_back(settings, files, was_up):
    service = settings["engine"]["service"]
    _write(files, new=False)
    if not was_up:
        return
    if _ping():
        __salt__["service.reload"](service)
        return
    # Three bad starts in a minute lock the unit.
    __salt__["cmd.run"](["systemctl", "reset-failed", f"{service}.service"], python_shell=False)
    __salt__["service.start"](service)
    _await(settings)


def _activate(settings, restart, was_up):
    service = settings["engine"]["service"]
    if was_up:
        # Even before a restart: the engine refuses here what it would not start with, and a
        # live-restore that is new takes effect, so that the restart leaves containers alone.
        _reload(service)
        if restart:
            __salt__["service.restart"](service)
    else:
        __salt__["service.start"](service)
    if not __salt__["service.enabled"](service):
        __salt__["service.enable"](service)
    _await(settings)


def _reload(service):
    since = time.time()
    __salt__["service.reload"](service)
    with swarm_docker.connect(what="reload of the engine", timeout=_RELOAD * 2) as client:
        # Text, for the fraction: a reload of the same second is not ours.
        window = {"since": f"{since:.6f}", "until": f"{since + _RELOAD:.6f}"}
        events = client.events(filters={"type": "daemon", "event": "reload"}, decode=True, **window)
        if next(iter(events), None) is None:
            raise swarm_errors.SwarmError("the reload was refused")
        events.close()


def _journal(settings, since):
    unit = f"{settings['engine']['service']}.service"
    command = ["journalctl", "--no-pager", "--output=cat", f"--since=@{since}", f"--unit={unit}"]
    return __salt__["cmd.run_stdout"](command, python_shell=False, ignore_retcode=True)


def _ping():
    try:
        with swarm_docker.connect(what="the engine", timeout=10) as client:
            return client.ping()
    except swarm_errors.SwarmError:
        return False


def _await(settings):
    def probe():
        return None if _ping() else "the engine does not answer on its socket"

    swarm_wait.until(probe, settings["timeout"])
