"""
Read and change the list of dnf's plugin versionlock. Pure functions.

https://dnf-plugins-core.readthedocs.io/en/latest/versionlock.html. A line locks a package to the
versions that it matches; a line that begins with an exclamation mark excludes versions.
"""

import fnmatch
import re

_OURS = "# Added by Salt (swarm-formula)"
# NAME-EPOCH:VERSION-RELEASE.ARCH: only the name is always there.
_LINE = r"(.+?)-(?:\d+:)?([\d*][^-:]*)(?:-([^-:]+))?"


def _name(line: str) -> str:
    match = re.fullmatch(_LINE, line.strip())
    return match[1] if match else line.strip()


def _is_lock(line: str) -> bool:
    return bool(line.strip()) and not line.strip().startswith(("#", "!"))


def names(text: str) -> list[str]:
    """Return the names of the packages that are locked."""
    return [_name(line) for line in text.splitlines() if _is_lock(line)]


def covers(text: str, name: str, version: str) -> bool:
    """Return whether the lines for a package have this version of it."""
    epoch, _, rest = version.rpartition(":")
    full = [f"{name}-{epoch or 0}:{rest}", f"{name}-{rest}"]
    forms = [form for one in full for form in (f"{one}.arch", one, one.rpartition("-")[0])]
    lines = [one.strip() for one in text.splitlines() if _is_lock(one) and _name(one) == name]
    return any(fnmatch.fnmatchcase(form, one) for one in lines for form in (*forms, name))


def without(text: str, name: str) -> str:
    """Return the list without the lines for a package."""
    kept: list[str] = []
    for line in text.splitlines():
        if not (_is_lock(line) and _name(line) == name):
            kept.append(line)
        elif kept and kept[-1] == _OURS:
            kept.pop()
    return "".join(f"{line}\n" for line in kept)


def locked(text: str, name: str, version: str) -> str:
    """Return the list with a package locked to one version."""
    epoch, _, rest = version.rpartition(":")
    end = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{end}{_OURS}\n{name}-{epoch or 0}:{rest}.*\n"
