"""
Specifications of the containers of classic mode, for ``swarm_container``. Pure.

All of them use the host's network: they need the host's own addresses, and their connections do not
depend on Docker's proxy, which may end before they do.
"""

from collections.abc import Mapping
from typing import Any

from swarm_formula.core import errors, modes
from swarm_formula.core.addresses import endpoint
from swarm_formula.core.settings_types import Settings
from swarm_formula.standalone import flags
from swarm_formula.tls import certificate_due
from swarm_formula.tls.cert_files import Files

# An engine with ``userns-remap`` refuses the host's network without the host's user namespace.
HOST = {"network_mode": "host", "userns_mode": "host"}


def engine_endpoint(settings: Settings) -> str:
    """Return the ``host:port`` at which other hosts reach this node's engine."""
    return endpoint(settings["address"], _engine_port(settings))


def _engine_port(settings: Settings) -> int:
    """Return the engine's TCP port; raise an error if it has none, as in builtin mode."""
    if port := settings["engine"]["port"]:
        return port
    raise errors.SettingsError(
        f"the engine of {settings['id']} has no TCP port: set swarm:engine:port, such as 2376, and"
        " apply again"
    )


def manager_endpoints(settings: Settings) -> dict[str, str]:
    """
    Return ``{ID: host:port}`` of the API on all managers, starting with this node if it is one.

    In builtin mode, that is their engines' API.
    """
    of_engine = modes.of(settings).engine_api
    port = _engine_port(settings) if of_engine else settings["manager"]["port"]
    ids = sorted(settings["managers"], key=lambda one: one != settings["id"])
    return {one: endpoint(settings["managers"][one], port) for one in ids}


def mount(settings: Settings, source: object, target: object = None) -> str:
    """
    Return the mount of a folder of the formula, read-only if it has the same path in the container.

    An engine that keeps containers apart by SELinux labels the folder for all of them: what has the
    label of a host's own files is denied to each.
    """
    options = [] if target else ["ro"]
    if settings["engine"]["options"].get("selinux-enabled"):
        options.append("z")
    return ":".join([str(source), str(target or source), *([",".join(options)] if options else [])])


def _swarm(settings: Settings, command: list[str]) -> dict[str, Any]:
    return {
        "image": settings["manager"]["image"],
        "image_source": settings["manager"]["image_source"],
        "image_hash": settings["manager"]["image_hash"],
        "command": command,
        **HOST,
        "restart_policy": "unless-stopped",
    }


def _with_files(
    container: Mapping[str, Any], settings: Settings, options: Mapping[str, Any], files: Files
) -> dict[str, Any]:
    """Mount the files that a container's flags name."""
    of_store = options.get("discovery-opt") or {}
    given = {options.get(flag) for flag in flags.TLS_FILES}
    given |= {of_store.get(key) for key in flags.KV_FILES}
    paths = sorted(path for path in given if path and not path.startswith(f"{files.folder}/"))
    # Somebody else's files keep the labels that they have.
    mounts = [f"{one}:{one}:ro" for one in paths]
    if settings["tls"]["used"]:
        mounts.append(mount(settings, files.folder))
    return {**container, **({"mounts": mounts} if mounts else {})}


def _discovery(settings: Settings, given: Mapping[str, Any], files: Files) -> dict[str, Any]:
    """Return ``discovery-opt`` with the certificate for the formula's Consul, if it uses TLS."""
    if not (settings["tls"]["used"] and settings["managed_store"]):
        return {}
    used = certificate_due.consul_files(settings, files)
    return {"discovery-opt": {**flags.kv_tls(used), **given.get("discovery-opt", {})}}


def manager_tls(settings: Settings, files: Files) -> dict[str, str | None] | None:
    """Return the TLS files for requests to a manager, ``None`` for a manager without TLS."""
    if settings["tls"]["used"]:
        return {"cert": files.cert, "key": files.key, "ca": files.ca}
    options = settings["manager"]["options"]
    if not (options["tls"] or options["tlsverify"]):
        return None
    return {
        "cert": options["tlscert"],
        "key": options["tlskey"],
        "ca": options["tlscacert"] if options["tlsverify"] else None,
    }


def manager_container(settings: Settings, files: Files) -> dict[str, Any]:
    """Return the container of ``swarm manage``."""
    mine = endpoint(settings["address"], settings["manager"]["port"])
    ours = {"host": f"tcp://{mine}", "advertise": mine}
    if settings["tls"]["used"]:
        ours |= flags.tls(files)
    given = {
        flag: value for flag, value in settings["manager"]["options"].items() if value is not None
    }
    options = {**ours, **given, **_discovery(settings, given, files)}
    if not options["replication"]:
        options.pop("advertise")  # used with --replication only
    command = ["manage", *flags.argv(options, flags.MANAGE), settings["discovery"]]
    return _with_files(_swarm(settings, command), settings, options, files)


def agent_container(settings: Settings, files: Files) -> dict[str, Any]:
    """Return the container of ``swarm join``."""
    given = {
        flag: value for flag, value in settings["agent"]["options"].items() if value is not None
    }
    ours = {"advertise": engine_endpoint(settings)}
    options = {**ours, **given, **_discovery(settings, given, files)}
    command = ["join", *flags.argv(options, flags.JOIN), settings["discovery"]]
    return _with_files(_swarm(settings, command), settings, options, files)


def agent_key(settings: Settings) -> str | None:
    """Return the key under which the agent registers this node in Consul, ``None`` if unknown."""
    options = settings["agent"]["options"]
    if not settings["managed_store"] or options["delay"]:
        return None
    folder = (options["discovery-opt"] or {}).get("kv.path", "docker/swarm/nodes")
    return f"{folder}/{options['advertise'] or engine_endpoint(settings)}"
