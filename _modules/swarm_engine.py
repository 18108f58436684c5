"""
Manage the Docker Engine of a node: package, ``daemon.json``, systemd unit and service.
"""

from swarm_formula.daemon import daemon_json, dockerd, drop_in, file_plan
from swarm_formula.engine import change, config
from swarm_formula.engine import check as engine_check
from swarm_formula.engine import known_faults as engine_known_faults
from swarm_formula.salt import current_pillar, execution

__virtualname__ = "swarm_engine"


def __virtual__():
    return __virtualname__


def _settings():
    return __salt__["swarm_settings.get"]()


def _minion():
    return execution.Minion(__salt__, __opts__, __context__)


def version():
    """
    Return the version of the running engine, else of the package; empty if there is neither.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.version
    """
    return drop_in.version(__salt__, _settings())


def check(engine_version):
    """
    Raise an error if an engine of this version does not support the settings in the pillar.

    Also raise an error if this version has a fault for which the formula does not install it, see
    ``known_faults``, if this host is in a swarm of the other mode, see ``check_mode``, or if a
    drop-in of somebody else would take the engine's socket away.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.check 28.5.2

    engine_version
        Version as reported by the package or the engine.
    """
    engine_check.new_version(_settings(), engine_version)


def known_faults():
    """
    Return the known faults of the running engine's version that concern this pillar, as texts with
    the cure.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.known_faults
    """
    settings = _settings()
    return engine_known_faults.warnings(settings, drop_in.version(__salt__, settings))


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
    engine_check.mode(_settings(), leaving)


def preflight():
    """
    Return what this host lacks for the settings in the pillar, as texts with the cure; raise an
    error if the engine surely cannot work here, or if the formula does not support the operating
    system. An engine that runs does work.

    Reads files only.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.preflight
    """
    return engine_check.preflight(_settings(), __grains__)


def exists():
    """
    Check whether this host has an engine that the formula may have configured.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.exists
    """
    return engine_check.exists(__salt__, _settings())


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
    replaced = config.replaced(__salt__, settings, test)
    engine_check.version(settings, replaced or drop_in.version(__salt__, settings))

    def planned():
        return config.configured(__salt__, settings, replaced, test)

    return change.carry_out(_minion(), settings, planned, test)


def refit():
    """
    Start the engine of a package that has taken the place of another one.

    The formula's drop-in has the command of the package that is gone; it gets that of the new unit.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_engine.refit
    """
    drop_in.refit(__salt__, _settings())


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
    wanted = config.overlay_options(settings)
    if wanted:
        engine_check.version(settings, drop_in.version(__salt__, settings))

    def planned():
        return file_plan.plan(wanted, daemon_json.OVERLAY_KEYS)

    store = wanted.get("cluster-store")
    return change.carry_out(_minion(), settings, planned, test, store)


def clean(test=False):
    """
    Remove the formula's settings from ``daemon.json`` and the unit; return what changed.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.clean test=True
    """
    settings = _settings()
    if not engine_check.exists(__salt__, settings):
        return {}
    return change.clean(_minion(), settings, test)


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
    return engine_check.lost_threads(settings) + __salt__["swarm_overlay.complaints"]()


def heal():
    """
    Fix the problems that ``swarm_engine.complaints`` reports; return them.

    The engine is restarted only for lost threads. Containers keep running if ``live-restore`` is
    on; otherwise they are down during the restart. Overlay networks are repaired in place.

    CLI Example:

    .. code-block:: bash

        salt m1 swarm_engine.heal
    """
    with current_pillar.pillar(__context__):
        return _heal()


def _heal():
    settings = _settings()
    lost = engine_check.lost_threads(settings)
    if lost:
        with change.turn(_minion(), settings):
            dockerd.start(__salt__, settings["engine"]["service"])
            dockerd.wait(settings["timeout"])
    # Repair overlay networks last, because the restart may have damaged some.
    return lost + (__salt__["swarm_overlay.heal"]() if settings["overlay"] else [])


def reload():
    """
    Reload ``daemon.json`` (SIGHUP), and wait until the engine has read it.

    CLI Example:

    .. code-block:: bash

        salt '*' swarm_engine.reload
    """
    dockerd.reload(__salt__, _settings()["engine"]["service"])
    return True
