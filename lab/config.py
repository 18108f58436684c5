"""Where a lab lives, and what its hosts are called."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.run import LabError

MASTER = "salt"
MOST_HOSTS = 9
SUITES = ("bullseye", "bookworm", "trixie", "forky")
# Releases that the hosts can run, with the suites that their engine can come from, the default
# first. Salt brings its own Python, of Debian 12: bullseye is too old as a host. Its engine is the
# last one that has ``cluster-store``; forky's needs a newer C library than bookworm's.
ENGINE_SUITES = {
    "bookworm": ("bullseye", "bookworm", "trixie"),
    "trixie": ("trixie", "forky"),
    "forky": ("forky",),
}
HOST_SUITES = RELEASE, *_ = tuple(ENGINE_SUITES)
# Their systemd starts with version 2 of the control groups only.
UNIFIED_SUITES = ("forky",)
MODES = ("classic", "builtin")
# Ranges, not pins: an index may lack the newest patch release or one of its dependencies.
SALT = {"3008": "salt>=3008,<3009", "3006": "salt>=3006.20,<3007"}
# The length of the prefix of a lab's network: by the version of IP.
_PREFIX = {4: 24, 6: 64}
REPO = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Settings:
    """The names, folders and addresses of one lab; several labs can share cache and engine."""

    cache: Path
    run: Path
    name: str
    subnet: ipaddress.IPv4Network | ipaddress.IPv6Network
    # The engine serves every lab on the machine, so its folder is no part of a lab's own.
    engine: Path = Path("/run/swarm-lab")
    # A folder with the programs of an engine that somebody has built.
    programs: Path | None = None
    # The only release of Salt that is wanted, such as 3006.20.
    salt: str | None = None

    def container(self, host: str) -> str:
        """Returns the name of a host's container."""
        return f"{self.name}-{host}"

    def volume(self, host: str) -> str:
        """Returns the name of the volume that holds a host's /var/lib/docker."""
        return f"{self.name}-{host}-docker"

    def address(self, host: str) -> str:
        """Returns the fixed address of a host: .2 for the master, .1N for mN (::2, ::1N)."""
        first = 16 if self.ipv6 else 10
        return str(self.subnet.network_address + (2 if host == MASTER else first + number(host)))

    def release(self, salt: str) -> str:
        """Returns the release that stands for one of ``SALT``: itself, or the one wanted."""
        if self.salt and self.salt.partition(".")[0] != salt:
            raise LabError(
                f"SWARM_LAB_SALT={self.salt}: it is no release of Salt {salt};"
                f" use --salt {self.salt.partition('.')[0]}, or unset SWARM_LAB_SALT"
            )
        return self.salt or salt

    @property
    def ipv6(self) -> bool:
        """Tells whether the hosts have IPv6 addresses, and no others."""
        return self.subnet.version == 6  # noqa: PLR2004

    @property
    def states(self) -> Path:
        """Returns the folder that the master serves as `salt://`, before the formula."""
        return self.run / "states"

    @property
    def pillar(self) -> Path:
        """Returns the folder of the master's pillar."""
        return self.run / "pillar"

    @property
    def images(self) -> Path:
        """Returns the folder that the master serves as `salt://images`."""
        # In the cache: hard links to the tars cost nothing there, copies in /run cost memory.
        return self.cache / "served" / self.name


def settings(env: Mapping[str, str]) -> Settings:
    """Reads the settings from the environment."""
    name = env.get("SWARM_LAB_NAME", "swarm-lab")
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,11}", name):
        raise LabError(
            f"SWARM_LAB_NAME={name!r}: use 1 to 12 of a-z, 0-9 and '-', starting with a letter"
        )
    return Settings(
        cache=_folder(env, "SWARM_LAB_CACHE", "/var/cache/swarm-lab"),
        run=_folder(env, "SWARM_LAB_RUN", f"/run/{name}"),
        name=name,
        subnet=_subnet(env.get("SWARM_LAB_SUBNET", "10.77.0.0/24")),
        programs=_programs(env),
        salt=_salt(env),
    )


def _folder(env: Mapping[str, str], key: str, default: str) -> Path:
    path = Path(env.get(key) or default)
    if not path.is_absolute():
        raise LabError(f"{key}={path}: give an absolute path")
    return path


def _programs(env: Mapping[str, str]) -> Path | None:
    if not env.get("SWARM_LAB_PROGRAMS"):
        return None
    path = _folder(env, "SWARM_LAB_PROGRAMS", "")
    if not (path / "dockerd").is_file():
        raise LabError(f"SWARM_LAB_PROGRAMS={path}: no dockerd in it")
    return path


def _salt(env: Mapping[str, str]) -> str | None:
    text = env.get("SWARM_LAB_SALT") or None
    if text and not re.fullmatch(rf"({'|'.join(SALT)})\.[0-9]+", text):
        raise LabError(
            f"SWARM_LAB_SALT={text!r}: give one release of Salt {' or '.join(SALT)}, like 3006.20"
        )
    return text


def requirement(release: str) -> str:
    """Returns what pip is asked for: one of ``SALT``, or exactly a release like 3006.20."""
    return SALT.get(release, f"salt=={release}")


def _subnet(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    cure = "give one like 10.77.0.0/24, or fd00:77::/64 for hosts that have IPv6 only"
    try:
        subnet = ipaddress.ip_network(text)
    except ValueError as error:
        raise LabError(f"SWARM_LAB_SUBNET={text!r}: {error}; {cure}") from error
    if subnet.prefixlen != _PREFIX[subnet.version]:
        length = _PREFIX[subnet.version]
        raise LabError(f"SWARM_LAB_SUBNET={text!r}: it must be a /{length}; {cure}")
    return subnet


def number(host: str) -> int:
    """Returns the N of mN; refuses any other name."""
    match = re.fullmatch(r"m([1-9])", host)
    if not match:
        raise LabError(f"no such host: {host!r}; hosts are called m1 to m{MOST_HOSTS}")
    return int(match[1])


def host_names(count: int) -> list[str]:
    """Returns the names of that many hosts."""
    if not 1 <= count <= MOST_HOSTS:
        raise LabError(f"--hosts {count}: a lab has 1 to {MOST_HOSTS} hosts")
    return [f"m{n}" for n in range(1, count + 1)]


def every_name() -> list[str]:
    """Returns every name a lab can have, on or off; all of them go into /etc/hosts."""
    return [MASTER, *host_names(MOST_HOSTS)]
