"""The base of every image: a Debian made by debootstrap.

Where a registry can be reached, `FROM debian:12` would do as well; one way that works
everywhere is better than two.
"""

import hashlib
import shutil
from pathlib import Path

from lab import apt, machine, mounts
from lab.config import RELEASE, Settings
from lab.engine import Engine
from lab.run import LabError, last_words, run, say

PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "iproute2", "iptables", "ca-certificates", "kmod"),
    *("python3", "python3-venv", "procps", "curl", "iputils-ping", "netbase"),
)
_SCRIPTS = Path("/usr/share/debootstrap/scripts")
_CA = Path("/etc/ssl/certs/ca-certificates.crt")


def ensure(settings: Settings, engine: Engine, release: str = RELEASE) -> str:
    """Makes the base image of a release if it is not there and returns its name."""
    mark = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:8]
    image = f"swarm-lab/base:{release}-{mark}"
    if engine.docker("image", "inspect", image, check=False).returncode == 0:
        return image
    tar = settings.cache / f"rootfs-{release}-{mark}.tar"
    if not tar.exists():
        _make(settings, tar, release)
    engine.docker("import", tar, image, timeout=300)
    return image


def _make(settings: Settings, tar: Path, release: str) -> None:
    machine.install(["debootstrap"], ["debootstrap"])
    say(f"making a Debian {release} root (about a minute)")
    root = settings.cache / f"rootfs-{release}.new"
    mounts.remove(root)
    derived = apt.derive(apt.machine_sources(), machine.codename(), release)
    source = apt.base_only(derived, release)[0]
    try:
        _debootstrap(root, release, source.uri)
        _prepare(root)
        partial = tar.with_suffix(".partial")
        run(["tar", "--numeric-owner", "-C", root, "-cf", partial, "."], timeout=300)
        partial.rename(tar)
    finally:
        mounts.remove(root)


def _debootstrap(root: Path, release: str, uri: str) -> None:
    include = f"--include={','.join(PACKAGES)}"
    # All scripts since sid are the same, and an old debootstrap has none for a release to come.
    known = (_SCRIPTS / release).exists()
    done = run(
        [
            *("debootstrap", "--variant=minbase", include, release, root, uri),
            *([] if known else [_SCRIPTS / "sid"]),
        ],
        timeout=900,
        check=False,
    )
    if done.returncode:
        log = root / "debootstrap" / "debootstrap.log"
        more = log.read_text(errors="replace")[-1500:] if log.exists() else ""
        raise LabError(f"debootstrap from {uri} failed:\n{last_words(done)}\n{more}")


def _prepare(root: Path) -> None:
    for path in (root / "var/cache/apt/archives").glob("*.deb"):
        path.unlink()
    # Empty, not absent: each host gets its own, without the ceremonies of a first boot.
    (root / "etc/machine-id").write_text("")
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/hostname").unlink(missing_ok=True)
    if _CA.exists():
        # The machine may sit behind a proxy with a certificate of its own.
        shutil.copyfile(_CA, root / "etc/ssl/certs/ca-certificates.crt")
