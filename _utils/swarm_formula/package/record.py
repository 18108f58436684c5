"""
Record an installation of the Docker Engine, so that a run that is killed in it can be finished.
"""

import contextlib
from collections.abc import Iterable, Iterator

from swarm_formula.core import errors, host_files
from swarm_formula.package.manager import Manager


@contextlib.contextmanager
def begun(manager: Manager, package: str, companions: Iterable[str]) -> Iterator[None]:
    """
    Note the packages that are here before an installation, for a run that is killed in it.

    The next run finishes it, and ``swarm_package.remove`` knows what came with the engine, even by
    half.
    """
    noted = host_files.record("engine")
    before = noted.get("before") or sorted(manager.installed())
    companions = sorted({*noted.get("companions", []), *companions})
    started = {"package": package, "companions": companions, "before": before}
    host_files.note("engine", {**noted, **started})
    try:
        yield
    except Exception:
        if sorted(manager.installed()) == before and not manager.interrupted():
            host_files.note("engine", noted)
        raise
    end(manager)


def end(manager: Manager) -> None:
    """Note which packages the installation that was begun has brought."""
    noted = host_files.record("engine")
    now = set(manager.installed())
    companions = sorted(now & set(noted["companions"]))
    earlier = now & set(noted.get("brought", []))
    brought = sorted(earlier | now - set(noted.pop("before")))
    host_files.note("engine", {**noted, "companions": companions, "brought": brought})


def is_begun() -> bool:
    """Return whether an installation was begun and has not ended."""
    return bool(host_files.record("engine").get("before"))


def finish(manager: Manager) -> None:
    """
    Finish the packages of an installation that was begun.

    For Salt, a package that is unpacked by half is installed.
    """
    words = manager.words
    if error := manager.finish():
        raise errors.SwarmError(
            f"an installation of the engine was interrupted, and {words.name} cannot finish it:"
            f" {error}. If {words.name} reaches no repository, mend that; '{words.mend}' on that"
            " host shows the error. Then apply, or clean, again"
        )


def refuse_interrupted(manager: Manager) -> None:
    """
    Raise an error if dpkg was killed in the work of another program.

    Its packages are not configured from here: that might start a daemon on this host.
    """
    if manager.interrupted():
        raise errors.SwarmError(
            "dpkg was interrupted on this host, and until its work is finished apt installs"
            f" nothing. Unfinished: {', '.join(manager.unfinished()) or 'no package'}. Nothing"
            " was installed. Run 'dpkg --configure -a' on that host, if these packages are wanted;"
            " then apply again"
        )
