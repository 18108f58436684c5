"""
Specifications of the containers of classic mode, for ``swarm_container``. Pure.

All of them use the host's network: they need the host's own addresses, and their connections do not
depend on Docker's proxy, which may end before they do.
"""

import hashlib
import json
from pathlib import Path

import swarm_consul_schema
import swarm_files
import swarm_flags
from swarm_address import endpoint
from swarm_certs import Files, Set

_CONSUL_FILE = "consul.json"
CONFIG_LABEL = "swarm-formula.config"
# An engine with ``userns-remap`` refuses the host's network without the host's user namespace.
_HOST = {"network_mode": "host", "userns_mode": "host"}


def consul_file() -> Path:
    """Return the path of this host's Consul configuration."""
    return swarm_files.CONFIG / _CONSUL_FILE


def engine_endpoint(settings: dict) -> str:
    """Return the ``host:port`` at which other hosts reach this node's engine."""
    return endpoint(settings["address"], settings["engine"]["port"])


def manager_endpoints(settings: dict) -> dict[str, str]:
    """
    Return ``{ID: host:port}`` of the API on all managers, starting with this node if it is one.

    In builtin mode, that is their engines' API.
    """
    port = settings["engine" if settings["mode"] == "builtin" else "manager"]["port"]
    ids = sorted(settings["managers"], key=lambda one: one != settings["id"])
    return {one: endpoint(settings["managers"][one], port) for one in ids}


def _consul_tls(settings: dict, certs: Set, files: Files) -> dict:
    """
    Return the options for mutual TLS between Consul's agents, and with clients on this host.

    ``verify_server_hostname``: an agent cannot be a server with a client's certificate.
    """
    config = {
        "ca_file": files.ca,
        "cert_file": files.cert,
        "key_file": files.key,
        "verify_incoming": True,
        "verify_outgoing": True,
        "verify_server_hostname": not settings["tls"]["cert"],
    }
    if certs.gossip:
        # Without Consul's keyring file, in which an older key would outlive this one.
        config |= {"encrypt": certs.gossip, "disable_keyring_file": True}
    return config


def consul_config(settings: dict, certs: Set | None, files: Files, acl: dict | None = None) -> dict:
    """
    Return this node's Consul configuration, for a server or a client.

    certs
        The content of ``files``; ``None`` without TLS.

    acl
        The result of ``swarm_acl.config``; ``None`` without ACLs.

    There is no first host and no order: every server waits for all servers (``bootstrap_expect``),
    and every agent tries to join all of them (``retry_join``) every second, because they start at
    the same time. A server that joins others (``settings["begins"]`` is false) does not bootstrap a
    cluster.
    """
    consul = settings["consul"]
    config = {
        "server": settings["is_server"],
        "node_name": settings["id"],
        "datacenter": consul["datacenter"],
        "data_dir": "/consul/data",
        "bind_addr": settings["address"],
        "client_addr": "127.0.0.1",
        "ports": {"http": consul["http_port"]},
        "retry_join": sorted(settings["servers"].values()),
        "retry_interval": "1s",
        "disable_update_check": True,
        # A multiplier of 5 is for tiny machines; HashiCorp recommends 1 for production.
        "performance": {"raft_multiplier": 1},
    }
    if settings["is_server"] and settings.get("begins", True):
        config["bootstrap_expect"] = len(settings["servers"])
    if settings["tls"]["used"]:
        config["ports"] = {"http": -1, "https": consul["http_port"]}
        config |= _consul_tls(settings, certs, files) if certs else {}
    if acl:
        config["acl"] = acl
    options = dict(consul["options"])
    ports = options.pop("ports", {})
    return {**config, **options, "ports": {**config["ports"], **ports}}


def consul_container(
    settings: dict, folder: str, certs: Set | None, files: Files, acl: dict | None = None
) -> tuple[dict, str]:
    """Return Consul's container and the text of its configuration file in ``folder``."""
    config = consul_config(settings, certs, files, acl)
    config = swarm_consul_schema.written(config, settings["consul"]["image"])
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    consul = settings["consul"]
    container = {
        "image": consul["image"],
        "image_source": consul["image_source"],
        "image_hash": consul["image_hash"],
        "command": ["agent", f"-config-file={folder}/{_CONSUL_FILE}"],
        "mounts": [f"{folder}:{folder}:ro", f"{consul['volume']}:/consul/data"],
        **_HOST,
        "restart_policy": "unless-stopped",
        # Consul reads its file only at startup: new content requires a new container.
        "labels": {CONFIG_LABEL: hashlib.sha256(text.encode()).hexdigest()[:16]},
    }
    if settings["tls"]["used"]:
        # The official image would drop root privileges before it reads root's key.
        container["environment"] = {"CONSUL_DISABLE_PERM_MGMT": "1"}
    return container, text


def _swarm(settings: dict, command: list[str]) -> dict:
    return {
        "image": settings["manager"]["image"],
        "image_source": settings["manager"]["image_source"],
        "image_hash": settings["manager"]["image_hash"],
        "command": command,
        **_HOST,
        "restart_policy": "unless-stopped",
    }


def _with_files(container: dict, settings: dict, options: dict, files: Files) -> dict:
    """Mount the files that a container's flags name."""
    of_store = options.get("discovery-opt") or {}
    given = {options.get(flag) for flag in swarm_flags.TLS_FILES}
    given |= {of_store.get(key) for key in swarm_flags.KV_FILES}
    paths = sorted(path for path in given if path and not path.startswith(f"{files.folder}/"))
    if settings["tls"]["used"]:
        paths.append(files.folder)
    return {**container, **({"mounts": [f"{one}:{one}:ro" for one in paths]} if paths else {})}


def _discovery(settings: dict, given: dict, files: Files) -> dict:
    """Return ``discovery-opt`` with the certificate for the formula's Consul, if it uses TLS."""
    if not (settings["tls"]["used"] and settings["own_store"]):
        return {}
    return {"discovery-opt": {**swarm_flags.kv_tls(files), **given.get("discovery-opt", {})}}


def manager_tls(settings: dict, files: Files) -> dict | None:
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


def manager_container(settings: dict, files: Files) -> dict:
    """Return the container of ``swarm manage``."""
    mine = endpoint(settings["address"], settings["manager"]["port"])
    ours = {"host": f"tcp://{mine}", "advertise": mine}
    if settings["tls"]["used"]:
        ours |= swarm_flags.tls(files)
    given = {
        flag: value for flag, value in settings["manager"]["options"].items() if value is not None
    }
    options = {**ours, **given, **_discovery(settings, given, files)}
    if not options["replication"]:
        options.pop("advertise")  # used with --replication only
    command = ["manage", *swarm_flags.argv(options, swarm_flags.MANAGE), settings["discovery"]]
    return _with_files(_swarm(settings, command), settings, options, files)


def agent_container(settings: dict, files: Files) -> dict:
    """Return the container of ``swarm join``."""
    given = {
        flag: value for flag, value in settings["agent"]["options"].items() if value is not None
    }
    ours = {"advertise": engine_endpoint(settings)}
    options = {**ours, **given, **_discovery(settings, given, files)}
    command = ["join", *swarm_flags.argv(options, swarm_flags.JOIN), settings["discovery"]]
    return _with_files(_swarm(settings, command), settings, options, files)


def agent_key(settings: dict) -> str | None:
    """Return the key under which the agent registers this node in Consul, ``None`` if unknown."""
    options = settings["agent"]["options"]
    if not settings["own_store"] or options["delay"]:
        return None
    folder = (options["discovery-opt"] or {}).get("kv.path", "docker/swarm/nodes")
    return f"{folder}/{options['advertise'] or engine_endpoint(settings)}"
