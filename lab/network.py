"""The network between the hosts, and how one of them is cut off from it."""

import subprocess

from lab import containers
from lab.config import Settings
from lab.engine import LABEL, Engine
from lab.run import LabError, run


def ensure(settings: Settings, engine: Engine) -> None:
    """Makes the network of fixed addresses if it is not there."""
    done = engine.docker("network", "inspect", settings.name, check=False)
    if done.returncode == 0:
        return
    engine.docker(
        *("network", "create", "--driver=bridge", f"--subnet={settings.subnet}"),
        *("--opt", f"com.docker.network.bridge.name={bridge(settings)}"),
        *(f"--label={LABEL}={settings.name}", settings.name),
    )


def remove(settings: Settings, engine: Engine) -> None:
    """Removes the network."""
    if engine.docker("network", "inspect", settings.name, check=False).returncode == 0:
        engine.docker("network", "rm", settings.name)


def bridge(settings: Settings) -> str:
    """Returns the name of the bridge on the machine; the kernel allows 15 characters."""
    return f"br-{settings.name}"


def cut(settings: Settings, engine: Engine, host: str) -> None:
    """Unplugs a running host: it keeps its interface and address, but no packet gets through."""
    # Not `docker network disconnect`: that takes the interface and its address out of the host,
    # as no real partition does.
    _link("set", _port(settings, engine, host), "nomaster")


def heal(settings: Settings, engine: Engine, host: str) -> None:
    """Plugs a host in again."""
    _link("set", _port(settings, engine, host), "master", bridge(settings))


def is_cut(settings: Settings, engine: Engine, host: str) -> bool:
    """Tells whether a running host is unplugged."""
    return " master " not in _link("-o", "show", _port(settings, engine, host)).stdout


def _port(settings: Settings, engine: Engine, host: str) -> str:
    """Returns the machine's end of a host's cable."""
    index = containers.execute(
        settings, engine, host, "cat", "/sys/class/net/eth0/iflink"
    ).stdout.strip()
    for line in _link("-o", "show").stdout.splitlines():
        number, name = line.split(": ")[:2]
        if number == index:
            return name.partition("@")[0]
    raise LabError(f"{host}: no interface {index} on this machine is the end of its cable")


def _link(*words: str) -> subprocess.CompletedProcess[str]:
    return run(["ip", "link", *words] if words[0] != "-o" else ["ip", "-o", "link", *words[1:]])
