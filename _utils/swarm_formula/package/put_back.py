"""
Put the packages of an engine back that another one should have replaced, and could not.

apt removes the old packages before it unpacks the new ones: without this, the host has no engine.
"""

import contextlib
import logging
from collections.abc import Iterable, Iterator

from swarm_formula.core import errors
from swarm_formula.core.salt_types import Salt
from swarm_formula.daemon import package_set

log = logging.getLogger(__name__)


def _present(salt: Salt, engines: Iterable[str]) -> dict[str, str]:
    """Return the packages of these engines that are here, with their versions."""
    names = sorted(set().union(*map(package_set.names, engines)))
    found = {name: salt["pkg.version"](name) for name in names}
    return {name: version for name, version in found.items() if version}


@contextlib.contextmanager
def unless_installed(salt: Salt, package: str, others: list[str]) -> Iterator[None]:
    """
    Put the packages of the others back if the installation fails, and raise its error.

    others
        The engines whose place the package takes.
    """
    before = _present(salt, others)
    try:
        yield
    except Exception as err:
        if not others:
            raise
        raise errors.SwarmError(
            f"{package} cannot take the place of {', '.join(others)} on this host:"
            f" {_reason(err)}. {_restore(salt, package, before)} /var/log/apt/term.log on that host"
            " says more"
        ) from err


def _reason(err: Exception) -> str:
    """Return the errors of apt, without what Salt and systemd add to them."""
    info = getattr(err, "info", None)
    said = info.get("errors") if isinstance(info, dict) else None
    lines = [line for one in said or [] for line in str(one).splitlines()]
    return "; ".join(line for line in lines if line.startswith("E: ")) or str(err)


def _restore(salt: Salt, package: str, before: dict[str, str]) -> str:
    """Install the former packages again; return what became of that, in a sentence."""
    # apt-get removes the packages whose name ends in a minus, also those that are half installed.
    gone = [f"{one}-" for one in sorted(package_set.names(package) - before.keys())]
    pkgs = [*({name: version} for name, version in before.items()), *gone]
    try:
        salt["pkg.install"](pkgs=pkgs, install_recommends=False, refresh=False)
    except Exception:
        log.exception("the former packages of the engine cannot be installed")
    left = [name for name, version in before.items() if salt["pkg.version"](name) != version]
    if left:
        return f"The former packages could not be put back: {', '.join(left)}."
    return "The former packages are back."
