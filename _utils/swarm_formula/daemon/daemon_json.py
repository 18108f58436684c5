"""
Compute the formula's keys of ``daemon.json``, which changes need a restart, and which keys a
version supports.

Pure. The keys and limits come from moby's ``daemon/config`` and ``daemon/reload.go``.
"""

import re
from collections.abc import Mapping
from typing import Any

from swarm_formula.core import host_files, modes, normalize
from swarm_formula.core.settings_types import Settings
from swarm_formula.daemon import holdings, package_set
from swarm_formula.standalone import flags
from swarm_formula.tls import certificate_due
from swarm_formula.tls.cert_files import Files

# Keys of daemon.json from 19.03 to 29, to detect typing errors; newer keys pass unchanged.
KNOWN = frozenset(
    """allow-direct-routing allow-nondistributable-artifacts api-cors-header authorization-plugins
    bip bip6 bridge bridge-accept-fwmark builder cgroup-parent cluster-advertise cluster-store
    cluster-store-opts config-file containerd containerd-namespace containerd-plugin-namespace
    cpu-rt-period cpu-rt-runtime cri-containerd data-root debug default-address-pools
    default-cgroupns-mode default-gateway default-gateway-v6 default-ipc-mode
    default-network-opts default-runtime default-shm-size default-ulimits deprecated-key-path
    dns dns-opts dns-search exec-opts exec-root experimental features firewall-backend
    fixed-cidr fixed-cidr-v6 group host-gateway-ip host-gateway-ips hosts http-proxy
    https-proxy icc init init-path insecure-registries ip ip-forward ip-forward-no-drop ip-masq
    ip6tables iptables ipv6 labels live-restore log-driver log-format log-level log-opts
    max-concurrent-downloads max-concurrent-uploads max-download-attempts metrics-addr
    min-api-version mtu network-control-plane-mtu network-diagnostic-port no-new-privileges
    no-proxy node-generic-resources oom-score-adjust pidfile proxies raw-logs registry-mirrors
    rootless runtimes seccomp-profile selinux-enabled shutdown-timeout storage-driver
    storage-opts swarm-default-advertise-addr tls tlscacert tlscert tlskey tlsverify
    userland-proxy userland-proxy-path userns-remap validate
    """.split()
)

RELOADABLE = frozenset(
    """debug max-concurrent-downloads max-concurrent-uploads max-download-attempts shutdown-timeout
    labels insecure-registries registry-mirrors live-restore features network-diagnostic-port
    allow-nondistributable-artifacts runtimes default-runtime cluster-store cluster-advertise
    cluster-store-opts""".split()
)

# Keys that concern the engine's TCP socket, and no container.
OF_SOCKET = frozenset({"tls", "tlsverify", *flags.TLS_FILES})

# Keys whose value an engine keeps at SIGHUP if the key is only removed (``daemon/reload.go``), with
# the defaults, which have to be written once.
_STICKY: dict[str, Any] = {
    "allow-nondistributable-artifacts": [],
    "debug": False,
    "default-runtime": "runc",
    # An engine from 29.10 on adds these to no explicit list (moby#53868), older ones to every one.
    "insecure-registries": ["127.0.0.0/8", "::1/128"],
    "labels": [],
    "live-restore": False,
    "registry-mirrors": [],
    "runtimes": {},
    "shutdown-timeout": 15,
}

# key: (first version that lacks it, what to do instead)
_REMOVED = {
    "cluster-store": ("23.0", "set swarm:overlay to false, or use an engine below 23.0"),
    "cluster-advertise": ("23.0", "set swarm:overlay to false, or use an engine below 23.0"),
    "cluster-store-opts": ("23.0", "leave it out, or use an engine below 23.0"),
}
# key: first version that has it
_ADDED = {
    "min-api-version": "29.0",
    "http-proxy": "23.0",
    "https-proxy": "23.0",
    "no-proxy": "23.0",
    "proxies": "23.0",
    "default-network-opts": "24.0",
    "firewall-backend": "29.0",
    "host-gateway-ips": "28.0",
    "allow-direct-routing": "28.2",
    "max-download-attempts": "20.10",
    "default-cgroupns-mode": "20.10",
    "ip6tables": "20.10",
    "bip6": "28.0",
    "log-format": "25.0",
}

_VERIFY = "tlsverify"
# The API version that managers of Swarm 1.2.9 and their clients use; the first engine version that
# by default answers 400 to it, and the minimum API version to set there: all of 29 take that.
OLD_API = (1, 30)
_API_FLOOR = ("29.0", "1.24")


def version(text: str) -> tuple[int, ...]:
    """Return the numbers of ``20.10.24+dfsg1`` or ``5:28.5.2-1~debian.12`` as a tuple."""
    match = re.match(r"(?:\d+:)?v?(\d+(?:\.\d+)*)", text or "")
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def downgrades(changes: dict[str, Any]) -> list[str]:
    """Return a warning for each package that a report shows as downgraded."""
    # The engine speaks for the packages that it moves with.
    members = {name for one in package_set.ENGINES.values() for name in one.members}
    pairs = {name: (one["old"], one["new"]) for name, one in changes.items() if name not in members}
    engines = {name: pairs[name] for name in package_set.ENGINES if name in pairs}
    gone = [(name, old) for name, (old, new) in engines.items() if new is None]
    come = [(name, new) for name, (old, new) in engines.items() if old is None]
    for (other, old), (name, new) in zip(gone, come, strict=False):
        pairs[f"{other}, replaced by {name}:"] = (old, new)
    return [
        f"{name} {old} is followed by the older {new}, and Docker supports no way back: an older"
        " engine may not read what a newer one has written"
        for name, (old, new) in pairs.items()
        if isinstance(old, str) and isinstance(new, str) and () < version(new) < version(old)
    ]


def overruled(changes: dict[str, Any]) -> list[str]:
    """Return a warning if a report shows that the formula's certificate replaces another one."""
    keys = changes.get("daemon.json") or {}
    found = {key: keys[key]["old"] for key in flags.TLS_FILES if key in keys}
    theirs = [
        f"{key} {path}"
        for key, path in found.items()
        if path and not str(path).startswith(f"{host_files.CONFIG}/") and keys[key]["new"]
    ]
    if not theirs:
        return []
    return [
        f"daemon.json had {', '.join(theirs)}: the formula's certificate replaces them, and clients"
        " with a certificate of that CA are refused at the engine's TCP socket. swarm.clean"
        " restores the keys. To use these files for the swarm: swarm:tls:ca_cert, cert and key"
    ]


def options(settings: Settings, engine_version: str, files: Files) -> dict[str, Any]:
    """Return the keys of ``daemon.json`` that the pillar requires, without the overlay keys."""
    mode = modes.of(settings)
    wanted: dict[str, Any] = {"live-restore": mode.live_restore}
    if settings["tls"]["used"] and settings["engine"]["port"]:
        wanted |= flags.tls(files)
        if settings["tls"]["ca"] and mode.clients_apart:
            # The nodes' CA is not among them: no node is a client.
            wanted["tlscacert"] = files.clients
    elif settings["engine"]["port"] and not settings["engine"]["options"].get("tlsverify"):
        # Set explicitly: otherwise dockerd sleeps 15 s at each start with a socket without TLS.
        wanted["tls"] = False
    if mode.old_api and version(engine_version) >= version(_API_FLOOR[0]):
        wanted["min-api-version"] = _API_FLOOR[1]
    wanted.update(settings["engine"]["options"])
    if settings["labels"]:
        wanted["labels"] = label_list(settings["labels"])
    return wanted


def overlay_options(settings: Settings, advertise: str, files: Files) -> dict[str, Any]:
    """Return the keys that enable overlay networks through the store on this engine."""
    if not settings["overlay"]:
        return {}
    wanted: dict[str, Any] = {
        "cluster-store": settings["discovery"],
        "cluster-advertise": advertise,
    }
    if settings["tls"]["used"] and settings["managed_store"]:
        wanted[STORE_OPTIONS] = flags.kv_tls(certificate_due.consul_files(settings, files))
    return wanted


def by_flag(wanted: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """
    Return ``wanted`` without the key for the command line, and whether to add ``--tlsverify``.

    The flag stands next to the option that opens the port. If ``daemon.json`` loses its keys, the
    engine then fails to start, instead of giving everybody root access.
    """
    rest = {key: value for key, value in wanted.items() if key != _VERIFY}
    return (rest, True) if wanted.get(_VERIFY) is True else (wanted, False)


STORE_OPTIONS = "cluster-store-opts"
OVERLAY_KEYS = ("cluster-store", "cluster-advertise", STORE_OPTIONS)


def label_list(labels: Mapping[str, Any]) -> list[str]:
    """Return ``{"zone": "a", "ssd": True}`` as ``["ssd=true", "zone=a"]``."""
    return sorted(f"{key}={value}" for key, value in normalize.table(labels).items())


def refusals(wanted: dict[str, Any], engine_version: str) -> list[str]:
    """Return why this engine does not support some of ``wanted``: key, version and remedy."""
    have = version(engine_version)
    if not have:
        return []
    found = []
    for key in wanted:
        last, cure = _REMOVED.get(key, (None, None))
        if last and have >= version(last):
            found.append(f"{key} is gone since Docker {last}, and {engine_version} is here: {cure}")
        first = _ADDED.get(key)
        if first and have < version(first):
            found.append(
                f"{key} is new in Docker {first}, and {engine_version} is here:"
                f" leave out swarm:engine:options:{key}, or use a newer engine"
            )
    return found


def needs_restart(changes: dict[str, Any]) -> bool:
    """Check whether a SIGHUP is not enough: it can add the store, but not remove or replace it."""
    had = any(key in changes and changes[key]["old"] is not None for key in OVERLAY_KEYS)
    # Of the features, the engine reads the image store only when it starts.
    image_store = "features" in changes and holdings.hiding(
        *({"features": changes["features"][one]} for one in ("old", "new"))
    )
    return had or bool(image_store) or any(key not in RELOADABLE for key in changes)


def resets(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults that an engine has to read at SIGHUP for keys that are removed."""
    return {
        key: default
        for key, default in _STICKY.items()
        if key in changes and changes[key]["new"] is None
    }
