"""
Manage the Docker Engine of a node: package, ``daemon.json``, systemd unit and service.
"""

import functools
import time
from pathlib import Path

import swarm_address
import swarm_certs
import swarm_current
import swarm_daemon
import swarm_dockerd
import swarm_engine_turn
import swarm_errors
import swarm_files
import swarm_holdings
import swarm_log_driver
import swarm_mode_guard
import swarm_plan
import swarm_preflight
import swarm_proxy
import swarm_roles
import swarm_unit
from salt.exceptions import CommandExecutionError

__virtualname__ = "swarm_engine"

# Seconds to wait for a busy engine to answer.
_PATIENCE = 30
_LIVE = "live-restore"
_UNITS = Path("/etc/systemd/system")
_STOPS = "its containers stop with it, for live-restore is off there"


def __virtual__():
    return __virtualname__


def _settings():
    return __salt__["swarm_settings.get"]()


def version():
    """
    Return the version of the running engine, else of the package; empty if there is neither.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.version
    """
    package = _settings()["engine"]["package"]
    return swarm_dockerd.version() or __salt__["pkg.version"](package) or ""


def check(engine_version):
    """
    Raise an error if an engine of this version does not support the settings in the pillar.

    Also raise an error if this host is in a swarm of the other mode, see ``check_mode``, or if a
    drop-in of somebody else would take the engine's socket away.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.check 28.5.2

    engine_version
        Version as reported by the package or the engine.
    """
    check_mode()
    settings = _settings()
    if settings["engine"]["port"]:
        _refuse_later(settings)
    wanted = {
        **swarm_daemon.options(settings, engine_version, swarm_certs.NODE.current()),
        **swarm_daemon.overlay_options(settings, "", swarm_certs.NODE.steady()),
    }
    found = swarm_daemon.refusals(wanted, engine_version) + swarm_log_driver.refusals(wanted)
    due, now = map(swarm_daemon.version, (engine_version, swarm_dockerd.version() or ""))
    if () < due < now and (lost := swarm_holdings.lost_by_downgrade(due, wanted)):
        found.append(lost)
    if found:
        raise swarm_errors.SwarmError(
            f"the engine of {settings['id']} cannot take what pillar wants, nothing was written: "
            + "; ".join(found)
        )


def check_mode(leaving=False):
    """
    Raise an error if this host is in a swarm whose mode differs from the pillar, or has other
    objects with names of the formula.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.check_mode

    leaving
        Accept such names, as ``swarm.clean`` does, because it leaves them alone. Defaults to
        ``False``.
    """
    swarm_mode_guard.check(_settings(), swarm_plan.config(), leaving)


def preflight():
    """
    Return what this host lacks for the settings in the pillar, as texts with the cure; raise an
    error if the engine surely cannot work here. One that runs does work.

    Reads files only.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.preflight
    """
    settings = _settings()
    found = swarm_preflight.findings(settings)
    fatal = [one.text for one in found if one.fatal]
    if fatal and not swarm_dockerd.answers():
        raise swarm_errors.SwarmError(
            f"{settings['id']}: nothing was changed, for no engine works here: {'; '.join(fatal)}"
        )
    return [f"{settings['id']}: {one.text}" for one in found]


def exists():
    """
    Check whether this host has an engine that the formula may have configured.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.exists
    """
    if not _command(_settings()["engine"]["service"]):
        return False
    missing = __salt__["swarm_libraries.missing"]()
    if missing and swarm_files.RECORD.exists():
        raise swarm_errors.sdk_missing(", ".join(missing))
    # Without the libraries, the formula was never applied here: it installs them first.
    return not missing


def _command(service):
    """Return the command of the engine's unit without our drop-in, ``None`` without a unit."""
    result = __salt__["cmd.run_all"](
        ["systemctl", "cat", f"{service}.service"], python_shell=False, ignore_retcode=True
    )
    return swarm_unit.exec_start(result["stdout"])


def _refuse_later(settings):
    """Raise an error if a drop-in of somebody else would take the socket away again."""
    ours = _dropin_path(settings["engine"])
    # Not from systemctl, which shows drop-ins only of an installed unit.
    texts = [f"# {path}\n{swarm_files.read(path)}" for path in ours.parent.glob("*.conf")]
    if found := swarm_unit.later("\n".join(texts)):
        raise swarm_errors.SwarmError(
            f"{settings['id']}: {', '.join(found)} sets ExecStart after {ours}, so"
            " that the engine would not listen on swarm:engine:port; nothing was changed. Rename"
            f" it to a name before {swarm_unit.DROPIN}, such as 10-override.conf: its command is"
            " kept, and the formula adds its socket. Then apply again"
        )


def _dropin_path(engine):
    return _UNITS / f"{engine['service']}.service.d" / swarm_unit.DROPIN


def _dropin(settings, test):
    """
    Return a function that takes whether to set ``--tlsverify`` and returns the drop-in, ``None``
    for no drop-in; raise an error if the package's unit is missing.
    """
    engine = settings["engine"]
    swarm_dockerd.refuse_masked(__salt__, engine["service"], settings["id"])
    command = _command(engine["service"])
    if command is None and test and not version():
        text = "written once the package's own unit is there" if engine["port"] else None
        return lambda _: text
    if command is None:
        raise swarm_errors.SwarmError(
            f"{settings['id']} has no unit {engine['service']}.service (swarm:engine:service):"
            f" 'dpkg -L {engine['package']}' there shows which one the package has"
        )
    if not engine["port"]:
        return lambda _: None
    listen = swarm_address.endpoint(engine["listen"] or settings["address"], engine["port"])
    return functools.partial(swarm_unit.dropin, command, listen)


def _up(settings):
    """Check whether the engine answers; wait for it if its unit is active."""
    if swarm_dockerd.answers():
        return True
    if not __salt__["service.status"](settings["engine"]["service"]):
        return False
    try:
        swarm_dockerd.wait(min(settings["timeout"], _PATIENCE))
    except swarm_errors.WaitTimeoutError:
        # The engine hangs, for example while it waits for a missing store; a restart fixes that.
        return False
    return True


def _plan_service(settings, plan, up):
    if not up:
        return swarm_plan.reported(plan, "service", "stopped", "running")
    if not __salt__["service.enabled"](settings["engine"]["service"]):
        return swarm_plan.reported(plan, "enabled", False, True)
    return plan


def _replaced(settings, test):
    """Return the version of the engine's binary if a different binary runs, else ``""``."""
    upgrade = test and settings["engine"]["version"] and swarm_dockerd.answers()
    # Outside test mode, the package is already upgraded at this point.
    if upgrade and (planned := __salt__["swarm_package.planned"]()):
        return planned
    if swarm_dockerd.replaced(swarm_plan.config()):
        return __salt__["pkg.version"](settings["engine"]["package"]) or "of another build"
    return ""


def configure(test=False):
    """
    Ensure the engine runs with the pillar's ``daemon.json`` settings and listens on its TCP port.

    Keys and labels of the administrator are preserved. If only reloadable keys change, the engine
    is reloaded (SIGHUP) and everything keeps running; otherwise it is restarted, also if the
    running binary differs from the installed one. Engines of a swarm restart one at a time. If the
    engine rejects the change, everything is rolled back, and the error quotes the engine's message.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.configure test=True
    """
    settings = _settings()
    replaced = _replaced(settings, test)
    check(replaced or version())
    return _carry_out(settings, lambda: _configured(settings, replaced, test), test)


def _configured(settings, replaced, test):
    """Return the plan of ``configure``."""
    # Remove a store that is no longer configured now, while it still exists: without it, the engine
    # runs no container and may not even start. If the engine is down, leave out the configured
    # store as well, because it may run in a container of that engine.
    known = swarm_plan.store() in (None, settings["discovery"])
    up = _up(settings)
    keep = settings["overlay"] and known and up
    keys = None if keep else (*swarm_plan.recorded(), *swarm_daemon.OVERLAY_KEYS)
    files = swarm_certs.NODE.due(test)
    due, proxy = replaced or version(), swarm_proxy.wanted(settings, __salt__)
    wanted = {**swarm_daemon.options(settings, due, files), **swarm_proxy.keys(proxy, due)}
    plan = _files(settings, wanted, keys, test, bool(replaced))
    folder = _dropin_path(settings["engine"]).parent
    plan = swarm_plan.with_files(plan, swarm_proxy.files(proxy, due, folder))
    plan = _plan_service(settings, plan, up)
    return plan._replace(replaced=replaced) if up else plan


def _files(settings, wanted, keys, test, restarts):
    """Return the plan of the engine's files; ``restarts`` means that it restarts in any case."""
    path, dropin = _dropin_path(settings["engine"]), _dropin(settings, test)

    def plan(options, verify):
        return swarm_plan.with_file(swarm_plan.plan(options, keys), path, dropin(verify))

    rest, verify = swarm_daemon.by_flag(wanted) if settings["engine"]["port"] else (wanted, False)
    # Earlier versions set tlsverify in daemon.json, which is equivalent for a running engine. The
    # flag in the unit is safer at start, but is written only if a restart is due anyway.
    before = plan(wanted, False) if verify and not restarts else None
    return before if before and not before.restart else plan(rest, verify)


def refit():
    """
    Start the engine of a package that has taken the place of another one.

    The formula's drop-in has the command of the package that is gone; it gets that of the new unit.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_engine.refit
    """
    engine = _settings()["engine"]
    path, command = _dropin_path(engine), _command(engine["service"])
    text = swarm_files.read(path)
    if text and command:
        swarm_files.write(path, swarm_unit.moved(text, command))
    __salt__["service.systemctl_reload"]()
    if not swarm_dockerd.answers():
        swarm_dockerd.start(__salt__, engine["service"])


def configure_overlay(test=False):
    """
    Ensure the engine uses the store for overlay networks if they are enabled, and none otherwise.

    Call this when the store answers: the engine adds the store on SIGHUP, so the store can run in
    a container of the same engine.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.configure_overlay test=True
    """
    settings = _settings()
    # Use stable paths: when their target changes, `configure` has already restarted the engine.
    wanted = swarm_daemon.overlay_options(
        settings, swarm_roles.engine_endpoint(settings), swarm_certs.NODE.steady()
    )
    if wanted:
        check(version())
    return _carry_out(
        settings,
        lambda: swarm_plan.plan(wanted, swarm_daemon.OVERLAY_KEYS),
        test,
        wanted.get("cluster-store"),
    )


def clean(test=False):
    """
    Remove the formula's settings from ``daemon.json`` and the unit; return what changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.clean test=True
    """
    settings = _settings()
    if not exists():
        return {}
    # Do not take a turn: the cluster or store that grants it is being removed.
    alone = {**settings, "engine": {**settings["engine"], "turns": False}}
    # Restart before live-restore is removed, so that all containers keep running.
    path = _dropin_path(settings["engine"])
    ours = {path: None, **swarm_proxy.files({}, "", path.parent)}
    first = _carry_out(
        alone,
        lambda: swarm_plan.with_files(swarm_plan.plan({}, _ours()), ours),
        test,
    )
    last = _carry_out(alone, lambda: swarm_plan.plan({}, (_LIVE,)), test)
    if not test:
        for folder in {one.parent for one in ours}:
            swarm_files.drop_empty(folder)
    keys = {**first.get("daemon.json", {}), **last.get("daemon.json", {})}
    return {**first, **last, **({"daemon.json": keys} if keys else {})}


def _ours():
    """Return the formula's keys that can be removed without hiding data of the administrator."""
    ours = {*swarm_plan.recorded(), *swarm_daemon.OVERLAY_KEYS} - {_LIVE}
    old, new = swarm_plan.before_and_after(swarm_plan.plan({}, (*ours,)))
    if swarm_holdings.refused(old, new):
        ours -= set(swarm_holdings.hiding(old, new))
    return (*ours,)


def _whole(settings, plan):
    """Return the plan with its complete report; raise an error if it would hide existing data."""
    if refused := swarm_holdings.refused(*swarm_plan.before_and_after(plan)):
        raise swarm_errors.SettingsError(
            f"nothing was changed in the engine of {settings['id']}: {refused}"
        )
    pending = swarm_plan.pending()
    if pending and not plan.changes:
        # An earlier run was killed before the engine had read the files.
        unread = f"has not read {pending.get('what')}"
        plan = swarm_plan.reported(plan, "engine", unread, "has read it")
    if (plan.restart or pending.get("restart")) and (now := swarm_dockerd.version()):
        new = f"engine {plan.replaced or now}, restarted"
        plan = swarm_plan.reported(plan, "restart", f"engine {now}", new)
    return plan


def _carry_out(settings, planned, test, store=None):
    plan = _whole(settings, planned())
    if test:
        return plan.changes
    if "restart" not in plan.changes:
        changes = _changed(settings, plan, store, lambda: None)
        swarm_engine_turn.finish(__salt__, settings, _masterless())
        return changes
    with _turn(settings) as prove:
        # Other runs may have changed the files while this host waited for its turn.
        return _changed(settings, _whole(settings, planned()), store, prove)


def _turn(settings):
    """Hold this host's turn to restart the engine."""
    return swarm_engine_turn.held(__salt__, settings, _masterless())


def _masterless():
    return __opts__.get("file_client") == "local"


def _changed(settings, plan, store, prove):
    if plan.changes:
        _change(settings, plan, swarm_plan.pending(), store, prove)
    swarm_plan.end(plan)
    return plan.changes


def _change(settings, plan, pending, store, prove):
    started, was_up = int(time.time()), swarm_dockerd.answers()
    restart = plan.restart or pending.get("restart", False)
    what = plan.what if plan.files else pending.get("what", plan.what)
    try:
        swarm_plan.begin(plan, restart, what)
        swarm_dockerd.activate(__salt__, settings, restart, was_up, swarm_plan.store())
        swarm_dockerd.check_store(store)
        if plan.files:
            # There is no way back from another binary, which alone restarts the engine.
            prove()
    except CommandExecutionError as err:
        words = swarm_dockerd.words(__salt__, settings["engine"]["service"], started)
        swarm_plan.undo()
        swarm_dockerd.go_back(
            __salt__, settings, was_up, restart=isinstance(err, swarm_errors.NoContainerError)
        )
        raise swarm_plan.refused(settings, what, words, was_up, err) from err


def complaints():
    """
    Return the problems of the running engine and its overlay networks, as texts with the remedy.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.complaints
    """
    settings = _settings()
    if not settings["overlay"]:
        return []
    return _lost_threads(settings) + __salt__["swarm_overlay.complaints"]()


def _lost_threads(settings):
    """Return the problem that only a restart of the engine solves, as a list."""
    lost = swarm_dockerd.lost_threads(swarm_plan.config()) if settings["overlay"] else ()
    if not lost:
        return []
    goes = "containers go on" if swarm_dockerd.keeps_containers() else _STOPS
    return [
        f"the engine of {settings['id']} has {len(lost)} thread(s) in network namespaces that are"
        " gone (moby/libnetwork#1838): networks seem missing to it now and then;"
        f" salt {settings['id']} swarm_engine.heal restarts it, and {goes}"
    ]


def heal():
    """
    Fix the problems that ``swarm_engine.complaints`` reports; return them.

    The engine is restarted only for lost threads. Containers keep running if ``live-restore`` is
    on; otherwise they are down during the restart. Overlay networks are repaired in place.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_engine.heal
    """
    with swarm_current.pillar(__context__):
        return _heal()


def _heal():
    settings = _settings()
    lost = _lost_threads(settings)
    if lost:
        with _turn(settings):
            swarm_dockerd.start(__salt__, settings["engine"]["service"])
            swarm_dockerd.wait(settings["timeout"])
    # Repair overlay networks last, because the restart may have damaged some.
    return lost + (__salt__["swarm_overlay.heal"]() if settings["overlay"] else [])


def reload():
    """
    Reload ``daemon.json`` (SIGHUP), and wait until the engine has read it.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.reload
    """
    swarm_dockerd.reload(__salt__, _settings()["engine"]["service"])
    return True
