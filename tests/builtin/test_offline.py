"""
Hosts that reach neither an index nor a registry: from bare to healthy by Salt's file server, on
hosts beside the lab, in both modes.
"""

import hashlib
import re
import shutil

import pytest

from tests.builtin.conftest import SALT
from tests.builtin.mode import END, SwarmMode
from tests.integration.cluster import changed, failures, lab_beside
from tests.unit import apt_root

pytestmark = pytest.mark.long

# Nothing that a host may install something from, and no way out.
CUT = """
rm -rf /etc/pip.conf /opt/wheels /etc/apt/sources.list /etc/apt/sources.list.d/*
rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
ip route del default || true
! apt-cache policy docker.io | grep -q Candidate:
"""
FOLDER = "/var/lib/swarm-formula/repository"


@pytest.fixture(params=["builtin", "classic"])
def bare(request, tmp_path):
    """Two bare hosts, and a pillar that has all from the file server."""
    lab = lab_beside("offline", 204)
    lab.down()
    try:
        lab.up(2, request.param, SALT)
        with apt_root.signing() as signer:
            serve(lab, tmp_path, signer)
        for host in lab.hosts():
            lab.exec(host, "sh", "-ec", CUT)
        mode = SwarmMode(lab)
        mode.pillar(
            libraries={
                "source": "salt://wheels",
                "requirements": "salt://wheels/requirements.txt",
            },
            engine={
                "repository": {
                    "url": "salt://docker",
                    "key": signer.key,
                    "fingerprint": signer.fingerprint,
                    "suite": "bookworm",
                },
                "version": None,
            },
        )
        yield mode
    finally:
        lab.down()


def serve(lab, folder, signer):
    """Have the master serve the packages and the wheels that are on the first host."""
    container = lab.settings.container(lab.hosts()[0])
    for source, name in (("/var/cache/apt/archives", "debs"), ("/opt/wheels", "wheels")):
        lab.engine.docker("cp", f"{container}:{source}", folder / name)
    debs, wheels = folder / "debs", sorted((folder / "wheels").rglob("*.whl"))
    for path in debs.iterdir():
        if path.suffix != ".deb":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        else:
            # apt's cache has the epoch in the names, and no repository has.
            path.rename(path.with_name(re.sub(r"_\d+%3a", "_", path.name)))
    states = lab.settings.states
    shutil.copytree(signer.sign(apt_root.listed(debs), "bookworm"), states / "docker")
    (states / "wheels").mkdir()
    for path in wheels:
        shutil.copy(path, states / "wheels")
    lines = []
    for path in wheels:
        name, version, *_ = path.name.split("-")
        lines.append(f"{name}=={version} --hash=sha256:{_digest(path)}\n")
    (states / "wheels/requirements.txt").write_text("".join(lines))


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_bare_hosts_become_a_healthy_swarm_by_the_file_server_alone(bare):
    lab, hosts = bare.lab, bare.lab.hosts()
    returns = bare.state(test=True)
    assert failures(returns) == {}
    promised = changed(returns)
    for host in hosts:
        assert promised[f"{host}: engine repository is present"][FOLDER]["new"] == "salt://docker/"
        told = promised[f"{host}: engine is installed"]["docker.io"]
        assert told == {"old": None, "new": "the newest from salt://docker"}
        assert lab.exec(host, "test", "-e", FOLDER, check=False).returncode == 1

    bare.apply()
    rows = {row["id"]: row["state"] for row in lab.salt_run("swarm.status")}
    assert {rows[host].lower() for host in hosts} <= {"ready", "healthy"}
    assert bare.apply() == {}

    assert failures(bare.state("swarm.clean", **END)) == {}
    for host in hosts:
        assert lab.exec(host, "test", "-e", FOLDER, check=False).returncode == 1
