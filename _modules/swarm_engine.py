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
import swarm_plan
import swarm_roles
import swarm_unit
import swarm_wait
from salt.exceptions import CommandExecutionError

__virtualname__ = "swarm_engine"

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
    Return whether this host has an engine in which something of the formula could be.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.exists
    """
    if not _command(_settings()["engine"]["service"]):
        return False
    missing = __salt__["swarm_libraries.missing"]()
    if missing and swarm_files.RECORD.exists():
        raise swarm_errors.SdkMissingError(
            f"{', '.join(missing)} is not in Salt's own Python; apply swarm.libraries first"
        )
    # Without the libraries the formula was never here: they are the first it brings.
    return not missing


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
    return swarm_unit.dropin(command, listen) if command else None


def _plan_service(settings, plan):
    if not _ping():
        return swarm_plan.reported(plan, "service", "stopped", "running")
    if not __salt__["service.enabled"](settings["engine"]["service"]):
        return swarm_plan.reported(plan, "enabled", False, True)
    return plan


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
    engine, engine_version = settings["engine"], version()
    check(engine_version)
    # A store that is not wanted any more has to go now: the engine may not start because of it.
    keys = None if settings["overlay"] else (*swarm_plan.recorded(), *swarm_daemon.OVERLAY_KEYS)
    plan = swarm_plan.plan(swarm_daemon.options(settings, engine_version), keys)
    unit = _dropin(settings)
    if unit is None and not test:
        raise swarm_errors.SwarmError(
            f"there is no unit {engine['service']}.service (swarm:engine:service);"
            " is the engine installed?"
        )
    unit = unit or "written once the package's own unit is there"
    plan = swarm_plan.with_file(plan, _dropin_path(engine), unit)
    return _carry_out(settings, _plan_service(settings, plan), test)


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
    plan = swarm_plan.plan(wanted, swarm_daemon.OVERLAY_KEYS)
    return _carry_out(settings, plan, test, wanted.get("cluster-store"))


def clean(test=False):
    """
    Ensure nothing of this formula is in ``daemon.json`` and the unit; return what changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.clean test=True
    """
    settings = _settings()
    if not exists():
        return {}
    ours = (*swarm_plan.recorded(), *swarm_daemon.OVERLAY_KEYS)
    plan = swarm_plan.plan({}, ours)
    path = _dropin_path(settings["engine"])
    changes = _carry_out(settings, swarm_plan.with_file(plan, path, None), test)
    if not test:
        swarm_files.drop_empty(path.parent)
    return changes


def _carry_out(settings, plan, test, store=None):
    pending = swarm_plan.pending()
    if pending and not plan.changes:
        # An earlier run was killed before the engine had read what it wrote.
        unread = f"has not read {pending.get('what')}"
        plan = swarm_plan.reported(plan, "engine", unread, "has read it")
    if test:
        return plan.changes
    if plan.changes:
        _change(settings, plan, pending, store)
    swarm_plan.end(plan)
    return plan.changes


def _change(settings, plan, pending, store):
    started, was_up = int(time.time()), _ping()
    restart = plan.restart or pending.get("restart", False)
    what = plan.what if plan.files else pending.get("what", plan.what)
    try:
        swarm_plan.begin(plan, restart, what)
        _activate(settings, restart, was_up)
        _check_store(store)
    except CommandExecutionError as err:
        words = swarm_unit.words(_journal(settings, started))
        swarm_plan.undo()
        _back(settings, was_up)
        raise swarm_errors.SwarmError(
            f"the engine of {settings['id']} does not take {what}; everything was put back as"
            f" it was{', and it runs again' if was_up else ''}. It said: {words} ({err})"
        ) from err


def _activate(settings, restart, was_up):
    service = settings["engine"]["service"]
    if restart or not was_up:
        # Even if this run wrote no unit: one that was cut off may have.
        __salt__["service.systemctl_reload"]()
    if was_up:
        # Even before a restart: the engine refuses here what it would not start with, and a
        # live-restore that is new takes effect, so that the restart leaves containers alone.
        _reload(service)
        if restart:
            __salt__["service.restart"](service)
    else:
        _start(service)
    if not __salt__["service.enabled"](service):
        __salt__["service.enable"](service)
    _await(settings)


def _back(settings, was_up):
    """Have the engine run as before, now that its files are as before."""
    service = settings["engine"]["service"]
    __salt__["service.systemctl_reload"]()
    if not was_up:
        return
    if _ping():
        __salt__["service.reload"](service)
        return
    _start(service)
    _await(settings)


def _start(service):
    # Three bad starts in a minute lock the unit.
    reset = ["systemctl", "reset-failed", f"{service}.service"]
    __salt__["cmd.run"](reset, python_shell=False, ignore_retcode=True)
    __salt__["service.start"](service)


def _check_store(store):
    """
    Look whether the engine really has the store.

    One that is built without the discovery service, as Debian 12's is, accepts the reload, ignores
    the store, and then refuses the next start.
    """
    if not store:
        return
    with swarm_docker.connect(what="the engine") as client:
        found = client.info().get("ClusterStore")
    if found != store:
        raise swarm_errors.SwarmError(
            "it accepts cluster-store, does not use it, and would not start with it the next time"
            " ('discovery service not supported'): it is built without; set swarm:overlay to false,"
            " or use an engine that is built with it, such as Debian 11's or docker-ce 20.10"
        )


def reload():
    """
    Have the engine read ``daemon.json`` again (SIGHUP), and wait until it has.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.reload
    """
    _reload(_settings()["engine"]["service"])
    return True


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
    # The daemon's lines only: systemd's own tell no more than that it did not start.
    which = [f"--since=@{since}", f"--unit={unit}", "--identifier=dockerd"]
    command = ["journalctl", "--no-pager", "--output=cat", *which]
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
