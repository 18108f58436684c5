"""
Check that the engine of this host supports the settings in the pillar.
"""

from collections.abc import Mapping

from swarm_formula.core import errors, host_files, member_rules, platforms
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.daemon import daemon_json, dockerd, drop_in, file_plan, holdings, log_driver
from swarm_formula.engine import known_faults, mode_guard
from swarm_formula.engine import preflight as engine_preflight
from swarm_formula.tls import cert_files


def mode(settings: Settings, leaving: bool = False) -> None:
    """Raise an error if this host is in a swarm whose mode differs from the pillar."""
    mode_guard.check(settings, file_plan.config(), leaving)


def version(settings: Settings, engine_version: str) -> None:
    """Raise an error if an engine of this version does not support the settings in the pillar."""
    mode(settings)
    if settings["engine"]["port"]:
        drop_in.refuse_later(settings)
    wanted = {
        **daemon_json.options(settings, engine_version, cert_files.NODE.current()),
        **daemon_json.overlay_options(settings, "", cert_files.NODE.steady()),
    }
    found = daemon_json.refusals(wanted, engine_version) + log_driver.refusals(wanted)
    due, now = map(daemon_json.version, (engine_version, dockerd.version() or ""))
    if () < due < now and (lost := holdings.lost_by_downgrade(due, wanted)):
        found.append(lost)
    if found:
        raise errors.SwarmError(
            f"the engine of {settings['id']} cannot take what pillar wants, nothing was written: "
            + "; ".join(found)
        )


def new_version(settings: Settings, engine_version: str) -> None:
    """Raise an error if the formula must not bring an engine of this version to this host."""
    version(settings, engine_version)
    if found := known_faults.refusals(settings, engine_version):
        raise errors.SwarmError(f"{settings['id']}: nothing was installed: {'; '.join(found)}")


def preflight(settings: Settings, grains: Mapping[str, object]) -> list[str]:
    """
    Return what this host lacks for the settings; raise an error if no engine can work here.

    grains
        Salt's grains of this host.
    """
    # A minion that is the CA and no node has no engine.
    is_node = member_rules.is_member(settings["id"], settings)
    if is_node and (why := platforms.refusal(settings["id"], grains)):
        raise errors.SwarmError(why)
    found = engine_preflight.findings(settings, platforms.of(grains))
    fatal = [one.text for one in found if one.fatal]
    if fatal and not dockerd.answers():
        raise errors.SwarmError(
            f"{settings['id']}: nothing was changed, for no engine works here: {'; '.join(fatal)}"
        )
    return [f"{settings['id']}: {one.text}" for one in found]


def exists(salt: Salt, settings: Settings) -> bool:
    """Check whether this host has an engine that the formula may have configured."""
    if not drop_in.command(salt, settings["engine"]["service"]) or never_ran():
        return False
    missing = salt["swarm_libraries.missing"]()
    if missing and host_files.RECORD.exists():
        raise errors.sdk_missing(", ".join(missing))
    # Without the libraries, the formula was never applied here: it installs them first.
    return not missing


def never_ran() -> bool:
    """
    Check whether the engine of this host has never been started, nor its files been written.

    A run may end between the installation of the package and the first start: nothing is there that
    the engine would have to be asked for.
    """
    config = file_plan.config()
    ours = file_plan.recorded() or file_plan.pending()
    return not (ours or holdings.has_run(config) or dockerd.answers())


def lost_threads(settings: Settings) -> list[str]:
    """Return the problem that only a restart of the engine solves, as a list."""
    lost = dockerd.lost_threads(file_plan.config()) if settings["overlay"] else ()
    if not lost:
        return []
    stops = "its containers stop with it, for live-restore is off there"
    goes = "containers go on" if dockerd.keeps_containers() else stops
    return [
        f"the engine of {settings['id']} has {len(lost)} thread(s) in network namespaces that are"
        " gone (moby/libnetwork#1838): networks seem missing to it now and then;"
        f" salt {settings['id']} swarm_engine.heal restarts it, and {goes}"
    ]
