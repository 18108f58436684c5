"""
Recognize causes outside of the formula in error texts. Pure.

A full disk, for example, is reported by any program that writes to it: dockerd, Consul, apt, pip or
Salt itself. Each program has its own wording, inside an error about something else. This module
adds the cause and the remedy in one place.
"""

import re
from typing import NamedTuple


class Cause(NamedTuple):
    """A cause: the pattern that identifies it, and the text to add to an error that matches."""

    words: str
    text: str


# A remedy either changes nothing or changes only what it names.
_CAUSES = (
    Cause(
        r"no space left on device|n.t have enough free space|disk quota exceeded",
        "a file system is full, or has no inode left: 'df -h' and 'df -i' on that host show which;"
        " make room on it and apply again",
    ),
    Cause(
        r"read-only file system",
        "a file system is mounted read-only: 'findmnt -o TARGET,OPTIONS' on that host shows which,"
        " and 'dmesg' whether the kernel did it after a disk error; mount it read-write and apply"
        " again",
    ),
    Cause(
        r"\bunit (?:file )?\S+ is masked",
        "somebody has masked that unit on purpose, for a masked unit cannot start: if Docker is to"
        " run on that host, 'systemctl unmask docker.service docker.socket' and apply again",
    ),
    Cause(
        r"certificate (?:has expired or )?is not yet valid",
        "the clock of one of the two hosts is wrong, or the certificate has expired: compare 'date'"
        " and 'salt-call swarm_tls.status' on both, correct the clock, and apply again",
    ),
    Cause(
        r"certificate has expired",
        "no apply has renewed the certificate in time, or the clock of that host is ahead: compare"
        " 'date' and 'salt-call swarm_tls.status' on both hosts, and apply swarm on the one whose"
        " certificate has expired",
    ),
    Cause(
        r"apparmor_parser|apparmor .{0,60}executable file not found",
        "AppArmor is on in the kernel, and its tools are not installed: install the package"
        " apparmor on that host and apply again",
    ),
    Cause(
        r"address (?:already )?in use|port is already allocated",
        "another program has that port: 'ss -Hltnup' on that host shows which; stop it, or give"
        " the swarm another port in pillar, and apply again",
    ),
    Cause(
        r"no such host|temporary failure (?:in name resolution|resolving)|could not resolve"
        r"|name or service not known|name resolution",
        "that host cannot resolve a name: look at its DNS ('getent hosts NAME', /etc/resolv.conf)"
        " and at /etc/hosts",
    ),
    Cause(
        r"cannot allocate memory|out of memory",
        "that host has no memory left: 'free -m' and 'dmesg' there show what uses it",
    ),
)
_LEAD = "\nCause: "


def explained(text: str) -> str:
    """Return the error text with the cause and the remedy appended, if a cause matches."""
    if _LEAD in text:
        return text
    found = next((one.text for one in _CAUSES if re.search(one.words, text, re.IGNORECASE)), None)
    return f"{text}{_LEAD}{found}" if found else text
