"""Reads how this machine reaches Debian's archive, so that the hosts reach it the same way."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from lab.run import LabError

ENGINE_PACKAGES = ("docker.io", "docker-cli", "docker-buildx", "containerd", "runc", "tini")
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# How packages are fetched, not what is done with them: proxies, certificates, clocks that are off.
_CARRY_OVER = re.compile(r"Acquire::(https?|ftp|Check-|Retries|ForceIPv|AllowInsecure|AllowWeak)")


@dataclass(frozen=True)
class Source:
    """One suite of one archive."""

    uri: str
    suite: str

    def line(self) -> str:
        """Returns the line for sources.list; the keyring is the one every Debian has."""
        return f"deb [signed-by={_KEYRING}] {self.uri} {self.suite} main"


def parse_one_line(text: str) -> list[Source]:
    """Reads the `deb URI SUITE COMPONENTS` style."""
    found = []
    for line in text.splitlines():
        words = re.sub(r"\[[^]]*\]", "", line.partition("#")[0]).split()
        if len(words) > 3 and words[0] == "deb" and "main" in words[3:]:  # noqa: PLR2004
            found.append(Source(words[1].rstrip("/"), words[2]))
    return found


def parse_deb822(text: str) -> list[Source]:
    """Reads the `Types: deb` style: stanzas with an empty line between them."""
    found = []
    uncommented = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", uncommented):
        fields = {
            key.lower(): value.split()
            for key, value in re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", stanza, re.M)
        }
        wanted = "deb" in fields.get("types", []) and "main" in fields.get("components", [])
        if wanted and fields.get("enabled") != ["no"]:
            for uri in fields.get("uris", []):
                found += [Source(uri.rstrip("/"), suite) for suite in fields.get("suites", [])]
    return found


def machine_sources(root: Path = Path("/etc/apt")) -> list[Source]:
    """Returns every source that this machine's apt uses."""
    found = []
    for path in (root / "sources.list", *sorted((root / "sources.list.d").glob("*"))):
        if path.suffix == ".list" and path.is_file():
            found += parse_one_line(path.read_text())
        elif path.suffix == ".sources":
            found += parse_deb822(path.read_text())
    return found


def derive(sources: Iterable[Source], codename: str, suite: str) -> list[Source]:
    """Returns the sources of a suite from those of the machine's own release, by its name alone."""
    own = [source for source in sources if source.suite.partition("-")[0] == codename]
    if not any(source.suite == codename for source in own):
        raise LabError(
            f"/etc/apt has no entry for Debian {codename!r} main, from which the lab could derive"
            f" where {suite} is; add `deb URI {codename} main` to /etc/apt/sources.list"
        )
    moved = [replace(one, suite=suite + one.suite.removeprefix(codename)) for one in own]
    return list(dict.fromkeys(moved))


def base_only(sources: Iterable[Source], suite: str) -> list[Source]:
    """Keeps the archive itself: an old suite's updates and security move away or vanish."""
    return [source for source in sources if source.suite == suite]


def pins(suite: str) -> str:
    """Returns apt preferences that take the engine, and nothing else, from a suite."""
    return (
        f"Package: {' '.join(ENGINE_PACKAGES)}\nPin: release n={suite}\nPin-Priority: 990\n\n"
        f"Package: *\nPin: release n={suite}\nPin-Priority: 100\n"
    )


def carried_over(dump: str) -> str:
    """Returns the lines of `apt-config dump` that say how to fetch, as a configuration file."""
    lines = [line for line in dump.splitlines() if _CARRY_OVER.match(line) and '"";' not in line]
    return "".join(f"{line}\n" for line in lines)
