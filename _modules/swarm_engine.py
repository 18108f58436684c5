"""
The Docker Engine of a node: package, ``daemon.json``, unit, service.
"""

import functools
import time
from pathlib import Path

import swarm_address
import swarm_certs
import swarm_daemon
import swarm_dockerd
import swarm_engine_turn
import swarm_errors
import swarm_files
import swarm_holdings
import swarm_mode_guard
import swarm_plan
import swarm_roles
import swarm_unit
from salt.exceptions import CommandExecutionError

__virtualname__ = "swarm_engine"

# Seconds that an engine may be too busy to answer.
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
    Return the version of the engine: of the one that runs, else of the package; empty if none.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.version
    """
    package = _settings()["engine"]["package"]
    return swarm_dockerd.version() or __salt__["pkg.version"](package) or ""


def check(engine_version):
    """
    Raise an error if an engine of this version cannot take what pillar wants of it.

    Or if this host is in a swarm of the other mode, see ``check_mode``.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.check 28.5.2

    engine_version
        As the package or the engine says it.
    """
    check_mode()
    settings = _settings()
    wanted = {
        **swarm_daemon.options(settings, engine_version, swarm_certs.NODE.current()),
        **swarm_daemon.overlay_options(settings, "", swarm_certs.NODE.steady()),
    }
    found = swarm_daemon.refusals(wanted, engine_version)
    due, now = map(swarm_daemon.version, (engine_version, swarm_dockerd.version() or ""))
    if () < due < now and (lost := swarm_holdings.lost_by_downgrade(due, wanted)):
        found.append(lost)
    if found:
        raise swarm_errors.SwarmError(
            f"the engine of {settings['id']} cannot take what pillar wants, nothing was written: "
            + "; ".join(found)
        )


def check_mode():
    """
    Raise an error if this host is in a swarm of another mode than pillar's.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.check_mode
    """
    swarm_mode_guard.check(_settings(), swarm_plan.config())


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


def _dropin(settings, test):
    """
    Return what gives the wanted drop-in, ``None`` for none, by whether it says ``--tlsverify``; an
    error without the package's unit.
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
    """Return whether the engine runs; one that systemd calls active is given time to answer."""
    if swarm_dockerd.answers():
        return True
    if not __salt__["service.status"](settings["engine"]["service"]):
        return False
    try:
        swarm_dockerd.wait(min(settings["timeout"], _PATIENCE))
    except swarm_errors.WaitTimeoutError:
        # It hangs, as one does that waits for a store which is gone: a restart frees it.
        return False
    return True


def _plan_service(settings, plan, up):
    if not up:
        return swarm_plan.reported(plan, "service", "stopped", "running")
    if not __salt__["service.enabled"](settings["engine"]["service"]):
        return swarm_plan.reported(plan, "enabled", False, True)
    return plan


def _replaced(settings, test):
    """Return the version of the engine's program if another one runs, else ``""``."""
    upgrade = test and settings["engine"]["version"] and swarm_dockerd.answers()
    # A run would have installed it by now.
    if upgrade and (planned := __salt__["swarm_package.planned"]()):
        return planned
    if swarm_dockerd.replaced(swarm_plan.config()):
        return __salt__["pkg.version"](settings["engine"]["package"]) or "of another build"
    return ""


def configure(test=False):
    """
    Ensure the engine runs with what pillar wants in ``daemon.json`` and listens on its TCP port.

    Keys and labels of an admin stay. Only reloadable keys changed: SIGHUP, and everything keeps
    running; else a restart, and also one if the program that runs is not the one that is installed.
    Engines of a swarm restart one after the other. If the engine does not take it, everything is
    put back as it was, and the error holds the engine's own words.

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
    # A store that is not wanted any more has to go now, before it is gone itself: without it the
    # engine runs no container and may not even start. And if the engine is down, the one that is
    # wanted has to wait too, for it may be in a container of that engine.
    known = swarm_plan.store() in (None, settings["discovery"])
    up = _up(settings)
    keep = settings["overlay"] and known and up
    keys = None if keep else (*swarm_plan.recorded(), *swarm_daemon.OVERLAY_KEYS)
    files = swarm_certs.NODE.due(test)
    wanted = swarm_daemon.options(settings, replaced or version(), files)
    plan = _files(settings, wanted, keys, test, bool(replaced))
    plan = _plan_service(settings, plan, up)
    return plan._replace(replaced=replaced) if up else plan


def _files(settings, wanted, keys, test, restarts):
    """Return the plan of the engine's files; ``restarts`` if it restarts in any case."""
    path, dropin = _dropin_path(settings["engine"]), _dropin(settings, test)

    def plan(options, verify):
        return swarm_plan.with_file(swarm_plan.plan(options, keys), path, dropin(verify))

    rest, verify = swarm_daemon.by_flag(wanted) if settings["engine"]["port"] else (wanted, False)
    # As versions before had it, with tlsverify in daemon.json: the same to the engine that runs.
    # What is safer when it starts waits for a restart that is due.
    before = plan(wanted, False) if verify and not restarts else None
    return before if before and not before.restart else plan(rest, verify)


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
    # By paths that stay: whenever they lead elsewhere, `configure` has restarted the engine.
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
    Ensure nothing of this formula is in ``daemon.json`` and the unit; return what changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.clean test=True
    """
    settings = _settings()
    if not exists():
        return {}
    # Without a turn: who gives it is taken away just now.
    alone = {**settings, "engine": {**settings["engine"], "turns": False}}
    # The restart comes before live-restore goes: everybody's containers run through it.
    path = _dropin_path(settings["engine"])
    first = _carry_out(
        alone, lambda: swarm_plan.with_file(swarm_plan.plan({}, _ours()), path, None), test
    )
    last = _carry_out(alone, lambda: swarm_plan.plan({}, (_LIVE,)), test)
    if not test:
        swarm_files.drop_empty(path.parent)
    keys = {**first.get("daemon.json", {}), **last.get("daemon.json", {})}
    return {**first, **last, **({"daemon.json": keys} if keys else {})}


def _ours():
    """Return the keys of ours that can go: not those without which an admin's things were gone."""
    ours = {*swarm_plan.recorded(), *swarm_daemon.OVERLAY_KEYS} - {_LIVE}
    old, new = swarm_plan.before_and_after(swarm_plan.plan({}, (*ours,)))
    if swarm_holdings.refused(old, new):
        ours -= set(swarm_holdings.hiding(old, new))
    return (*ours,)


def _whole(settings, plan):
    """Return the plan with all that has to be told of it; an error if it costs what is there."""
    if refused := swarm_holdings.refused(*swarm_plan.before_and_after(plan)):
        raise swarm_errors.SettingsError(
            f"nothing was changed in the engine of {settings['id']}: {refused}"
        )
    pending = swarm_plan.pending()
    if pending and not plan.changes:
        # An earlier run was killed before the engine had read what it wrote.
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
        changes = _changed(settings, plan, store)
        swarm_engine_turn.finish(__salt__, settings, _masterless())
        return changes
    with _turn(settings):
        # Others may have been at work while this host waited for its turn.
        return _changed(settings, _whole(settings, planned()), store)


def _turn(settings):
    """Hold this host's turn to restart the engine."""
    return swarm_engine_turn.held(__salt__, settings, _masterless())


def _masterless():
    return __opts__.get("file_client") == "local"


def _changed(settings, plan, store):
    if plan.changes:
        _change(settings, plan, swarm_plan.pending(), store)
    swarm_plan.end(plan)
    return plan.changes


def _change(settings, plan, pending, store):
    started, was_up = int(time.time()), swarm_dockerd.answers()
    restart = plan.restart or pending.get("restart", False)
    what = plan.what if plan.files else pending.get("what", plan.what)
    try:
        swarm_plan.begin(plan, restart, what)
        swarm_dockerd.activate(__salt__, settings, restart, was_up, swarm_plan.store())
        swarm_dockerd.check_store(store)
    except CommandExecutionError as err:
        words = swarm_dockerd.words(__salt__, settings["engine"]["service"], started)
        swarm_plan.undo()
        swarm_dockerd.go_back(__salt__, settings, was_up)
        raise swarm_plan.refused(settings["id"], what, words, was_up, err) from err


def complaints():
    """
    Return what is wrong with the running engine and its overlay networks, as texts with the cure.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.complaints
    """
    settings = _settings()
    if not settings["overlay"]:
        return []
    return _lost_threads(settings) + __salt__["swarm_overlay.complaints"]()


def _lost_threads(settings):
    """Return the complaint that only a restart of the engine cures."""
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
    Mend what ``swarm_engine.complaints`` tells; return what that was.

    The engine is restarted only for threads that it has lost; containers run through it by
    ``live-restore``, and where that is off, they are down meanwhile. Overlay networks are mended in
    place.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_engine.heal
    """
    settings = _settings()
    lost = _lost_threads(settings)
    if lost:
        with _turn(settings):
            swarm_dockerd.start(__salt__, settings["engine"]["service"])
            swarm_dockerd.wait(settings["timeout"])
    # After the restart, which may have cost some.
    return lost + (__salt__["swarm_overlay.heal"]() if settings["overlay"] else [])


def reload():
    """
    Have the engine read ``daemon.json`` again (SIGHUP), and wait until it has.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.reload
    """
    swarm_dockerd.reload(__salt__, _settings()["engine"]["service"])
    return True
