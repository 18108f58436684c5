"""
Plan the configuration of the engine by the pillar, and its removal.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from swarm_formula.core import errors, modes
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.daemon import daemon_json, dockerd, drop_in, file_plan, holdings
from swarm_formula.daemon import proxy as daemon_proxy
from swarm_formula.daemon.file_plan import Plan
from swarm_formula.standalone import containers
from swarm_formula.tls import cert_files

# Seconds to wait for a busy engine to answer.
_PATIENCE = 30
LIVE = "live-restore"


def replaced(salt: Salt, settings: Settings, test: bool) -> str:
    """Return the version of the engine's binary if a different binary runs, else ``""``."""
    upgrade = test and settings["engine"]["version"] and dockerd.answers()
    # Outside test mode, the package is already upgraded at this point.
    planned: str = salt["swarm_package.planned"]() if upgrade else ""
    if planned:
        return planned
    if dockerd.replaced(file_plan.config()):
        installed: str = salt["pkg.version"](settings["engine"]["package"])
        return installed or "of another build"
    return ""


def configured(salt: Salt, settings: Settings, replaced: str, test: bool) -> Plan:
    """Return the plan of an engine with the settings of the pillar."""
    # Remove a store that is no longer configured now, while it still exists: without it, the engine
    # runs no container and may not even start. If the engine is down, leave out the configured
    # store as well, because it may run in a container of that engine.
    known = file_plan.store() in (None, settings["discovery"])
    up = _up(salt, settings)
    keep = settings["overlay"] and known and up
    keys = None if keep else (*file_plan.recorded(), *daemon_json.OVERLAY_KEYS)
    files = cert_files.NODE.due(test)
    due = replaced or drop_in.version(salt, settings)
    proxy = daemon_proxy.wanted(settings, salt)
    wanted = {**daemon_json.options(settings, due, files), **daemon_proxy.keys(proxy, due)}
    if keep:
        wanted |= _moved_store_options(settings)
    dropin = drop_in.dropin(salt, settings, test)
    plan = _files(settings, wanted, keys, dropin, bool(replaced))
    folder = drop_in.path(settings).parent
    plan = file_plan.with_files(plan, daemon_proxy.files(proxy, due, folder))
    plan = _plan_service(salt, settings, plan, up)
    early = modes.of(settings).standalone and not replaced and _leaves_containers(settings, plan)
    return plan._replace(replaced=replaced, early=early) if up else plan


def _leaves_containers(settings: Settings, plan: Plan) -> bool:
    """Return whether a container that is created before the restart is as one created after it."""
    reloaded = daemon_json.RELOADABLE | daemon_json.OF_SOCKET
    return plan.differs.keys() <= reloaded and set(plan.units) <= {drop_in.path(settings)}


def _up(salt: Salt, settings: Settings) -> bool:
    """Check whether the engine answers; wait for it if its unit is active."""
    if dockerd.answers():
        return True
    if not salt["service.status"](settings["engine"]["service"]):
        return False
    try:
        dockerd.wait(min(settings["timeout"], _PATIENCE))
    except errors.WaitTimeoutError:
        # The engine hangs, for example while it waits for a missing store; a restart fixes that.
        return False
    return True


def _plan_service(salt: Salt, settings: Settings, plan: Plan, up: bool) -> Plan:
    if not up:
        return file_plan.reported(plan, "service", "stopped", "running")
    if not salt["service.enabled"](settings["engine"]["service"]):
        return file_plan.reported(plan, "enabled", False, True)
    return plan


def _files(
    settings: Settings,
    wanted: dict[str, Any],
    keys: tuple[str, ...] | None,
    dropin: Callable[[bool], str | None],
    restarts: bool,
) -> Plan:
    """Return the plan of the engine's files; ``restarts`` means that it restarts in any case."""
    path = drop_in.path(settings)

    def plan(options: dict[str, Any], verify: bool) -> Plan:
        return file_plan.with_file(file_plan.plan(options, keys), path, dropin(verify))

    rest, verify = daemon_json.by_flag(wanted) if settings["engine"]["port"] else (wanted, False)
    # Earlier versions set tlsverify in daemon.json, which is equivalent for a running engine. The
    # flag in the unit is safer at start, but is written only if a restart is due anyway.
    before = plan(wanted, False) if verify and not restarts else None
    return before if before and not before.restart else plan(rest, verify)


def overlay_options(settings: Settings) -> dict[str, Any]:
    """Return the keys of daemon.json for overlay networks, empty without them."""
    if not settings["overlay"]:
        return {}
    # Use stable paths: when their target changes, `configure` has already restarted the engine.
    return daemon_json.overlay_options(
        settings, containers.engine_endpoint(settings), cert_files.NODE.steady()
    )


def _moved_store_options(settings: Settings) -> dict[str, Any]:
    """
    Return the options of the store that the engine has already, as the pillar defines them.

    They name other files after an upgrade: the restart for its new certificate takes them along.
    """
    key, wanted = daemon_json.STORE_OPTIONS, overlay_options(settings)
    return {key: wanted[key]} if key in wanted and key in file_plan.recorded() else {}


def without_files(settings: Settings) -> dict[Path, str | None]:
    """Return ``{path: None}`` for the files of the formula beside the unit."""
    path = drop_in.path(settings)
    return {path: None, **daemon_proxy.files({}, "", path.parent)}


def removable() -> tuple[str, ...]:
    """Return the formula's keys that can be removed without hiding data of the administrator."""
    ours = {*file_plan.recorded(), *daemon_json.OVERLAY_KEYS} - {LIVE}
    old, new = file_plan.before_and_after(file_plan.plan({}, (*ours,)))
    if holdings.refused(old, new):
        ours -= set(holdings.hiding(old, new))
    return (*ours,)
