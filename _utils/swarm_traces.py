"""
Remove what a Docker engine leaves in the kernel when its package is removed: its bridges, and its
chains and rules in iptables.

Rules are recognized by the forms in which Docker writes them, and chains by their names:
https://docs.docker.com/engine/network/packet-filtering-firewalls/. The policy of ``FORWARD`` and
``net.ipv4.ip_forward`` stay: another program may need them by now.
"""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import swarm_docker
import swarm_errors

# Bridges of networks that Docker creates itself.
_BRIDGES = ("docker0", "docker_gwbridge")
_NAME = "com.docker.network.bridge.name"
_LINKS, _PROCESSES = Path("/sys/class/net"), Path("/proc")
_TOOLS = ("iptables", "ip6tables")
# Not the chains DOCKER_OUTPUT and DOCKER_POSTROUTING: in a container, they are another engine's.
_CHAIN = re.compile(r":(DOCKER(?:-[A-Z0-9-]+)?) ")
# An administrator's own rules are in this chain.
_USERS = "DOCKER-USER"
_FORMS = (
    r"-A POSTROUTING -s \S+ ! -o {bridge} -j MASQUERADE",
    r"-A POSTROUTING -o {bridge} -m addrtype --src-type LOCAL -j MASQUERADE",
    r"-A FORWARD -o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    r"-A FORWARD -i {bridge} (?:! )?-o {bridge} -j (?:ACCEPT|DROP)",
)


def bridges(salt: Mapping[str, Callable]) -> list[str]:
    """Return the bridges of the engine's networks; only Docker's own if it does not answer."""
    found = list(_BRIDGES)
    with contextlib.suppress(swarm_errors.SwarmError):
        url = salt["config.get"]("swarm_docker_url")
        with swarm_docker.connect(url, what="the engine's networks") as client:
            found += map(_bridge, client.networks(filters={"driver": "bridge"}))
    return list(dict.fromkeys(found))


def _bridge(network: Mapping[str, Any]) -> str:
    return (network.get("Options") or {}).get(_NAME) or f"br-{network['Id'][:12]}"


def remove(salt: Mapping[str, Callable], names: Iterable[str]) -> list[str]:
    """
    Remove these bridges, and Docker's chains and rules; return what could not be removed.

    Nothing is removed while an engine runs on this host, or from a bridge that is in use.
    """
    if _engine_runs():
        return []
    unused = [name for name in names if _is_unused_bridge(name)]
    said = [_run(salt, ["ip", "link", "delete", name]) for name in unused]
    for tool in filter(salt["cmd.which"], _TOOLS):
        listing = _listing(salt, tool)
        if text := undo(listing, names):
            said.append(_run(salt, [f"{tool}-restore", "-w", "--noflush"], text))
    return [one for one in said if one]


def _engine_runs() -> bool:
    commands = (one / "comm" for one in _PROCESSES.glob("[0-9]*"))
    return any(_text(one) == "dockerd" for one in commands)


def _text(path: Path) -> str:
    # The process may have ended in between.
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8").strip()
    return ""


def _is_unused_bridge(name: str) -> bool:
    link = _LINKS / name
    return (link / "bridge").is_dir() and not any((link / "brif").iterdir())


def _listing(salt: Mapping[str, Callable], tool: str) -> str:
    done = salt["cmd.run_all"]([f"{tool}-save"], python_shell=False, ignore_retcode=True)
    return "" if done["retcode"] else done["stdout"]


def _run(salt: Mapping[str, Callable], command: list[str], stdin: str | None = None) -> str:
    """Run a command; return its error, empty if there is none."""
    done = salt["cmd.run_all"](command, stdin=stdin, python_shell=False, ignore_retcode=True)
    return f"'{' '.join(command)}': {done['stderr'] or done['stdout']}" if done["retcode"] else ""


def undo(listing: str, names: Iterable[str]) -> str:
    """
    Return the input of ``iptables-restore`` that removes Docker's chains and rules; empty if there
    are none.

    listing
        The output of ``iptables-save``.
    """
    bridge = f"(?:{'|'.join(map(re.escape, names))})"
    forms = re.compile("|".join(one.format(bridge=bridge) for one in _FORMS))
    steps = [line for table in _tables(listing) for line in _steps(*table, forms)]
    return "\n".join(steps) + "\n" if steps else ""


def _tables(listing: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of each table and its lines."""
    for block in re.split(r"^(?=\*)", listing, flags=re.M):
        name, *lines = block.splitlines() or [""]
        if name.startswith("*"):
            yield name, lines


def _steps(table: str, lines: list[str], forms: re.Pattern) -> list[str]:
    """Return the steps for one table: rules first, because a chain in use cannot be deleted."""
    found = [chain[1] for line in lines if (chain := _CHAIN.match(line))]
    chains = [one for one in found if one != _USERS or not _has_rules_of_others(lines)]
    jumps = tuple(f" -j {chain}" for chain in chains)
    rules = [
        line
        for line in lines
        if line.startswith("-A ") and line.split()[1] not in chains
        if line.endswith(jumps) or forms.fullmatch(line)
    ]
    steps = [*(f"-D {one.removeprefix('-A ')}" for one in rules)]
    steps += [f"{what} {chain}" for what in ("-F", "-X") for chain in chains]
    return [table, *steps, "COMMIT"] if steps else []


def _has_rules_of_others(lines: list[str]) -> bool:
    rules = [one for one in lines if one.startswith(f"-A {_USERS} ")]
    return any(one != f"-A {_USERS} -j RETURN" for one in rules)
