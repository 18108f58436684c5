"""
A host that has nothing but dnf and rpm: a folder with their files, and a repository beside it.

Its packages are empty and have the dependencies and conflicts of the real ones. The machine's own
rpm database is not touched: programs in front of ``PATH`` lead every command elsewhere.
"""

import shutil
from pathlib import Path

from tests.unit.apt_root import run

TOOLS = ("dnf", "rpm", "rpmbuild", "rpmsign", "createrepo_c", "gpg")

_LOCKS = "etc/dnf/plugins/versionlock.list"


def _ce(version, containerd):
    return {
        ("docker-ce", f"3:{version}-1.el9"): {
            "Requires": f"containerd.io >= {containerd}, docker-ce-cli, container-selinux",
            "Recommends": "docker-ce-rootless-extras",
            "Conflicts": "docker, docker-io, docker-engine",
        },
        ("docker-ce-cli", f"1:{version}-1.el9"): {
            "Recommends": "docker-buildx-plugin, docker-compose-plugin",
            "Conflicts": "docker, docker-io",
        },
        ("docker-ce-rootless-extras", f"{version}-1.el9"): {"Requires": "dbus-user-session"},
    }


def _containerd_io(version):
    names = "containerd, runc"
    fields = {"Conflicts": names, "Obsoletes": names, "Provides": names}
    return {("containerd.io", f"{version}-1.el9"): fields}


EL = {
    ("container-selinux", "3:2.229.0-1.el9"): {},
    ("dbus-user-session", "1.12-1.el9"): {},
    ("runc", "4:1.1.12-1.el9"): {},
    ("other-runtime", "1.0-1.el9"): {"Conflicts": "containerd.io"},
    ("iptables-nft", "1.8.10-1.el9"): {},
}
DOCKER = {
    **_ce("28.5.1", "1.7.27"),
    **_ce("28.5.2", "1.7.27"),
    **_ce("29.1.0", "2.1.5"),
    **_containerd_io("1.7.28"),
    **_containerd_io("2.1.5"),
    ("docker-buildx-plugin", "0.30.0-1.el9"): {},
    ("docker-compose-plugin", "2.40.0-1.el9"): {"Conflicts": "docker-compose"},
    # Not the engine's: newer than the distribution's, as on a mirror that was tampered with.
    ("iptables-nft", "9.9-1.el9"): {},
}


def build(folder, packages):
    """Make packages: ``{(name, version): fields}``."""
    for (name, version), fields in packages.items():
        epoch, _, rest = version.rpartition(":")
        number, release = rest.split("-")
        described = {
            "Name": name,
            "Epoch": epoch or "0",
            "Version": number,
            "Release": release,
            "Summary": "made for a test",
            "License": "none",
            "BuildArch": "noarch",
            **fields,
        }
        lines = [f"{key}: {value}" for key, value in described.items() if value != "0"]
        spec = folder / f"{name}.spec"
        spec.write_text("\n".join([*lines, "%description", "Empty.", "%files", ""]))
        top = [f"--define=_topdir {folder}/top", f"--define=_rpmdir {folder}"]
        run("rpmbuild", "-bb", "--quiet", *top, spec)
        spec.unlink()
    shutil.rmtree(folder / "top")


def repository(folder, packages, signer=None, layout=""):
    """Make a repository of these packages, signed if there is somebody to sign."""
    place = folder / layout
    place.mkdir(parents=True)
    build(place, packages)
    if signer:
        macros = {
            "__gpg": shutil.which("gpg"),
            "_gpg_path": signer.home,
            "_gpg_name": signer.fingerprint,
        }
        defined = [f"--define={key} {value}" for key, value in macros.items()]
        run("rpmsign", *defined, "--addsign", *sorted(place.glob("noarch/*.rpm")))
    run("createrepo_c", "--quiet", "--no-database", place)
    if signer:
        signer.detach(place / "repodata/repomd.xml")
    return folder


class Root:
    """The files of dnf and rpm of a host, and the commands that use them."""

    def __init__(self, path: Path) -> None:
        self.path, self.bin = path, path / "bin"
        self.etc = path / "etc"
        for one in ("yum.repos.d", "dnf/plugins", "pki/rpm-gpg"):
            (self.etc / one).mkdir(parents=True)
        self.bin.mkdir()
        self.locks = path / _LOCKS
        self.locks.touch()
        (self.etc / "dnf/plugins/versionlock.conf").write_text(
            f"[main]\nenabled = 1\nlocklist = {self.locks}\n"
        )
        # Of dnf's plugins only this one: it starts twice as fast.
        plugin = next(Path("/usr/lib").glob("python3*/*/dnf-plugins/versionlock.py"))
        (path / "plugins").mkdir()
        (path / "plugins/versionlock.py").symlink_to(plugin)
        (self.etc / "dnf/dnf.conf").write_text(
            "[main]\ngpgcheck=1\nbest=True\nskip_if_unavailable=False\n"
            f"pluginpath={path}/plugins\n"
            f"pluginconfpath={self.etc}/dnf/plugins\nreposdir={self.etc}/yum.repos.d\n"
        )
        conf = f"--config={self.etc}/dnf/dnf.conf --installroot={path} --releasever=9"
        self._program("dnf-3", conf)
        (self.bin / "dnf").symlink_to("dnf-3")
        self._program("rpm", f"--root={path}")

    def _program(self, name, options):
        program = self.bin / name
        program.write_text(f'#!/bin/sh\nexec {shutil.which(name)} {options} "$@"\n')
        program.chmod(0o755)

    def close(self):
        """End the agents that dnf has had started to check a signed index."""
        for home in self.path.rglob("pubring"):
            run("gpgconf", "--homedir", home, "--kill", "all")

    def run(self, name, *args):
        """Run dnf or rpm on this host; return its output."""
        return run(self.bin / name, *args).stdout

    def trust(self, name, folder):
        """Give the host a repository that needs no key."""
        text = f"[{name}]\nname={name}\nbaseurl=file://{folder}\ngpgcheck=0\n"
        (self.etc / f"yum.repos.d/{name}.repo").write_text(text)

    def install(self, *words):
        """Install packages as an administrator does."""
        options = ("--assumeyes", "--setopt=obsoletes=False", "--setopt=install_weak_deps=False")
        self.run("dnf", "install", "--disableplugin=versionlock", *options, *words)

    def packages(self):
        """Return the installed packages with their versions, as rpm names them."""
        shape = "%{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n"
        rows = (line.split() for line in self.run("rpm", "-qa", "--qf", shape).splitlines())
        return {name: version for name, version in rows if name != "gpg-pubkey"}

    def keys(self):
        """Return the keys that rpm trusts."""
        shape = "%{NAME} %{VERSION}\n"
        rows = (line.split() for line in self.run("rpm", "-qa", "--qf", shape).splitlines())
        return [version for name, version in rows if name == "gpg-pubkey"]

    def held(self):
        """Return the locks, without comments."""
        return [one for one in self.locks.read_text().splitlines() if one and one[0] != "#"]
