"""
Remove what a Docker engine leaves in the kernel when its package is removed: its bridges, and its
chains and rules in iptables.

Rules are recognized by the forms in which Docker writes them, and chains by their names:
https://docs.docker.com/engine/network/packet-filtering-firewalls/. The policy of ``FORWARD`` and
``net.ipv4.ip_forward`` stay: another program may need them by now.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from swarm_formula.core import errors
from swarm_formula.core.salt_types import Salt
from swarm_formula.docker import engine_api

# Bridges of networks that Docker creates itself, and the option with the name of another bridge.
_BRIDGES = ("docker0", "docker_gwbridge")
_NAME = "com.docker.network.bridge.name"
_LINKS, _PROCESSES = Path("/sys/class/net"), Path("/proc")
_TOOLS = ("iptables", "ip6tables")
# All of Docker's chains, of any version, and no other that an administrator has called DOCKER-...
# Not DOCKER_OUTPUT and DOCKER_POSTROUTING: in a container, they are another engine's.
_CHAIN = r":(DOCKER(?:-(?:USER|INGRESS|FORWARD|BRIDGE|CT|INTERNAL|ISOLATION(?:-STAGE-[12])?))?) "
# An administrator's own rules are in this chain.
_USERS = "DOCKER-USER"
_FORMS = (
    r"-A POSTROUTING -s \S+ ! -o {bridge} -j MASQUERADE",
    r"-A POSTROUTING -o {bridge} -m addrtype --src-type LOCAL -j MASQUERADE",
    r"-A FORWARD -o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    r"-A FORWARD -i {bridge} (?:! )?-o {bridge} -j (?:ACCEPT|DROP)",
)


def bridges(salt: Salt) -> list[str]:
    """
    Return the bridges of the engine's networks; only Docker's own if it does not answer.

    Without those that have been given a name: an engine uses a bridge of that name that exists, and
    does not tell whether it has created it.
    """
    found = list(_BRIDGES)
    with (
        contextlib.suppress(errors.SwarmError),
        engine_api.connect_local(salt, "the engine's networks") as client,
    ):
        networks = client.networks(filters={"driver": "bridge"})
        found += [f"br-{one['Id'][:12]}" for one in networks if not _is_named(one)]
    return found


def _is_named(network: Mapping[str, Any]) -> bool:
    return bool((network.get("Options") or {}).get(_NAME))


def remove(salt: Salt, names: Iterable[str]) -> list[str]:
    """
    Remove these bridges, and Docker's chains and rules; return what could not be removed.

    Nothing is removed while an engine runs on this host; a bridge with ports stays, with its rules.
    """
    if _engine_runs():
        return []
    unused = [name for name in names if not _is_used(name)]
    there = [name for name in unused if (_LINKS / name / "bridge").is_dir()]
    said = [_run(salt, ["ip", "link", "delete", name]) for name in there]
    for tool in filter(salt["cmd.which"], _TOOLS):
        listing = _listing(salt, tool)
        if text := undo(listing, unused):
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


def _is_used(name: str) -> bool:
    ports = _LINKS / name / "brif"
    return ports.is_dir() and any(ports.iterdir())


def _listing(salt: Salt, tool: str) -> str:
    done = salt["cmd.run_all"]([f"{tool}-save"], python_shell=False, ignore_retcode=True)
    return "" if done["retcode"] else done["stdout"]


def _run(salt: Salt, command: list[str], stdin: str | None = None) -> str:
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


def _steps(table: str, lines: list[str], forms: re.Pattern[str]) -> list[str]:
    """Return the steps for one table: rules first, because a chain in use cannot be deleted."""
    found = [chain[1] for line in lines if (chain := re.match(_CHAIN, line))]
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
