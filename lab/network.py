"""The network between the hosts, and how one of them is cut off from it."""

import subprocess

from lab import containers
from lab.engine import LABEL, Engine
from lab.run import LabError, run


def ensure(engine: Engine) -> None:
    """Makes the network of fixed addresses if it is not there."""
    if _exists(engine):
        return
    engine.docker(
        *("network", "create", "--driver=bridge", f"--subnet={engine.settings.subnet}"),
        # Docker gives the network one of its own IPv4 subnets besides: a host drops that address.
        *(["--ipv6"] if engine.settings.ipv6 else []),
        *("--opt", f"com.docker.network.bridge.name={bridge(engine)}"),
        *(f"--label={LABEL}={engine.settings.name}", engine.settings.name),
    )


def remove(engine: Engine) -> None:
    """Removes the network."""
    if _exists(engine):
        engine.docker("network", "rm", engine.settings.name)


def _exists(engine: Engine) -> bool:
    """Tells whether the network exists."""
    name = engine.settings.name
    done = engine.docker("network", "inspect", "--format={{.Name}}", name, check=False)
    # Without a network of that name, Docker takes a name such as "c" for the start of an ID.
    return done.returncode == 0 and done.stdout.strip() == name


def bridge(engine: Engine) -> str:
    """Returns the name of the bridge on the machine; the kernel allows 15 characters."""
    return f"br-{engine.settings.name}"


def cut(engine: Engine, host: str) -> None:
    """Unplugs a running host: it keeps its interface and address, but no packet gets through."""
    # Not `docker network disconnect`: that takes the interface and its address out of the host,
    # as no real partition does.
    _link("set", _port(engine, host), "nomaster")


def heal(engine: Engine, host: str) -> None:
    """Plugs a host in again."""
    _link("set", _port(engine, host), "master", bridge(engine))


def is_cut(engine: Engine, host: str) -> bool:
    """Tells whether a running host is unplugged."""
    return " master " not in _link("-o", "show", _port(engine, host)).stdout


def _port(engine: Engine, host: str) -> str:
    """Returns the machine's end of a host's cable."""
    index = containers.execute(engine, host, "cat", "/sys/class/net/eth0/iflink").stdout.strip()
    for line in _link("-o", "show").stdout.splitlines():
        number, name = line.split(": ")[:2]
        if number == index:
            return name.partition("@")[0]
    raise LabError(f"{host}: no interface {index} on this machine is the end of its cable")


def _link(*words: str) -> subprocess.CompletedProcess[str]:
    return run(["ip", "link", *words] if words[0] != "-o" else ["ip", "-o", "link", *words[1:]])
