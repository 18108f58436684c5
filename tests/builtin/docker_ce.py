"""
Docker's own set of packages, made of Debian's programs, in a signed repository.

The packages have the names, dependencies, conflicts, paths and scripts of docker.com's.
"""

import shutil

from tests.unit import apt_root

VERSION = "5:28.5.2-1~debian.13~trixie"
_PARTS = ("docker.io", "docker-cli", "containerd", "runc", "tini-static")
_CLASH = "docker.io, docker-engine"
_NAMES = "containerd, runc"
# https://github.com/docker/docker-ce-packaging, deb/common/control.
_FIELDS = {
    "docker-ce": {
        "Depends": "containerd.io (>= 1.7.27), docker-ce-cli, iptables, libsystemd0",
        "Recommends": "apparmor, docker-ce-rootless-extras",
        "Conflicts": _CLASH,
        "Replaces": "docker-engine",
    },
    "docker-ce-cli": {
        "Recommends": "docker-buildx-plugin, docker-compose-plugin",
        "Conflicts": f"{_CLASH}, docker-cli",
        "Replaces": f"{_CLASH}, docker-cli",
    },
    "containerd.io": {
        "Depends": "libseccomp2",
        "Conflicts": _NAMES,
        "Replaces": _NAMES,
        "Provides": _NAMES,
    },
}
_UNITS = {"docker-ce": "docker.socket docker.service", "containerd.io": "containerd.service"}
# As debhelper writes them: packages start what they bring, and stop it when they go.
_SCRIPTS = {
    "postinst": """
[ "$1" = configure ] || exit 0
systemctl daemon-reload
for unit in {units}; do
    deb-systemd-helper unmask $unit >/dev/null
    deb-systemd-helper enable $unit >/dev/null
done
if [ -n "$2" ]; then deb-systemd-invoke restart {units}; else deb-systemd-invoke start {units}; fi
""",
    "prerm": '[ "$1" != remove ] || deb-systemd-invoke stop {units}\n',
    "postrm": """
[ "$1" != remove ] || systemctl daemon-reload
[ "$1" != purge ] || deb-systemd-helper purge {units} >/dev/null
""",
}


def repository(lab, host, folder, signer):
    """Make the repository of what apt of a host has; return its folder."""
    download = f"mkdir -p /srv/parts; cd /srv/parts; apt-get download -qq {' '.join(_PARTS)}"
    lab.exec(host, "sh", "-ec", download)
    lab.engine.docker("cp", f"{lab.settings.container(host)}:/srv/parts", folder / "parts")
    trees = {name: folder / name for name in _PARTS}
    for name, tree in trees.items():
        (file,) = (folder / "parts").glob(f"{name}_*.deb")
        apt_root.run("dpkg-deb", "--raw-extract", file, tree)
        shutil.rmtree(tree / "DEBIAN")
    shutil.copytree(trees["runc"], trees["containerd"], symlinks=True, dirs_exist_ok=True)
    daemon = trees["docker.io"]
    init = daemon / "usr/bin/docker-init"
    init.unlink()
    shutil.copy(trees["tini-static"] / "usr/bin/tini-static", init)
    (daemon / "usr/sbin/dockerd").rename(daemon / "usr/bin/dockerd")
    unit = daemon / "usr/lib/systemd/system/docker.service"
    unit.write_text(unit.read_text().replace("/usr/sbin/dockerd", "/usr/bin/dockerd"))
    shutil.rmtree(daemon / "etc")
    made = folder / "made"
    made.mkdir()
    for name, version, tree in (
        ("docker-ce", VERSION, daemon),
        ("docker-ce-cli", VERSION, trees["docker-cli"]),
        ("containerd.io", "2.1.9-1", trees["containerd"]),
    ):
        apt_root.build(made, name, version, {**_FIELDS[name], **_scripts(name)}, tree)
    return signer.sign(apt_root.listed(made), "trixie")


def _scripts(name):
    units = _UNITS.get(name)
    return {script: text.format(units=units) for script, text in _SCRIPTS.items()} if units else {}
