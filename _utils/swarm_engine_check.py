"""
Check that the engine of this host supports the settings in the pillar.
"""

from collections.abc import Callable, Mapping

import swarm_certs
import swarm_daemon
import swarm_dockerd
import swarm_engine_unit
import swarm_errors
import swarm_files
import swarm_holdings
import swarm_log_driver
import swarm_mode_guard
import swarm_plan
import swarm_preflight

Salt = Mapping[str, Callable]


def mode(settings: dict, leaving: bool = False) -> None:
    """Raise an error if this host is in a swarm whose mode differs from the pillar."""
    swarm_mode_guard.check(settings, swarm_plan.config(), leaving)


def version(settings: dict, engine_version: str) -> None:
    """Raise an error if an engine of this version does not support the settings in the pillar."""
    mode(settings)
    if settings["engine"]["port"]:
        swarm_engine_unit.refuse_later(settings)
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


def preflight(settings: dict) -> list[str]:
    """Return what this host lacks for the settings; raise an error if no engine can work here."""
    found = swarm_preflight.findings(settings)
    fatal = [one.text for one in found if one.fatal]
    if fatal and not swarm_dockerd.answers():
        raise swarm_errors.SwarmError(
            f"{settings['id']}: nothing was changed, for no engine works here: {'; '.join(fatal)}"
        )
    return [f"{settings['id']}: {one.text}" for one in found]


def exists(salt: Salt, settings: dict) -> bool:
    """Check whether this host has an engine that the formula may have configured."""
    if not swarm_engine_unit.command(salt, settings["engine"]["service"]):
        return False
    missing = salt["swarm_libraries.missing"]()
    if missing and swarm_files.RECORD.exists():
        raise swarm_errors.sdk_missing(", ".join(missing))
    # Without the libraries, the formula was never applied here: it installs them first.
    return not missing


def lost_threads(settings: dict) -> list[str]:
    """Return the problem that only a restart of the engine solves, as a list."""
    lost = swarm_dockerd.lost_threads(swarm_plan.config()) if settings["overlay"] else ()
    if not lost:
        return []
    stops = "its containers stop with it, for live-restore is off there"
    goes = "containers go on" if swarm_dockerd.keeps_containers() else stops
    return [
        f"the engine of {settings['id']} has {len(lost)} thread(s) in network namespaces that are"
        " gone (moby/libnetwork#1838): networks seem missing to it now and then;"
        f" salt {settings['id']} swarm_engine.heal restarts it, and {goes}"
    ]
