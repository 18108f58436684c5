"""
Put together Consul's container and its configuration, for ``swarm_container``. Pure.

It uses the host's network for the same reasons as the containers of ``standalone.containers``.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from swarm_formula.consul import acl_rules, schema
from swarm_formula.core import host_files
from swarm_formula.core.settings_types import Settings
from swarm_formula.standalone import containers
from swarm_formula.tls import certificate_due
from swarm_formula.tls.cert_files import Files, Set

_CONSUL_FILE = "consul.json"
CONFIG_LABEL = "swarm-formula.config"


def consul_file() -> Path:
    """Return the path of this host's Consul configuration."""
    return host_files.CONFIG / _CONSUL_FILE


def _consul_tls(settings: Settings, certs: Set, files: Files) -> dict[str, Any]:
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


def consul_config(
    settings: Settings,
    certs: Set | None,
    files: Files,
    acl: dict[str, Any] | None = None,
    begins: bool = True,
) -> dict[str, Any]:
    """
    Return this node's Consul configuration, for a server or a client.

    certs
        The content of ``files``; ``None`` without TLS.

    acl
        The result of ``consul.acl.config``; ``None`` without ACLs.

    begins
        Whether a server may bootstrap a cluster; one that joins others does not.

    There is no first host and no order: every server waits for all servers (``bootstrap_expect``),
    and every agent tries to join all of them (``retry_join``) every second, because they start at
    the same time.
    """
    consul = settings["consul"]
    config: dict[str, Any] = {
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
    if settings["is_server"] and begins:
        config["bootstrap_expect"] = len(settings["servers"])
    if settings["tls"]["used"]:
        config["ports"] = {"http": -1, "https": consul["http_port"]}
        used = certificate_due.consul_files(settings, files)
        config |= _consul_tls(settings, certs, used) if certs else {}
    if acl:
        config["acl"] = acl
        if acl_rules.added(acl):
            config["node_meta"] = acl_rules.META
    return _with_options(config, consul["options"])


def _with_options(config: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with options of pillar, which do not replace whole sections."""
    merged: dict[str, Any] = {
        key: {**config.get(key, {}), **options.get(key, {})}
        for key in ("ports", "node_meta")
        if key in config or key in options
    }
    return {**config, **options, **merged}


def consul_container(
    settings: Settings, config: dict[str, Any], version: tuple[int, ...] = ()
) -> tuple[dict[str, Any], str]:
    """
    Return Consul's container and the text of its configuration file.

    config
        The result of ``consul_config``.

    version
        The version of Consul in the image, see ``image_version``.
    """
    text = json.dumps(schema.written(config, version), indent=2, sort_keys=True) + "\n"
    consul, folder = settings["consul"], consul_file().parent
    container = {
        "image": consul["image"],
        "image_source": consul["image_source"],
        "image_hash": consul["image_hash"],
        "command": ["agent", f"-config-file={folder}/{_CONSUL_FILE}"],
        "mounts": [containers.mount(settings, folder), f"{consul['volume']}:/consul/data"],
        **containers.HOST,
        "restart_policy": "unless-stopped",
        # Consul reads its file only at startup: new content requires a new container.
        "labels": {CONFIG_LABEL: hashlib.sha256(text.encode()).hexdigest()[:16]},
    }
    if settings["tls"]["used"]:
        # The official image would drop root privileges before it reads root's key.
        container["environment"] = {"CONSUL_DISABLE_PERM_MGMT": "1"}
    return container, text
