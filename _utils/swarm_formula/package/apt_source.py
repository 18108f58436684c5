"""
Write and read the files that tell apt of a repository. Pure functions.

https://manpages.debian.org/sources.list(5), https://manpages.debian.org/apt_preferences(5).
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from swarm_formula.core.settings_types import Repository

_OURS = "# Written by Salt (swarm-formula)"
# A line of the older format: type, options in brackets, URI and suite.
_LINE = r"(?m)^\s*deb(?:-src)?\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)"
_SCHEME = r"^(?:https?|HTTPS?)://"
_USER = r"^[^/@]*@"


class Host(NamedTuple):
    """What of the host the files depend on."""

    suite: str
    architecture: str
    key: str  # path
    url: str  # of the repository, as this host reaches it


def stanza(repository: Repository, host: Host) -> str:
    """Return the file in apt's format deb822, which all releases that have the engine read."""
    fields = {
        "Types": "deb",
        "URIs": host.url,
        "Suites": host.suite,
        # A suite that is a path has no components.
        "Components": "" if host.suite.endswith("/") else " ".join(repository["components"]),
        "Architectures": " ".join(repository["architectures"]) or host.architecture,
        "Signed-By": host.key,
    }
    lines = [f"{key}: {value}" for key, value in fields.items() if value]
    return "\n".join([_OURS, *lines, ""])


def preferences(origin: str, packages: Iterable[str]) -> str:
    """
    Return the file that lets apt choose only the engine's packages from this repository.

    By the origin in its signed ``Release``, not by the host: a mirror may have Debian's as well.
    """
    return (
        f"{_OURS}: only the engine comes from this repository by itself.\n"
        f"Package: *\nPin: release o={origin}\nPin-Priority: 100\n\n"
        f"Package: {' '.join(sorted(packages))}\nPin: release o={origin}\nPin-Priority: 500\n"
    )


def uris(name: str, text: str) -> list[str]:
    """Return the URIs that a file of apt's sources has in use."""
    if not name.endswith(".sources"):
        return [uri for uri, _ in re.findall(_LINE, text)]
    return [uri for one in _stanzas(text) for uri in one.get("uris", "").split()]


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """Yield the stanzas of a file in deb822 that are not switched off."""
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for part in re.split(r"\n\s*\n", plain):
        fields = re.findall(r"^(\S+?):((?:.*\n?)(?:^[ \t].*\n?)*)", part, flags=re.MULTILINE)
        found = {key.lower(): value.strip() for key, value in fields}
        if found.get("enabled", "yes").lower() not in {"no", "false", "0", "off", "without"}:
            yield found


def same(one: str, other: str) -> bool:
    """Return whether two URIs are those of one archive."""
    return plain(one) == plain(other)


def plain(uri: str) -> str:
    """Return a URI without what makes no difference: scheme of the web, user, slash at the end."""
    rest = re.sub(_USER, "", re.sub(_SCHEME, "", uri))
    host, slash, path = rest.rstrip("/").partition("/")
    return f"{host.lower()}{slash}{path}"
