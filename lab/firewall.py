"""Removes the firewall chains that a dockerd leaves behind when it stops."""

import re
import shutil

from lab.run import run

_OURS = re.compile(r"DOCKER(-.*)?")


def removals(rules: str) -> list[list[str]]:
    """Returns the iptables arguments that undo Docker's rules, from the output of `iptables -S`."""
    lines = [line.split() for line in rules.splitlines()]
    # Not DOCKER_OUTPUT and the like: where this machine is a container itself, its own name
    # service depends on these.
    chains = [words[1] for words in lines if words[0] == "-N" and _OURS.fullmatch(words[1])]
    jumps = [
        ["-D", *words[1:]]
        for words in lines
        if words[0] == "-A" and words[1] not in chains and set(words[2:]) & set(chains)
    ]
    # First every chain is emptied: one that another still jumps to cannot be deleted.
    return jumps + [["-F", chain] for chain in chains] + [["-X", chain] for chain in chains]


def clean() -> None:
    """Removes Docker's chains from the filter and nat tables; the rest stays."""
    if not shutil.which("iptables"):
        return
    for table in ("filter", "nat"):
        rules = run(["iptables", "-w", "-t", table, "-S"], check=False).stdout
        for words in removals(rules):
            run(["iptables", "-w", "-t", table, *words], check=False)
