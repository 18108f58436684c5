"""
Read the file with the registry's users, as ``htpasswd -B`` makes it. Pure.

The registry itself takes bcrypt only, and logs in nobody whose line has another hash.
"""

import re
from typing import Any

from swarm_formula.core import errors

_LINE = r"([^:\s][^:\n]*):(\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53})"


def parsed(text: str, what: str) -> dict[str, str]:
    """Return ``{user: hash}``; raise an error, without the line, for one that is no login."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(_LINE, line.strip())
        if not match:
            raise errors.SwarmError(
                f"line {number} of {what} is no user with a bcrypt hash, the only one that the"
                " registry takes: make it with `htpasswd -B`"
            )
        found[match[1]] = match[2]
    if not found:
        raise errors.SwarmError(f"{what} has no user: make one with `htpasswd -B`")
    return found


def text(logins: dict[str, str]) -> str:
    """Return the text of the file."""
    return "".join(f"{user}:{digest}\n" for user, digest in logins.items())


def diff(old: str | None, new: str | None) -> dict[str, Any]:
    """Return what changes from one text of the file to another, without a hash."""
    if old == new:
        return {}
    had, has = _names(old), _names(new)
    return {"users": {"old": "other passwords" if had == has else had, "new": has}}


def _names(content: str | None) -> list[str] | None:
    if content is None:
        return None
    return sorted({line.partition(":")[0] for line in content.splitlines() if ":" in line})
