"""
A host that has nothing but apt and dpkg: a folder with their files, and a repository beside it.

Its packages are empty and have the dependencies and conflicts of the real ones. The machine's own
apt and dpkg are not touched: ``APT_CONFIG`` and ``DPKG_ADMINDIR`` lead every command elsewhere.
"""

import contextlib
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

TOOLS = ("apt-get", "apt-cache", "dpkg", "dpkg-deb", "dpkg-query")

_CLASH = "docker.io, docker-engine"


def _ce(version, containerd):
    return {
        ("docker-ce", version): {
            "Depends": f"containerd.io (>= {containerd}), docker-ce-cli, iptables",
            "Recommends": "apparmor, docker-ce-rootless-extras",
            "Conflicts": _CLASH,
        },
        ("docker-ce-cli", version): {
            "Recommends": "docker-buildx-plugin, docker-compose-plugin",
            "Conflicts": f"{_CLASH}, docker-cli",
        },
        ("docker-ce-rootless-extras", version): {"Depends": "dbus-user-session"},
    }


def _containerd_io(version):
    names = "containerd, runc"
    fields = {"Conflicts": names, "Replaces": names, "Provides": names}
    return {("containerd.io", version): fields}


DEBIAN = {
    ("iptables", "1.8.9"): {},
    ("apparmor", "3.0.8"): {},
    ("dbus-user-session", "1.14"): {},
    ("runc", "1.1.5"): {},
    ("containerd", "1.6.20"): {"Depends": "runc (>= 1.0.0)"},
    ("docker-compose", "1.29.2"): {},
    ("docker.io", "20.10.24"): {
        "Depends": "containerd (>= 1.4), runc (>= 1.0.0), iptables",
        "Recommends": "apparmor",
    },
    ("docker.io", "26.1.5"): {
        "Depends": "containerd (>= 1.4), runc (>= 1.0.0), iptables",
        "Recommends": "apparmor, docker-cli",
    },
    ("docker-cli", "26.1.5"): {
        "Breaks": "docker.io (<< 26.1.4)",
        "Replaces": "docker.io (<< 26.1.4)",
    },
}
DOCKER = {
    **_ce("5:28.5.1", "1.7.27"),
    **_ce("5:28.5.2", "1.7.27"),
    **_ce("5:29.1.0", "2.1.5"),
    **_containerd_io("1.7.28"),
    **_containerd_io("2.1.5"),
    ("docker-buildx-plugin", "0.30.0"): {"Replaces": "docker-ce-cli"},
    ("docker-compose-plugin", "2.40.0"): {
        "Conflicts": "docker-compose",
        "Replaces": "docker-compose",
        "Breaks": "docker-compose",
    },
    # Not the engine's: newer than Debian's, as on a mirror that somebody has tampered with.
    ("iptables", "9.9"): {},
}


def run(*args, **more):
    """Run a command that has to succeed; return what it did."""
    return subprocess.run(args, check=True, capture_output=True, text=True, **more)  # noqa: S603


def _digest(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


@functools.cache
def architecture():
    """Return the architecture of this machine's packages."""
    return run("dpkg", "--print-architecture").stdout.strip()


def build(folder, name, version, fields, tree=None):
    """Make a package of the files in a tree, by default none; scripts are among the fields."""
    tree = tree or folder / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    fields = dict(fields)
    for script in {"preinst", "postinst", "prerm", "postrm"} & fields.keys():
        path = tree / "DEBIAN" / script
        path.write_text(f"#!/bin/sh\nset -e\n{fields.pop(script)}\n")
        path.chmod(0o755)
    described = {
        "Package": name,
        "Version": version,
        "Architecture": architecture(),
        "Maintainer": "Nobody <nobody@example.com>",
        **fields,
        "Description": "made for a test",
    }
    text = "".join(f"{key}: {value}\n" for key, value in described.items())
    (tree / "DEBIAN/control").write_text(text)
    file = folder / f"{name}_{version.replace(':', '.')}.deb"
    run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, file)
    shutil.rmtree(tree)


def _stanza(file):
    fields = run("dpkg-deb", "--field", file).stdout
    size = file.stat().st_size
    return f"{fields}Filename: {file.name}\nSize: {size}\nSHA256: {_digest(file)}\n\n"


def repository(folder, packages):
    """Make a flat repository of these packages: ``{(name, version): fields}``."""
    folder.mkdir()
    for key, fields in packages.items():
        build(folder, *key, fields)
    return listed(folder)


def listed(folder):
    """Make a flat repository of the packages in a folder."""
    (folder / "Packages").write_text("".join(map(_stanza, sorted(folder.glob("*.deb")))))
    return folder


class Signer:
    """A key, and what it signs."""

    def __init__(self, home: Path) -> None:
        self.home = self._home = str(home)
        home.chmod(0o700)
        self._gpg("--quick-gen-key", "Docker of the test", "ed25519", "default", "never")
        self.key = self._gpg("--armor", "--export")
        shown = self._gpg("--list-keys", "--with-colons").splitlines()
        self.fingerprint = next(line for line in shown if line.startswith("fpr")).split(":")[9]

    def _gpg(self, *args):
        quiet = ("--batch", "--yes", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback")
        return run("gpg", "--homedir", self._home, *quiet, *args).stdout

    def detach(self, file):
        """Sign a file, with the signature in one beside it."""
        self._gpg("--armor", "--detach-sign", "--local-user", self.fingerprint, file)

    def close(self):
        """End the agent that gpg has started for this key."""
        run("gpgconf", "--homedir", self._home, "--kill", "all")

    def archive(self, folder, packages, suite="bookworm"):
        """Make a signed repository of these packages, with the layout of docker.com's."""
        return self.sign(repository(folder, packages), suite)

    def sign(self, folder, suite):
        """Give a flat repository the layout of docker.com's, and sign it."""
        release = folder / "dists" / suite
        index = release / "stable" / f"binary-{architecture()}" / "Packages"
        index.parent.mkdir(parents=True)
        (folder / "Packages").rename(index)
        fields = {
            "Origin": "Docker",
            "Label": "Docker CE",
            "Suite": suite,
            "Codename": suite,
            "Date": "Thu, 01 Jan 2026 00:00:00 UTC",
            "Architectures": architecture(),
            "Components": "stable",
            "SHA256": f"\n {_digest(index)} {index.stat().st_size} {index.relative_to(release)}",
        }
        (release / "Release").write_text("".join(f"{k}: {v}\n" for k, v in fields.items()))
        self._gpg("--clearsign", "--output", release / "InRelease", release / "Release")
        (release / "Release").unlink()
        return folder


@contextlib.contextmanager
def signing():
    """Give a signer, and end its agent."""
    # The path of the agent's socket has to be short.
    home = Path(tempfile.mkdtemp())
    signer = Signer(home)
    try:
        yield signer
    finally:
        signer.close()
        shutil.rmtree(home, onerror=_unless_gone)


def _unless_gone(_function, _path, fault):
    """The agent removes its sockets itself while it ends."""
    if not isinstance(fault[1], FileNotFoundError):
        raise fault[1]


class Root:
    """The files of apt and dpkg of a host, and the commands that use them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for one in (
            "etc/apt/sources.list.d",
            "etc/apt/preferences.d",
            "etc/apt/apt.conf.d",
            "etc/apt/trusted.gpg.d",
            "etc/apt/keyrings",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/lib/dpkg/updates",
            "var/lib/dpkg/info",
            "var/log/apt",
        ):
            (path / one).mkdir(parents=True)
        for one in ("status", "available", "lock", "lock-frontend"):
            (path / "var/lib/dpkg" / one).touch()
        (path / "apt.conf").write_text(
            f'Dir "{path}/";\n'
            f'Dir::State::status "{path}/var/lib/dpkg/status";\n'
            f'Dir::Bin::methods "/usr/lib/apt/methods";\n'
            'APT::Sandbox::User "root";\n'
            f'DPkg::Options {{ "--root={path}"; "--force-script-chrootless"; }};\n'
            'DPkg::Options:: "--force-unsafe-io";\n'
            f'DPkg::Options:: "--log={path}/var/log/dpkg.log";\n'
        )
        self.environment = {
            "APT_CONFIG": str(path / "apt.conf"),
            "DPKG_ADMINDIR": str(path / "var/lib/dpkg"),
            "DEBIAN_FRONTEND": "noninteractive",
        }

    def run(self, *args):
        """Run a command of apt or dpkg on this host; return its output."""
        return run(*args, env={**os.environ, **self.environment}).stdout

    def trust(self, name, folder):
        """Give the host a repository that needs no key."""
        line = f"deb [trusted=yes] file:{folder} ./\n"
        (self.path / "etc/apt/sources.list.d" / f"{name}.list").write_text(line)
        self.run("apt-get", "update")

    def install(self, *words):
        """Install packages as an administrator does."""
        quiet = ("--assume-yes", "--no-install-recommends", "--allow-downgrades")
        self.run("apt-get", *quiet, "install", *words)

    def packages(self):
        """Return the installed packages with their versions."""
        shown = self.run(
            "dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package} ${Version}\n"
        )
        rows = (line.split() for line in shown.splitlines())
        return {name: version for status, name, version in rows if status == "installed"}

    def held(self):
        """Return the packages that are held."""
        rows = (line.split() for line in self.run("dpkg", "--get-selections").splitlines())
        return {name.partition(":")[0] for name, selection in rows if selection == "hold"}
