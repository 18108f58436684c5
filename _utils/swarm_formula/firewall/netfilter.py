"""
Render firewall rules for nftables and iptables, as they are loaded and as they are listed, and the
unit that loads them. Pure.

The rules only drop traffic to the swarm's ports from sources that are not allowed. They cannot lock
anyone out of other ports, and they do not override an administrator's own rules: a packet that
passes here can still be dropped there.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNIT = "swarm-firewall.service"
_HEADER = "# Written by Salt (swarm-formula); loaded by swarm-firewall.service.\n"
_TABLE, _CHAIN = "swarm_formula", "SWARM-FORMULA"
_JUMP = f"-A INPUT -j {_CHAIN}"
# These services may flush the kernel's tables when they start or reload.
_OTHERS = "nftables.service netfilter-persistent.service ufw.service firewalld.service"


class Rules(NamedTuple):
    """Groups of networks, and the ports that each group may reach."""

    groups: dict[str, list[Network]]
    ports: list[tuple[str, int, str]]  # protocol, port, group


class Table(NamedTuple):
    """A set of rules in the kernel: how it is listed, loaded and reported."""

    name: str
    file: str
    show: list[str]
    load: list[str]  # reads from standard input
    own: Callable[[str], list[str]]  # the formula's lines in the output of ``show``
    lines: Callable[[Rules], list[str]]  # the wanted lines
    text: Callable[[list[str]], str]  # the content of the file for these lines
    undo: Callable[[list[str]], str]  # input for ``load`` that removes the formula's lines
    start: Callable[[str], list[str]]  # the unit's commands for the file


# ---- nftables


def _nft_own(listing: str) -> list[str]:
    """Return the lines of the formula's table; nft lists them as written, without empty lines."""
    block = re.search(rf"^table inet {_TABLE} \{{\n.*?^\}}$", listing, flags=re.M | re.S)
    return [one for one in block[0].splitlines() if one.strip()] if block else []


def _nft_source(network: Network) -> str:
    family = "ip" if network.version == 4 else "ip6"  # noqa: PLR2004
    shown = network.network_address if network.num_addresses == 1 else network
    return f"\t\t{family} saddr {shown} accept"


def _nft_lines(found: Rules) -> list[str]:
    groups = [
        line
        for name, networks in found.groups.items()
        for line in (f"\tchain {name} {{", *map(_nft_source, networks), "\t\tdrop", "\t}")
    ]
    ports = [f"\t\t{protocol} dport {port} goto {name}" for protocol, port, name in found.ports]
    return [
        f"table inet {_TABLE} {{",
        *groups,
        "\tchain input {",
        "\t\ttype filter hook input priority filter - 1; policy accept;",
        '\t\tiif "lo" accept',
        "\t\tct state established,related accept",
        *ports,
        "\t}",
        "}",
    ]


def _nft_text(lines: list[str]) -> str:
    # One transaction. The table is added first: deleting a missing table is an error.
    anew = f"add table inet {_TABLE}\ndelete table inet {_TABLE}\n"
    return _HEADER + anew + "\n".join(lines) + "\n"


def _nft(path: str) -> Table:
    return Table(
        name=f"table inet {_TABLE}",
        file="firewall.nft",
        show=[path, "list", "ruleset", "inet"],
        load=[path, "-f", "-"],
        own=_nft_own,
        lines=_nft_lines,
        text=_nft_text,
        undo=lambda _: f"delete table inet {_TABLE}\n",
        start=lambda file: [f"{path} -f {file}"],
    )


# ---- iptables


def _iptables_own(listing: str) -> list[str]:
    """Return the lines of the formula's chains, and the jump to them, by chain."""
    pattern = rf"-[NA] {_CHAIN}\b.*"
    found = [one for one in listing.splitlines() if one == _JUMP or re.fullmatch(pattern, one)]
    return _by_chain(dict.fromkeys(found))


def _by_chain(lines: Iterable[str]) -> list[str]:
    """Sort lines by chain; keep the order within a chain, which matters."""
    return sorted(lines, key=lambda one: (one[:2] != "-N", one.split()[1]))


def _group_chain(name: str) -> str:
    return f"{_CHAIN}-{name.upper()}"


def _iptables_lines(found: Rules, version: int) -> list[str]:
    # RETURN, not ACCEPT: the rules that follow in INPUT still apply.
    lines = [_JUMP, f"-N {_CHAIN}", f"-A {_CHAIN} -i lo -j RETURN"]
    lines += [f"-A {_CHAIN} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"]
    lines += [
        f"-A {_CHAIN} -p {protocol} -m {protocol} --dport {port} -g {_group_chain(name)}"
        for protocol, port, name in found.ports
    ]
    for name, networks in found.groups.items():
        chain = _group_chain(name)
        lines.append(f"-N {chain}")
        for one in networks:
            if one.version == version:
                # iptables lists a source of any address without -s.
                source = f" -s {one}" if one.prefixlen else ""
                lines.append(f"-A {chain}{source} -j RETURN")
        lines.append(f"-A {chain} -j DROP")
    return _by_chain(lines)


def _iptables_text(lines: list[str]) -> str:
    # Declaring an existing chain flushes it. The jump is not added here, because each load would
    # add another one.
    chains = [f":{one.split()[1]} - [0:0]" for one in lines if one.startswith("-N ")]
    appended = [one for one in lines if one.startswith("-A ") and one != _JUMP]
    return _HEADER + "\n".join(["*filter", *chains, *appended, "COMMIT"]) + "\n"


def _iptables_undo(lines: list[str]) -> str:
    jump = [_JUMP.replace("-A", "-D")] if _JUMP in lines else []
    chains = [one.split()[1] for one in lines if one.startswith("-N ")]
    # Flush all chains first: a chain that another one jumps to cannot be deleted.
    steps = [*jump, *(f"-F {one}" for one in chains), *(f"-X {one}" for one in chains)]
    return "\n".join(["*filter", *steps, "COMMIT"]) + "\n"


def _iptables(path: str, version: int) -> Table:
    jump = _JUMP.removeprefix("-A ")
    ensure = f"{path} -w -C {jump} 2>/dev/null || {path} -w -I {jump}"
    return Table(
        name=f"{path.rpartition('/')[2]} chain {_CHAIN}",
        file="firewall.rules" if version == 4 else "firewall6.rules",  # noqa: PLR2004
        show=[path, "-w", "-S"],
        load=[f"{path}-restore", "-w", "--noflush"],
        own=_iptables_own,
        lines=lambda found: _iptables_lines(found, version),
        text=_iptables_text,
        undo=_iptables_undo,
        start=lambda file: [f"{path}-restore -w --noflush {file}", f"/bin/sh -c '{ensure}'"],
    )


# ---- both

FILES = ("firewall.nft", "firewall.rules", "firewall6.rules")


def tables(tools: Mapping[str, str | None], ipv6: bool) -> tuple[list[Table], list[Table]]:
    """
    Return the tables to use on this host, and the tables that an earlier run may have used.

    tools
        Paths of ``nft``, ``iptables`` and ``ip6tables``, ``None`` for a missing tool.
    """
    older = [("iptables", 4), *([("ip6tables", 6)] if ipv6 else [])]
    legacy = [_iptables(path, version) for name, version in older if (path := tools[name])]
    if tools["nft"]:
        return [_nft(tools["nft"])], legacy
    return (legacy, []) if len(legacy) == len(older) else ([], legacy)


def differ(live: list[str], wanted: list[str]) -> dict[str, list[str] | None]:
    """Return surplus lines as ``old`` and missing lines as ``new``; ``{}`` if all lines match."""
    if [one.strip() for one in live] == [one.strip() for one in wanted]:
        return {}
    have, want = [one.strip() for one in live], [one.strip() for one in wanted]
    gone, fresh = ([one for one in a if one not in b] for a, b in ((have, want), (want, have)))
    return {"old": gone or None, "new": fresh or None}


def unit(commands: Iterable[str], service: str) -> str:
    """
    Return the unit that loads the rules before the engine and its containers can listen.

    service
        The engine's unit.

    Other firewall services may flush the formula's rules when they restart or reload; the unit then
    loads them again.
    """
    commands = list(commands)
    lines = [*(f"ExecStart={one}" for one in commands), *(f"ExecReload={one}" for one in commands)]
    return (
        "# Written by Salt (swarm-formula).\n"
        "[Unit]\n"
        "Description=Who may reach the ports of the swarm\n"
        f"After={_OTHERS}\nPartOf={_OTHERS}\nReloadPropagatedFrom={_OTHERS}\n"
        f"Before={service}.service\n\n"
        "[Service]\nType=oneshot\nRemainAfterExit=yes\n" + "\n".join(lines) + "\n\n"
        "[Install]\nWantedBy=multi-user.target\n"
    )
