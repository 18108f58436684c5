"""What this machine is and has: packages, capabilities, control groups."""

import os
import platform
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from lab.config import UNIFIED_SUITES
from lab.run import LabError, run, say

# In the order of their bits (linux/capability.h): the kernel tells bits, Docker wants names.
# The three that came after these (2020) an engine may not know; nothing in a host needs them.
CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"),
    *("SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW"),
    *("IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT"),
    *("SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD"),
    *("LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG"),
    *("WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ"),
)
# Without these neither systemd nor an engine inside a host can work.
NEEDED = ("SYS_ADMIN", "NET_ADMIN", "MKNOD", "SYS_CHROOT", "SETUID", "SETGID", "DAC_OVERRIDE")


def capabilities(mask: int) -> list[str]:
    """Returns the capabilities in a bounding set, of those that every engine knows."""
    return [name for bit, name in enumerate(CAPABILITIES) if mask >> bit & 1]


def bounding_set(status: Path = Path("/proc/self/status")) -> int:
    """Reads this process's bounding set of capabilities."""
    match = re.search(r"^CapBnd:\s*([0-9a-f]+)", status.read_text(), re.M)
    if not match:
        raise LabError(f"{status} has no CapBnd line; the lab needs a Linux with /proc")
    return int(match[1], 16)


def cgroup_version() -> int:
    """Returns 2 for the unified hierarchy, 1 for the old one (also when it is hybrid)."""
    return 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1


def codename(release: Path = Path("/etc/os-release")) -> str:
    """Returns the code name of this machine's Debian."""
    fields = dict(re.findall(r'^(\w+)="?([^"\n]*)', release.read_text(), re.M))
    if fields.get("ID") != "debian":
        raise LabError(f"{release}: the lab runs on Debian, this is {fields.get('ID', 'unknown')}")
    return fields["VERSION_CODENAME"]


def check_for(host_suite: str) -> None:
    """Refuses hosts whose systemd cannot start on this machine."""
    if host_suite in UNIFIED_SUITES and cgroup_version() == 1:
        raise LabError(
            f"--host-suite {host_suite}: its systemd needs control groups version 2, and this"
            " machine has version 1 (boot it with systemd.unified_cgroup_hierarchy=1)"
        )


def check() -> None:
    """Refuses a machine on which the lab cannot work, with the reason."""
    if os.geteuid() != 0:
        raise LabError("the lab makes networks, mounts and containers: run it as root")
    if platform.machine() != "x86_64":
        raise LabError(f"the lab's images are for x86_64, this machine is {platform.machine()}")
    lacking = sorted(set(NEEDED) - set(capabilities(bounding_set())))
    if lacking:
        raise LabError(
            f"this machine's bounding set lacks {', '.join(lacking)}, without which no host can"
            " boot systemd and Docker; use a virtual machine, or a container that has them"
        )
    if not Path("/sys/fs/cgroup").is_mount():
        raise LabError("/sys/fs/cgroup is not mounted; mount cgroup2 there")


def install(packages: Iterable[str], probe: Iterable[str]) -> None:
    """Installs packages by apt if one of the programs or files to probe for is missing."""
    if all(Path(one).exists() if one.startswith("/") else shutil.which(one) for one in probe):
        return
    names = list(packages)
    say(f"installing {' '.join(names)}")
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    with _no_service_starts():
        # The lists of a fresh machine are empty or old.
        run(["apt-get", "update", "-qq"], timeout=180, env=env)
        run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *names],
            timeout=600,
            env=env,
        )


class _no_service_starts:  # noqa: N801
    """Keeps packages from starting their services: docker.io would start the system's engine."""

    policy = Path("/usr/sbin/policy-rc.d")

    def __enter__(self) -> None:
        self.ours = not self.policy.exists()
        if self.ours:
            self.policy.write_text("#!/bin/sh\nexit 101\n")
            self.policy.chmod(0o755)

    def __exit__(self, *_: object) -> None:
        if self.ours:
            self.policy.unlink(missing_ok=True)
