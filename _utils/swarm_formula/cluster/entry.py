"""
Create, join and unlock a cluster with this host's engine.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

from swarm_formula.cluster import donors, spec, swarm_api
from swarm_formula.core import errors, member_rules, wait
from swarm_formula.core.addresses import endpoint
from swarm_formula.core.settings_types import Settings
from swarm_formula.docker import engine_api

# After 20 s, the engine stops waiting for a join, and continues it in the background.
_GOES_ON = "will continue in the background"
# Seconds for which the join may continue.
_COMES = 60


def _places(settings: Settings) -> dict[str, Any]:
    builtin, own = settings["builtin"], settings["address"]
    anywhere = "[::]" if ":" in own else "0.0.0.0"  # noqa: S104
    places = {
        "ListenAddr": f"{anywhere}:{builtin['port']}",
        "AdvertiseAddr": endpoint(own, builtin["port"]),
    }
    if settings["data_path"]:
        places["DataPathAddr"] = settings["data_path"]
    availability = member_rules.settings_of(settings["id"], settings["nodes"])["availability"]
    return {**places, **({"Availability": availability} if availability else {})}


def init(client: Any, settings: Settings) -> None:
    """Create a new cluster with this engine as its only node."""
    builtin = settings["builtin"]
    port = {"DataPathPort": builtin["data_path_port"]} if builtin["data_path_port"] else {}
    body = {**_places(settings), **spec.address_pools(builtin), **port}
    with engine_api.translated("a new cluster"):
        engine_api.post(client, "/swarm/init", json=body)


def force_new(client: Any, settings: Settings) -> None:
    """Force a single-manager cluster from the local Raft state (``--force-new-cluster``)."""
    body = {**_places(settings), "ForceNewCluster": True}
    with engine_api.translated("a new cluster of this manager alone"):
        engine_api.post(client, "/swarm/init", json=body)


def unlock(client: Any, key: str) -> str | None:
    """Unlock this manager; return what it waits for if the other managers are not up yet."""
    text = "the manager is unlocked and waits for a majority of the others: apply swarm there"
    try:
        with engine_api.translated("unlocking"), engine_api.patience(text):
            client.unlock_swarm(key)
    except errors.WaitTimeoutError as err:
        return str(err)
    return None


def join(client: Any, settings: Settings, records: Mapping[str, dict[str, Any]]) -> None:
    """Join through one manager after another, until one accepts this node."""
    failures = []
    for name, token in donors.reachable(settings, records).items():
        remote = records[name]["address"]
        body = {**_places(settings), "RemoteAddrs": [remote], "JoinToken": token}
        try:
            with engine_api.translated(f"joining by {name}, {remote}"):
                engine_api.post(client, "/swarm/join", json=body)
        except errors.ApiError as err:
            if _GOES_ON not in str(err):
                failures.append(f"{err}{donors.token_cure(str(err), name)}")
                continue
            if _came(client, settings):
                return
            failures.append(f"{err} (and did not come about)")
            client.leave_swarm(force=True)
            continue
        return
    raise errors.SwarmError(
        f"no manager has taken {settings['id']} in: "
        + ("; ".join(failures) or "none of them lets this minion have a token")
    )


def _came(client: Any, settings: Settings) -> bool:
    def probe() -> str | None:
        state = swarm_api.swarm(client).get("LocalNodeState")
        return "pending" if state == "pending" else None

    with contextlib.suppress(errors.WaitTimeoutError):
        # If the leader goes away meanwhile, the request is lost and never answered.
        wait.until(probe, min(settings["timeout"], _COMES))
    return swarm_api.swarm(client).get("LocalNodeState") == "active"
