"""
Look at a host before anything is changed: what an engine and its networks need of the kernel, disk,
clock and network. Reads files only, and starts no process.

What cannot be determined is no finding: in a container, the modules are those of its host.
"""

import ctypes
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from swarm_formula.core import host_files, modes, platforms
from swarm_formula.core.settings_types import Settings

_ROOT = Path("/")
_FREE = 1 << 30  # bytes: the images of classic mode, and their unpacking
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronized
_TIMEX = 512  # bytes, more than its struct has
_OUTER = 1500  # overlay networks reckon with this MTU of the interface
# What a zone that an administrator has changed may have.
_OPENED = ("<port ", "<source ", "docker-swarm")
_MTU = "com.docker.network.driver.mtu"


class Finding(NamedTuple):
    """What is wrong with this host, with the cure; ``fatal`` if the engine surely cannot work."""

    text: str
    fatal: bool = False


class Module(NamedTuple):
    """A kernel module: who needs it, and what does not work without it."""

    needed: Callable[[Settings], bool]
    lost: str
    fatal: bool = False


def _overlay(settings: Settings) -> bool:
    return bool(settings["overlay"]) or modes.of(settings).cluster_overlay


def _virtual_addresses(settings: Settings) -> bool:
    return modes.of(settings).virtual_addresses


def encrypted(settings: Settings) -> bool:
    """Return whether the pillar has an encrypted overlay network."""
    return any("encrypted" in (one["options"] or {}) for one in settings["networks"].values())


def _iptables(settings: Settings) -> bool:
    options = settings["engine"]["options"]
    return options.get("iptables") is not False and options.get("firewall-backend") != "nftables"


MODULES = {
    "overlay": Module(lambda _: True, "the engine falls back to a slow storage driver, or fails"),
    "br_netfilter": Module(_iptables, "containers of one host are not kept apart"),
    "xt_addrtype": Module(_iptables, "the engine does not start", fatal=True),
    "vxlan": Module(_overlay, "overlay networks do not work"),
    "ip_vs": Module(_virtual_addresses, "addresses of services do not answer"),
    "xt_bpf": Module(encrypted, "no container starts on an encrypted overlay network"),
}


def in_container() -> bool:
    """Check whether this host is a container, whose kernel and clock belong to another machine."""
    return (_ROOT / "run/systemd/container").exists() or (_ROOT / ".dockerenv").exists()


def _available(folder: Path) -> set[str] | None:
    """Return the modules of the running kernel, built in or loadable; ``None`` if unknown."""
    found = set()
    for name in ("modules.builtin", "modules.dep"):
        try:
            text = (folder / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        paths = [line.partition(":")[0].split(" ")[0] for line in text.splitlines()]
        found |= {path.rpartition("/")[2].partition(".")[0].replace("-", "_") for path in paths}
    return found


def _modules(settings: Settings, cure: str) -> Iterator[Finding]:
    release = platform.release()
    there = None if in_container() else _available(_ROOT / "lib/modules" / release)
    if there is None:
        return
    for name, one in MODULES.items():
        loaded = (_ROOT / "sys/module" / name).exists()
        if one.needed(settings) and name not in there and not loaded:
            yield Finding(
                f"the kernel {release} has no module {name}: {one.lost}. Install {cure}",
                one.fatal,
            )


def _backends(_: Settings) -> Iterator[Finding]:
    try:
        tables = (_ROOT / "proc/net/ip_tables_names").read_text(encoding="utf-8").split()
        program = (_ROOT / "etc/alternatives/iptables").readlink().name
    except OSError:
        return
    if tables and program.endswith("-nft"):
        yield Finding(
            f"iptables is {program}, and this host has tables of iptables-legacy as well"
            f" ({', '.join(sorted(tables))}): packets have to pass both. See"
            " 'iptables-legacy-save'; move what you need, then reboot"
        )


def _disk(settings: Settings) -> Iterator[Finding]:
    root = Path(settings["engine"]["options"].get("data-root") or "/var/lib/docker")
    place = next(one for one in (root, *root.parents) if one.exists())
    stat = os.statvfs(place)
    free = stat.f_bavail * stat.f_frsize
    if free < _FREE:
        yield Finding(
            f"{place} has {free >> 20} MiB left for {root}: images need about {_FREE >> 20} MiB."
            " 'docker system df' shows what could go"
        )


def _unsynchronized() -> bool:
    try:
        state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX))
    except (AttributeError, OSError):
        return False
    return state == _TIME_ERROR


def _clock(_: Settings) -> Iterator[Finding]:
    if not in_container() and _unsynchronized():
        yield Finding(
            "the clock is not synchronized: with a clock that is off, certificates are not valid"
            " yet or any more. Enable systemd-timesyncd or chrony"
        )


def _interface(address: str) -> tuple[str, int] | None:
    """Return the interface on the way to the other members, by the kernel's IPv4 routes."""
    try:
        lines = (_ROOT / "proc/net/fib_trie").read_text(encoding="utf-8")
        routes = (_ROOT / "proc/net/route").read_text(encoding="utf-8").splitlines()[1:]
    except OSError:
        return None
    if address not in lines:
        return None
    try:
        number = int.from_bytes(bytes(map(int, address.split("."))), "little")
    except ValueError:
        return None
    best = (-1, "")
    for fields in map(str.split, routes):
        target, mask = int(fields[1], 16), int(fields[7], 16)
        if number & mask == target:
            best = max(best, (mask.bit_count(), fields[0]))
    mtu = host_files.read(_ROOT / "sys/class/net" / best[1] / "mtu") if best[1] else None
    return (best[1], int(mtu)) if mtu else None


def _mtu(settings: Settings) -> Iterator[Finding]:
    given = {
        name: str((one["options"] or {}).get(_MTU, _OUTER))
        for name, one in settings["networks"].items()
        if one["driver"] == "overlay"
    }
    wide = {name: int(one) for name, one in given.items() if one.isdecimal()}
    found = _interface(settings["data_path"] or settings["address"]) if wide else None
    if found is None:
        return
    interface, limit = found
    for name, mtu in wide.items():
        if mtu > limit:
            yield Finding(
                f"swarm:networks:{name} has an MTU for interfaces of {mtu}, and {interface} has"
                f" {limit}: large packets are lost. Set its options: {{{_MTU}: '{limit}'}}"
            )


def _firewalld(_: Settings) -> Iterator[Finding]:
    if not (_ROOT / "sys/fs/cgroup/system.slice/firewalld.service").exists():
        return
    zones = sorted((_ROOT / "etc/firewalld/zones").glob("*.xml"))
    if not any(word in (host_files.read(one) or "") for one in zones for word in _OPENED):
        yield Finding(
            "firewalld is active, and no zone in /etc/firewalld/zones opens a port or trusts a"
            " network: the other members do not reach this host, whatever swarm:firewall allows."
            " Trust their network: 'firewall-cmd --permanent --zone=trusted --add-source=NETWORK',"
            " then 'firewall-cmd --reload'; or disable firewalld, and use swarm:firewall"
        )


CHECKS = (_backends, _disk, _clock, _mtu, _firewalld)


def findings(settings: Settings, platform_row: platforms.Platform | None = None) -> list[Finding]:
    """
    Return everything that is wrong with this host for these settings.

    platform_row
        That of this host; by default, Debian's.
    """
    row = platform_row or platforms.of({})
    rest = [found for check in CHECKS for found in check(settings)]
    return [*_modules(settings, row.modules), *rest]
