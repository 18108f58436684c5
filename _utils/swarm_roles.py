"""
The containers of classic mode, as specifications for ``swarm_container``. Pure.

All of them use the host's network: they need the host's own addresses, and nothing of Docker's
proxying between them and each other survives less than they do.
"""

import hashlib
import json

import swarm_flags
from swarm_address import endpoint

CONSUL_FILE = "consul.json"
_CONFIG_LABEL = "swarm-formula.config"


def engine_endpoint(settings: dict) -> str:
    """Return ``host:port`` at which the others reach this node's engine."""
    return endpoint(settings["address"], settings["engine"]["port"])


def manager_endpoints(settings: dict) -> dict[str, str]:
    """Return ``{ID: host:port}`` of all managers, this node's first if it is one."""
    port = settings["manager"]["port"]
    ids = sorted(settings["managers"], key=lambda one: one != settings["id"])
    return {one: endpoint(settings["managers"][one], port) for one in ids}


def consul_config(settings: dict) -> dict:
    """
    Return this node's configuration of Consul: a server's or a client's.

    No first host and no order: every server waits for all of them (``bootstrap_expect``), every
    agent looks for all of them (``retry_join``), and that every second, for they start at the same
    time.
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
        # The multiplier 5 is for tiny machines; 1 is what HashiCorp advises for production.
        "performance": {"raft_multiplier": 1},
    }
    if settings["is_server"]:
        config["bootstrap_expect"] = len(settings["servers"])
    options = dict(consul["options"])
    ports = options.pop("ports", {})
    return {**config, **options, "ports": {**config["ports"], **ports}}


def consul_container(settings: dict, folder: str) -> tuple[dict, str]:
    """Return the container of Consul and the text of its configuration in ``folder``."""
    text = json.dumps(consul_config(settings), indent=2, sort_keys=True) + "\n"
    consul = settings["consul"]
    return {
        "image": consul["image"],
        "image_source": consul["image_source"],
        "command": ["agent", f"-config-file={folder}/{CONSUL_FILE}"],
        "mounts": [f"{folder}:{folder}:ro", f"{consul['volume']}:/consul/data"],
        "network_mode": "host",
        "restart_policy": "unless-stopped",
        # Consul reads its file at start only: another content is another container.
        "labels": {_CONFIG_LABEL: hashlib.sha256(text.encode()).hexdigest()[:16]},
    }, text


def _swarm(settings: dict, command: list[str]) -> dict:
    return {
        "image": settings["manager"]["image"],
        "image_source": settings["manager"]["image_source"],
        "command": command,
        "network_mode": "host",
        "restart_policy": "unless-stopped",
    }


def _tls_mounts(options: dict) -> list[str]:
    files = sorted({options[flag] for flag in ("tlscacert", "tlscert", "tlskey") if options[flag]})
    return [f"{path}:{path}:ro" for path in files]


def manager_tls(settings: dict) -> dict | None:
    """Return the files with which a manager is asked, ``None`` for one without TLS."""
    options = settings["manager"]["options"]
    if not (options["tls"] or options["tlsverify"]):
        return None
    return {
        "cert": options["tlscert"],
        "key": options["tlskey"],
        "ca": options["tlscacert"] if options["tlsverify"] else None,
    }


def manager_container(settings: dict) -> dict:
    """Return the container of ``swarm manage``."""
    mine = endpoint(settings["address"], settings["manager"]["port"])
    ours = {"host": f"tcp://{mine}", "advertise": mine}
    given = {
        flag: value for flag, value in settings["manager"]["options"].items() if value is not None
    }
    options = {**ours, **given}
    if not options["replication"]:
        options.pop("advertise")  # read with --replication only
    command = ["manage", *swarm_flags.argv(options, swarm_flags.MANAGE), settings["discovery"]]
    mounts = _tls_mounts(settings["manager"]["options"])
    return {**_swarm(settings, command), **({"mounts": mounts} if mounts else {})}


def agent_container(settings: dict) -> dict:
    """Return the container of ``swarm join``."""
    given = {
        flag: value for flag, value in settings["agent"]["options"].items() if value is not None
    }
    options = {"advertise": engine_endpoint(settings), **given}
    command = ["join", *swarm_flags.argv(options, swarm_flags.JOIN), settings["discovery"]]
    return _swarm(settings, command)
