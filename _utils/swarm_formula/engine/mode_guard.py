"""
Refuse to convert a running swarm to the other mode, or to replace objects of somebody else.
"""

from typing import Any

from swarm_formula.core import errors, modes
from swarm_formula.core.settings_types import Settings
from swarm_formula.daemon import holdings
from swarm_formula.docker import engine_api
from swarm_formula.standalone import container_names

# Seconds to wait for a busy engine to answer.
_PATIENCE = 30


def refusal(settings: Settings, state: str, parts: list[str]) -> str | None:
    """
    Return why this node cannot have the mode in ``swarm:mode``, ``None`` if it can.

    state
        The engine's ``LocalNodeState``.

    parts
        The formula's containers of classic mode on this engine.
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


def firewall(settings: Settings, info: dict[str, Any], config: dict[str, Any]) -> str | None:
    """
    Return why this engine takes no part in swarm mode, ``None`` if it can.

    An engine whose rules are in nftables refuses swarm mode (moby#50467). It tells so since 28.1,
    whether a flag or ``daemon.json`` has chosen them.

    info
        The answer of the engine's ``/info``; empty without an engine.
    """
    key, options = "firewall-backend", {**config, **settings["engine"]["options"]}
    driver = str((info.get("FirewallBackend") or {}).get("Driver") or "")
    ends = key in settings["engine"]["options"] or options.get("iptables") is False
    if ends or not modes.of(settings).cluster_overlay or not driver.startswith("nftables"):
        return None
    return (
        f"the engine of {settings['id']} has its firewall rules in nftables ({driver}), and Docker"
        f" refuses swarm mode together with it: set swarm:engine:options:{key} to iptables, or"
        f" remove '{key}' from its daemon.json or unit; nothing was changed"
    )


def _volume(client: Any, settings: Settings, state: str) -> dict[str, Any]:
    """Return the volume that has the name of Consul's, empty if there is none or none is needed."""
    if not modes.of(settings).standalone or state not in {"", "inactive"}:
        # In swarm mode, the engine asks the cluster, and fails if that has no leader.
        return {}
    return engine_api.found(client.inspect_volume, settings["consul"]["volume"]) or {}


def check(settings: Settings, config: dict[str, Any], leaving: bool = False) -> None:
    """
    Raise an error if this host is in a swarm whose mode differs from the pillar, or if objects that
    are not the formula's have the names of its containers or of Consul's volume.

    config
        ``daemon.json``, used to inspect the data on disk if the engine is stopped.

    leaving
        Accept such names: nothing is created, and what is not the formula's stays.
    """
    try:
        with engine_api.connect(what="the engine", timeout=_PATIENCE) as client:
            info = client.info()
            state = (info.get("Swarm") or {}).get("LocalNodeState") or ""
            programs = {
                one["Names"][0].lstrip("/"): one["Command"].split()
                for one in client.containers(all=True)
            }
            commands = {name: words[1:] for name, words in programs.items()}
            volume = _volume(client, settings, state)
    except errors.SdkMissingError:
        # A bare host; otherwise this check runs again, with the libraries installed, before the
        # engine is changed.
        return
    except errors.EngineUnreachableError:
        state = "stopped" if holdings.in_cluster(config) else ""
        info, programs, commands, volume = {}, {}, holdings.container_names(config), {}
    parts = list(container_names.ours(settings, commands).values())
    refused = refusal(settings, state, parts)
    if not (refused or leaving):
        refused = firewall(settings, info, config)
    if not (refused or leaving):
        refused = container_names.taken(
            settings, commands, volume.get("Mountpoint")
        ) or container_names.by_hand(settings, programs)
    if refused:
        raise errors.SettingsError(refused)
