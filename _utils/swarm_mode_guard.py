"""
A swarm that runs is of one mode: pillar cannot turn it into the other one by an apply.
"""

from collections.abc import Mapping
from pathlib import Path

import swarm_docker
import swarm_errors
import swarm_holdings
import swarm_names

# Seconds that an engine may be too busy to answer.
_PATIENCE = 30


def refusal(settings: dict, state: str, parts: list[str]) -> str | None:
    """
    Return why this node cannot be what ``swarm:mode`` says, ``None`` if it can.

    state
        The engine's word for its swarm mode, ``LocalNodeState``.

    parts
        The formula's containers of classic mode that are on this engine.
    """
    me, apart = settings["id"], state not in {"", "inactive"}
    if settings["mode"] == "classic" and apart:
        is_now, wanted, old = f"in a cluster of swarm mode ({state})", "classic", "builtin"
    elif settings["mode"] == "builtin" and parts and not apart:
        is_now = f"a node of a classic swarm (container {', '.join(parts)})"
        wanted, old = "builtin", "classic"
    else:
        return None
    missing = " or missing" if wanted == "classic" else ""
    return (
        f"{me} is {is_now}, and swarm:mode in its pillar is {wanted}{missing}: nothing was changed,"
        f" for an apply turns no swarm into the other kind. Not meant: put 'mode: {old}' back."
        f" Meant: put it back all the same, take that swarm away with salt '*' state.apply"
        f" swarm.clean, and only then apply with 'mode: {wanted}'"
    )


def taken(
    settings: dict, commands: Mapping[str, list[str]], volume: str | None = None
) -> str | None:
    """
    Return why a classic swarm cannot have the names that it is to have here, ``None`` if it can.

    volume
        Where the volume is that has the name of Consul's, if there is one.
    """
    due = {"agent": True, "manager": settings["is_manager"], "consul": settings["own_store"]}
    texts = [
        f"container {name} (swarm:{section}:container) runs '{' '.join(commands[name])}'"
        for section, name in swarm_names.strangers(settings, commands).items()
        if due[section]
    ]
    if settings["own_store"] and volume and not swarm_names.is_consuls(Path(volume)):
        name = settings["consul"]["volume"]
        texts.append(f"volume {name} (swarm:consul:volume) does not hold Consul's data")
    if settings["mode"] != "classic" or not texts:
        return None
    return (
        f"{settings['id']} already has other objects under names that this formula uses:"
        f" {'; '.join(texts)}. Nothing was changed. Rename the container (docker rename; a volume"
        " cannot be renamed), or set another name in pillar"
    )


def check(settings: dict, config: dict) -> None:
    """
    Raise an error if this host is in a swarm of another mode than that of pillar, or has containers
    of somebody else where those of the formula are to be.

    config
        ``daemon.json``: of an engine that is stopped, its disk is looked at.
    """
    try:
        with swarm_docker.connect(what="the engine", timeout=_PATIENCE) as client:
            state = (client.info().get("Swarm") or {}).get("LocalNodeState") or ""
            commands = {
                one["Names"][0].lstrip("/"): one["Command"].split()[1:]
                for one in client.containers(all=True)
            }
            volume = swarm_docker.found(client.inspect_volume, settings["consul"]["volume"]) or {}
    except swarm_errors.SdkMissingError:
        # Bare; or this is asked again before the engine is touched, when the libraries are here.
        return
    except swarm_errors.EngineUnreachableError:
        state = "stopped" if swarm_holdings.in_cluster(config) else ""
        commands, volume = swarm_holdings.container_names(config), {}
    parts = list(swarm_names.ours(settings, commands).values())
    place = volume.get("Mountpoint")
    if refused := refusal(settings, state, parts) or taken(settings, commands, place):
        raise swarm_errors.SettingsError(refused)
