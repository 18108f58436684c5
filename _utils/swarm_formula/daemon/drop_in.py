"""
Plan the formula's drop-in for the systemd unit of the engine, by which it listens on its TCP port.
"""

import functools
from collections.abc import Callable
from pathlib import Path

from swarm_formula.core import addresses, errors, host_files
from swarm_formula.core.salt_types import Salt
from swarm_formula.core.settings_types import Settings
from swarm_formula.daemon import dockerd, systemd_unit

_UNITS = Path("/etc/systemd/system")


def version(salt: Salt, settings: Settings) -> str:
    """Return the version of the running engine, else of the package; empty if there is neither."""
    return dockerd.version() or salt["pkg.version"](settings["engine"]["package"]) or ""


def command(salt: Salt, service: str) -> str | None:
    """Return the command of the engine's unit without our drop-in, ``None`` without a unit."""
    result = salt["cmd.run_all"](
        ["systemctl", "cat", f"{service}.service"], python_shell=False, ignore_retcode=True
    )
    return systemd_unit.exec_start(result["stdout"])


def path(settings: Settings) -> Path:
    """Return where the drop-in is."""
    return _UNITS / f"{settings['engine']['service']}.service.d" / systemd_unit.DROPIN


def refuse_later(settings: Settings) -> None:
    """Raise an error if a drop-in of somebody else would take the socket away again."""
    ours = path(settings)
    # Not from systemctl, which shows drop-ins only of an installed unit.
    texts = [f"# {path}\n{host_files.read(path)}" for path in ours.parent.glob("*.conf")]
    if found := systemd_unit.later("\n".join(texts)):
        raise errors.SwarmError(
            f"{settings['id']}: {', '.join(found)} sets ExecStart after {ours}, so"
            " that the engine would not listen on swarm:engine:port; nothing was changed. Rename"
            f" it to a name before {systemd_unit.DROPIN}, such as 10-override.conf: its command is"
            " kept, and the formula adds its socket. Then apply again"
        )


def dropin(salt: Salt, settings: Settings, test: bool) -> Callable[[bool], str | None]:
    """
    Return a function that takes whether to set ``--tlsverify`` and returns the drop-in, ``None``
    for no drop-in; raise an error if the package's unit is missing.
    """
    engine = settings["engine"]
    dockerd.refuse_masked(salt, engine["service"], settings["id"])
    start = command(salt, engine["service"])
    if start is None and test and not version(salt, settings):
        text = "written once the package's own unit is there" if engine["port"] else None
        return lambda _: text
    if start is None:
        raise errors.SwarmError(
            f"{settings['id']} has no unit {engine['service']}.service (swarm:engine:service):"
            " 'systemctl list-unit-files' there shows which one the package has"
        )
    if not engine["port"]:
        return lambda _: None
    listen = addresses.endpoint(engine["listen"] or settings["address"], engine["port"])
    return functools.partial(systemd_unit.dropin, start, listen)


def refit(salt: Salt, settings: Settings) -> None:
    """Start the engine of another package; the drop-in gets the command of its unit."""
    service = settings["engine"]["service"]
    ours, start = path(settings), command(salt, service)
    text = host_files.read(ours)
    if text and start:
        host_files.write(ours, systemd_unit.moved(text, start))
    salt["service.systemctl_reload"]()
    if not dockerd.answers():
        dockerd.start(salt, service)
