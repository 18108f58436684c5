"""
Record an installation of the Docker Engine, so that a run that is killed in it can be finished.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from swarm_formula.core import errors, host_files
from swarm_formula.package import dpkg

Salt = Mapping[str, Callable[..., Any]]


@contextlib.contextmanager
def begun(salt: Salt, package: str, companions: Iterable[str]) -> Iterator[None]:
    """
    Note the packages that are here before an installation, for a run that is killed in it.

    The next run finishes it, and ``swarm_package.remove`` knows what came with the engine, even by
    half.
    """
    noted = host_files.record("engine")
    before = noted.get("before") or sorted(salt["pkg.list_pkgs"]())
    companions = sorted({*noted.get("companions", []), *companions})
    started = {"package": package, "companions": companions, "before": before}
    host_files.note("engine", {**noted, **started})
    try:
        yield
    except Exception:
        if sorted(salt["pkg.list_pkgs"]()) == before and not dpkg.interrupted():
            host_files.note("engine", noted)
        raise
    end(salt)


def end(salt: Salt) -> None:
    """Note which packages the installation that was begun has brought."""
    noted = host_files.record("engine")
    now = set(salt["pkg.list_pkgs"]())
    companions = sorted(now & set(noted["companions"]))
    earlier = now & set(noted.get("brought", []))
    brought = sorted(earlier | now - set(noted.pop("before")))
    host_files.note("engine", {**noted, "companions": companions, "brought": brought})


def is_begun() -> bool:
    """Return whether an installation was begun and has not ended."""
    return bool(host_files.record("engine").get("before"))


def finish() -> None:
    """
    Finish the packages of an installation that was begun.

    For Salt, a package that is unpacked by half is installed.
    """
    if error := dpkg.finish():
        raise errors.SwarmError(
            f"an installation of the engine was interrupted, and apt cannot finish it: {error}."
            " If apt reaches no repository, mend that; 'apt-get --fix-broken install' on that host"
            " shows the error. Then apply, or clean, again"
        )


def refuse_interrupted() -> None:
    """
    Raise an error if dpkg was killed in the work of another program.

    Its packages are not configured from here: that might start a daemon on this host.
    """
    if dpkg.interrupted():
        raise errors.SwarmError(
            "dpkg was interrupted on this host, and until its work is finished apt installs"
            f" nothing. Unfinished: {', '.join(dpkg.unfinished()) or 'no package'}. Nothing"
            " was installed. Run 'dpkg --configure -a' on that host, if these packages are wanted;"
            " then apply again"
        )
