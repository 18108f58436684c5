"""
Make a manager the only one of its cluster: from a backup, or after the quorum is lost for good.
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from swarm_formula.builtin import backup
from swarm_formula.cluster import entry, membership, swarm_api
from swarm_formula.core import addresses, archive, errors, wait
from swarm_formula.core.settings_types import Settings
from swarm_formula.daemon import daemon_json, dockerd

Salt = Mapping[str, Callable[..., Any]]

# Seconds to wait until an engine without a quorum reports that it is a manager.
_WAKING = 30


class Consent(NamedTuple):
    """What the operator accepts."""

    unfit: bool  # a backup that does not fit this host or its engine
    lose: bool  # the loss of a cluster that may still be running


def restore(
    salt: Salt, settings: Settings, place: Path, consent: Consent, test: bool
) -> dict[str, Any]:
    """Restore the cluster of a backup, with this node as its only manager; return what changed."""
    # Opened once: the owner of the folder may replace the file after the check.
    with archive.opened(place) as file:
        facts = archive.read(place, file)
        info = _checked(salt, settings, facts, consent)
        changes = {
            "swarm mode": {
                "old": info["Swarm"].get("LocalNodeState") or "inactive",
                "new": f"cluster {facts['cluster']} as of {facts['time']}, this its only manager",
            }
        }
        if test:
            return changes
        state = Path(info["DockerRootDir"]) / "swarm"

        def unpack() -> Path | None:
            return archive.unpack(place, state, time.time(), file)

        kept = _replaced(salt, settings, unpack, facts["locked"])
    return {**changes, **({"kept": {"old": str(state), "new": str(kept)}} if kept else {})}


def _checked(
    salt: Salt, settings: Settings, facts: dict[str, Any], consent: Consent
) -> dict[str, Any]:
    """Return ``/info`` of the engine; raise an error if it must not get the backup."""
    with swarm_api.connect(salt) as client:
        info: dict[str, Any] = client.info()
        if not consent.unfit:
            _refuse_unfit(facts, info["ServerVersion"], settings)
        if not consent.lose:
            _refuse_second(client, settings)
    return info


def _replaced(
    salt: Salt, settings: Settings, unpack: Callable[[], Path | None], locked: bool
) -> Path | None:
    """Start the engine with the state of a backup; return where the former state is kept."""
    with swarm_api.alone():
        with dockerd.stopped(salt, settings["engine"]["service"], settings["timeout"]):
            kept = unpack()
        if not locked:
            with swarm_api.connect(salt) as client:
                _go_on(client, settings)
    # A locked state comes from a cluster of one manager, which only has to be unlocked.
    salt["swarm_builtin.apply"]()
    return kept


def _refuse_unfit(facts: Mapping[str, Any], version: str, settings: Settings) -> None:
    why = backup.unrestorable(facts)
    if daemon_json.version(version) < daemon_json.version(facts["engine"]):
        why = (
            f"the engine of {settings['id']} is {version}, and the backup is of {facts['engine']}:"
            " an older engine may not read it; or force=True"
        )
    elif (address := facts.get("address")) and not addresses.is_own(address):
        why = (
            f"the cluster will look for its manager at {address}, the address of"
            f" {facts['minion']} when the backup was made, and no engine can change that"
            f" (moby#34306). {settings['id']} does not have this address: restore on the host that"
            " has it, or give it to this one, for as long as there is no other manager; or"
            " force=True"
        )
    if why:
        raise errors.SwarmError(f"nothing was restored: {why}")


def _refuse_second(client: Any, settings: Settings) -> None:
    """Raise an error if the cluster may still be running."""
    why = None
    if _has_leader(client):
        why = f"{settings['id']} is in a cluster that has a leader"
    elif others := swarm_api.listens(settings, swarm_api.swarm(client)):
        why = (
            f"{', '.join(others)} may be alive in the cluster: something listens there at its port"
        )
    if why:
        raise errors.SwarmError(
            f"nothing was changed: {why}, and there must not be two of the same identity. If the"
            " quorum is lost for good, stop the engines of the other managers first. To do it"
            " whatever that costs: force=True lose_cluster=True"
        )


def _has_leader(client: Any) -> bool:
    swarm = swarm_api.swarm(client)
    if not membership.manager(swarm):
        # A worker cannot tell; its cluster counts as alive while the engine reports it as active.
        return swarm.get("LocalNodeState") == "active"
    with contextlib.suppress(errors.ApiError):
        return bool(swarm_api.nodes(client))
    return False


def force_new_cluster(salt: Salt, settings: Settings, lose: bool, test: bool) -> dict[str, Any]:
    """Make this manager the only one after the quorum is lost; return what changed."""
    with swarm_api.connect(salt) as client, swarm_api.alone():
        swarm = swarm_api.swarm(client)
        if not membership.manager(swarm):
            raise errors.SwarmError(
                f"{settings['id']} is no manager, and knows nothing of which a cluster could be"
                f" made: it is {swarm.get('LocalNodeState') or 'inactive'}"
            )
        if not lose:
            _refuse_second(client, settings)
        if not test:
            _go_on(client, settings)
    if not test:
        salt["swarm_builtin.tell"]()
    others = len(membership.remote_managers(swarm))
    return {"managers": {"old": others, "new": 1}}


def _go_on(client: Any, settings: Settings) -> None:
    """Wait until the engine reports that it is a manager, then make it the only manager."""

    def probe() -> str | None:
        swarm = swarm_api.swarm(client)
        state = swarm.get("LocalNodeState")
        return None if membership.manager(swarm) else f"the engine is {state}, and no manager"

    wait.until(probe, min(settings["timeout"], _WAKING))
    entry.force_new(client, settings)
