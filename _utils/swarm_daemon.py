"""
What goes into ``daemon.json``: the merge with an admin's keys, what needs a restart, and what a
version takes.

Pure. Keys and limits are those of moby's ``daemon/config`` and ``daemon/reload.go``.
"""

import re

import swarm_errors
import swarm_flags
import swarm_holdings
import swarm_values
from swarm_certs import Files

# Keys of daemon.json from 19.03 to 29, to find typing errors; one that is newer passes as it is.
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

# What an engine keeps by SIGHUP when the key is only taken away (``daemon/reload.go``), and what
# it would start with: that has to be said once.
_STICKY = {
    "allow-nondistributable-artifacts": [],
    "debug": False,
    "default-runtime": "runc",
    "insecure-registries": [],
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
# Below 1.30, what the manager and its clients speak, these engines answer 400 by default.
_API_FLOOR = ("29.0", "1.24")


def version(text: str) -> tuple[int, ...]:
    """Return the numbers of ``20.10.24+dfsg1`` or ``5:28.5.2-1~debian.12`` as a tuple."""
    match = re.match(r"(?:\d+:)?v?(\d+(?:\.\d+)*)", text or "")
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def downgrades(changes: dict) -> list[str]:
    """Return warnings of packages in a report that become older."""
    pairs = {name: (one["old"], one["new"]) for name, one in changes.items()}
    return [
        f"{name} {old} is followed by the older {new}, and Docker supports no way back: an older"
        " engine may not read what a newer one has written"
        for name, (old, new) in pairs.items()
        if isinstance(old, str) and isinstance(new, str) and () < version(new) < version(old)
    ]


def options(settings: dict, engine_version: str, files: Files) -> dict:
    """Return what pillar wants in ``daemon.json``, without the overlay's keys."""
    classic = settings["mode"] == "classic"
    # Swarm mode refuses an engine that has it.
    wanted = {"live-restore": classic}
    if settings["tls"]["used"]:
        wanted |= swarm_flags.tls(files)
    elif settings["engine"]["port"] and not settings["engine"]["options"].get("tlsverify"):
        # Said out loud, or dockerd sleeps 15 s at each start over a socket without TLS.
        wanted["tls"] = False
    if classic and version(engine_version) >= version(_API_FLOOR[0]):
        wanted["min-api-version"] = _API_FLOOR[1]
    wanted.update(settings["engine"]["options"])
    if settings["labels"]:
        wanted["labels"] = label_list(settings["labels"])
    return wanted


def overlay_options(settings: dict, advertise: str, files: Files) -> dict:
    """Return the keys that give this engine overlay networks through the store."""
    if not settings["overlay"]:
        return {}
    wanted = {"cluster-store": settings["discovery"], "cluster-advertise": advertise}
    if settings["tls"]["used"] and settings["own_store"]:
        wanted["cluster-store-opts"] = swarm_flags.kv_tls(files)
    return wanted


def by_flag(wanted: dict) -> tuple[dict, bool]:
    """
    Return ``wanted`` without what the command line says, and whether it says ``--tlsverify``.

    Next to the option that opens the port: a ``daemon.json`` that loses its keys then is one with
    which the engine does not start, and not one with which everybody is root.
    """
    rest = {key: value for key, value in wanted.items() if key != _VERIFY}
    return (rest, True) if wanted.get(_VERIFY) is True else (wanted, False)


OVERLAY_KEYS = ("cluster-store", "cluster-advertise", "cluster-store-opts")


def label_list(labels: dict) -> list[str]:
    """Return ``{"zone": "a", "ssd": True}`` as ``["ssd=true", "zone=a"]``."""
    return sorted(f"{key}={value}" for key, value in swarm_values.table(labels).items())


def refusals(wanted: dict, engine_version: str) -> list[str]:
    """Return why this engine cannot take some of ``wanted``: the key, the version, the cure."""
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


def _labels(config: dict) -> list:
    labels = config.get("labels") or []
    if not isinstance(labels, list):
        raise swarm_errors.SwarmError(
            f"the labels in daemon.json are no list, but {labels!r}; nothing was changed: write"
            ' them as a list, such as ["zone=a"]'
        )
    return labels


def _by_key(labels: list) -> dict:
    return {str(one).split("=", 1)[0]: one for one in labels}


def _labels_before(current: list, entry: dict) -> list:
    """Return ``current`` without our labels and with those of an admin that ours had replaced."""
    before, ours = _by_key(entry["before"] or []), _by_key(entry.get("ours", []))
    kept = [one for one in current if one not in ours.values() or one in before.values()]
    replaced = {key: one for key, one in before.items() if key in ours}
    labels = {**replaced, **_by_key(kept)}
    return [labels[key] for key in sorted(labels, key=[*before, *labels].index)]


def _merge_labels(current: list, wanted: list, entry: dict) -> list:
    """Lay ``wanted`` over ``current``, without those of ours that are not wanted any more."""
    merged = {**_by_key(_labels_before(current, entry)), **_by_key(wanted)}
    same = sorted(map(str, merged.values())) == sorted(map(str, current))
    return current if same else list(merged.values())


def merge(
    current: dict, wanted: dict, record: dict, keys: tuple | None = None
) -> tuple[dict, dict]:
    """
    Return the new ``daemon.json`` and the new record of what in it is ours.

    The record, ``{key: {"ours": value, "before": value}}``, tells an admin's keys from our own: a
    key that pillar no longer wants goes back to what it was before us, unless an admin has changed
    it since. ``keys`` limits the merge to these; without it, all but the overlay's are meant.
    """
    result, kept = dict(current), {}
    for key, entry in record.items():
        mine = key in keys if keys else key not in OVERLAY_KEYS
        if not mine:
            kept[key] = entry
        elif key not in wanted:
            _give_back(result, key, entry)
    for key, value in wanted.items():
        entry = record.get(key, {"before": current.get(key)})
        kept[key] = {"ours": value, "before": entry["before"]}
        labels = key == "labels"
        result[key] = _merge_labels(_labels(current), value, entry) if labels else value
    return result, kept


def _give_back(config: dict, key: str, entry: dict) -> None:
    before = entry["before"]
    if key == "labels":
        before = _labels_before(_labels(config), entry) or (None if before is None else [])
    elif config.get(key) != entry["ours"]:
        return
    if before is None:
        config.pop(key, None)
    else:
        config[key] = before


def diff(old: dict, new: dict) -> dict:
    """Return ``{key: {"old": ..., "new": ...}}`` of what differs between two ``daemon.json``."""
    return {
        key: {"old": old.get(key), "new": new.get(key)}
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    }


def needs_restart(changes: dict) -> bool:
    """Say whether a SIGHUP is not enough: it can give an engine a store, not take it or another."""
    had = any(key in changes and changes[key]["old"] is not None for key in OVERLAY_KEYS)
    # Of the features, this one is looked at by a start only.
    image_store = "features" in changes and swarm_holdings.hiding(
        *({"features": changes["features"][one]} for one in ("old", "new"))
    )
    return had or bool(image_store) or any(key not in RELOADABLE for key in changes)


def resets(changes: dict) -> dict:
    """Return what an engine has to be told by SIGHUP, for keys that are taken away: defaults."""
    return {
        key: default
        for key, default in _STICKY.items()
        if key in changes and changes[key]["new"] is None
    }
