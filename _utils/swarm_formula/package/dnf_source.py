"""
Write and read the files that tell dnf of a repository. Pure functions.

https://dnf.readthedocs.io/en/latest/conf_ref.html, "Repo options".
"""

import configparser
import re
from collections.abc import Iterable, Iterator

from swarm_formula.core.settings_types import Repository
from swarm_formula.package import apt_source, copied

PREFIX = "swarm-formula-"
_OFF = {"0", "no", "false", "off"}


def text(repository: Repository, release: str, key: str, packages: Iterable[str]) -> str:
    """
    Return the file, with a section for each component.

    release
        The host's major release: docker.com has no other.
    key
        The path of the public key.
    """
    sections = [
        (
            f"[{PREFIX}{component}]",
            f"name=Docker Engine, {component} (swarm-formula)",
            f"baseurl={url}",
            "enabled=1",
            "gpgcheck=1",
            f"repo_gpgcheck={int(repository['signed_index'])}",
            f"gpgkey=file://{key}",
            # Other packages of the repository never replace the distribution's.
            f"includepkgs={','.join(sorted(packages))}",
            "",
        )
        for component, url in _urls(repository, release)
    ]
    return "\n".join(
        ["# Written by Salt (swarm-formula)", *(one for each in sections for one in each)]
    )


def indexes(repository: Repository, release: str, architecture: str) -> list[str]:
    """Return the paths of the files with the hashes of all others, relative to the URL."""
    base = f"{_local(copied.url(repository)).rstrip('/')}/"
    paths = (url.removeprefix(base).strip("./") for _, url in _urls(repository, release))
    return [
        f"{path}/repodata/repomd.xml".lstrip("/").replace("$basearch", architecture)
        for path in paths
    ]


def _urls(repository: Repository, release: str) -> Iterator[tuple[str, str]]:
    """Yield each component with its URL."""
    base = _local(copied.url(repository)).rstrip("/")
    suite = repository["suite"] or release
    if suite.endswith("/"):
        # A suite that is a path has no components.
        yield "packages", f"{base}/{suite}"
        return
    architecture = next(iter(repository["architectures"]), "$basearch")
    for component in repository["components"]:
        yield component, f"{base}/{suite}/{architecture}/{component}"


def _local(url: str) -> str:
    """Return a URL, with three slashes if it is that of a folder: dnf reads no other."""
    return re.sub(r"^file:/+", "file:///", url)


def of_archive(text: str, url: str) -> list[bool]:
    """Return for each URL that a file has in use whether it is below this one."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        # dnf does not read it either.
        return []
    base = apt_source.plain(_local(url))
    used = [
        one
        for section in map(dict, (parser[name] for name in parser.sections()))
        if section.get("enabled", "1").lower() not in _OFF
        for one in re.split(r"[\s,]+", section.get("baseurl", "").strip())
    ]
    return [f"{apt_source.plain(_local(one))}/".startswith(f"{base}/") for one in used if one]
