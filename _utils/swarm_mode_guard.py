"""
A swarm that runs is of one mode: pillar cannot turn it into the other one by an apply.
"""

from collections.abc import Mapping

import swarm_docker
import swarm_errors
import swarm_holdings

# Seconds that an engine may be too busy to answer.
_PATIENCE = 30
_COMMANDS = {"consul": ("agent",), "manager": ("manage",), "agent": ("join",)}


def classic_parts(settings: dict, commands: Mapping[str, list[str]]) -> list[str]:
    """
    Return the names of the containers that are the formula's own, of classic mode.

    commands
        ``{name of a container: its command}``; one that has a name of ours by chance runs another.
    """
    return [
        name
        for section, words in _COMMANDS.items()
        if (name := settings[section]["container"]) in commands
        and (commands[name] or [""])[0] in words
    ]


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


def check(settings: dict, config: dict) -> None:
    """
    Raise an error if this host is in a swarm of another mode than that of pillar.

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
    except swarm_errors.SdkMissingError:
        # Bare; or this is asked again before the engine is touched, when the libraries are here.
        return
    except swarm_errors.EngineUnreachableError:
        state = "stopped" if swarm_holdings.in_cluster(config) else ""
        commands = swarm_holdings.container_names(config)
    parts = classic_parts(settings, commands)
    if refused := refusal(settings, state, parts):
        raise swarm_errors.SettingsError(refused)
