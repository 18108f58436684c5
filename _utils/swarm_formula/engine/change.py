"""
Carry out a plan for the engine, in this host's turn if it restarts, and roll it back if it fails.
"""

import contextlib
import functools
import time
from collections.abc import Callable
from typing import Any

from salt.exceptions import CommandExecutionError

from swarm_formula.core import errors, host_files
from swarm_formula.core.settings_types import Settings
from swarm_formula.daemon import dockerd, file_plan, holdings
from swarm_formula.daemon.file_plan import Plan
from swarm_formula.engine import config, node_drain, restart_turn
from swarm_formula.salt.execution import Minion


def carry_out(
    minion: Minion,
    settings: Settings,
    planned: Callable[[], Plan],
    test: bool,
    store: str | None = None,
) -> dict[str, Any]:
    """
    Ensure the engine is as planned; return what changed.

    store
        The store that the engine must use afterwards.
    """
    plan = _whole(settings, planned())
    if test:
        drained = restart_turn.foreseen(minion.salt, settings, minion.masterless)
        more = node_drain.report(drained) if "restart" in plan.changes else {}
        return {**plan.changes, **more}
    if "restart" not in plan.changes:
        changes = _changed(minion, settings, plan, store, lambda: None)
        restart_turn.finish(minion.salt, settings, minion.masterless)
        return changes
    with turn(minion, settings) as held:
        # Other runs may have changed the files while this host waited for its turn.
        changes = _changed(minion, settings, _whole(settings, planned()), store, held.prove)
        return {**changes, **(held.changes if changes else {})}


def turn(
    minion: Minion, settings: Settings
) -> contextlib.AbstractContextManager[restart_turn.Held]:
    """Hold this host's turn to restart the engine."""
    return restart_turn.held(minion.salt, settings, minion.masterless)


def clean(minion: Minion, settings: Settings, test: bool) -> dict[str, Any]:
    """Remove the formula's settings from ``daemon.json`` and the unit; return what changed."""
    # Do not take a turn: the cluster or store that grants it is being removed.
    alone: Settings = {
        **settings,
        "engine": {**settings["engine"], "turns": False, "drain": False},
    }
    # Restart before live-restore is removed, so that all containers keep running.
    ours = config.without_files(settings)

    def without_keys() -> Plan:
        plan = file_plan.plan({}, config.removable())
        return file_plan.with_files(plan, ours)

    first = carry_out(minion, alone, without_keys, test)
    live = (config.LIVE,)
    last = carry_out(minion, alone, lambda: file_plan.plan({}, live), test)
    if not test:
        for folder in {one.parent for one in ours}:
            host_files.drop_empty(folder)
    keys = {**first.get("daemon.json", {}), **last.get("daemon.json", {})}
    return {**first, **last, **({"daemon.json": keys} if keys else {})}


def _whole(settings: Settings, plan: Plan) -> Plan:
    """Return the plan with its complete report; raise an error if it would hide existing data."""
    if refused := holdings.refused(*file_plan.before_and_after(plan)):
        raise errors.SettingsError(
            f"nothing was changed in the engine of {settings['id']}: {refused}"
        )
    pending = file_plan.pending()
    if pending and not plan.changes:
        # An earlier run was killed before the engine had read the files.
        unread = f"has not read {pending.get('what')}"
        plan = file_plan.reported(plan, "engine", unread, "has read it")
    if (plan.restart or pending.get("restart")) and (now := dockerd.version()):
        new = f"engine {plan.replaced or now}, restarted"
        plan = file_plan.reported(plan, "restart", f"engine {now}", new)
    return plan


def _changed(
    minion: Minion, settings: Settings, plan: Plan, store: str | None, prove: Callable[[], None]
) -> dict[str, Any]:
    if plan.changes:
        _change(minion, settings, plan, store, prove)
    file_plan.end(plan)
    return plan.changes


def _change(
    minion: Minion, settings: Settings, plan: Plan, store: str | None, prove: Callable[[], None]
) -> None:
    started, was_up, pending = int(time.time()), dockerd.answers(), file_plan.pending()
    restart = plan.restart or pending.get("restart", False)
    what = plan.what if plan.files else pending.get("what", plan.what)
    try:
        file_plan.begin(plan, restart, what)
        beside = functools.partial(_beside, minion, plan.early and not pending)
        dockerd.activate(minion.salt, settings, restart, was_up, file_plan.store(), beside)
        dockerd.check_store(store)
        if plan.files:
            # There is no way back from another binary, which alone restarts the engine.
            prove()
    except CommandExecutionError as err:
        words = dockerd.words(minion.salt, settings["engine"]["service"], started)
        file_plan.undo()
        unable = isinstance(err, errors.NoContainerError)
        back = _back(minion, settings, was_up, restart=unable) + _kept(minion, plan.early)
        raise file_plan.refused(settings, what, words, back, err) from err


def _beside(minion: Minion, begins: bool) -> None:
    """Begin what need not wait for the restart of the engine."""
    if begins and dockerd.keeps_containers():
        from swarm_formula.consul import early

        early.begin(minion)


def _kept(minion: Minion, begins: bool) -> str:
    """Return what was begun beside the restart and is not put back, for the error of the change."""
    if not begins:
        return ""
    from swarm_formula.consul import early

    return "; Consul, which was started meanwhile, stays" if early.taken(minion) else ""


def _back(minion: Minion, settings: Settings, was_up: bool, restart: bool) -> str:
    """Have the engine run as before; return how that has ended, for the error of the change."""
    service = settings["engine"]["service"]
    try:
        dockerd.go_back(minion.salt, settings, was_up, restart)
    except CommandExecutionError as err:
        return (
            "the files were put back as they were, and it does not run with them either"
            f" ({err}): 'journalctl -u {service}' on that host tells why"
        )
    return f"everything was put back as it was{', and it runs again' if was_up else ''}"
