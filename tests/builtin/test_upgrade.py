"""
An upgrade of the engines of a running cluster, from Debian 13's version to the next release's, on
hosts beside the lab: three managers, two workers, and a service that a client calls meanwhile.
"""

import contextlib

import pytest

from tests.builtin import docker_ce
from tests.builtin.conftest import SALT
from tests.builtin.mode import SwarmMode
from tests.builtin.watch import called
from tests.integration import engines
from tests.integration.cluster import changed, failures, lab_beside
from tests.unit import apt_root

pytestmark = pytest.mark.long

OLD, NEW = "26.1.*", "28.5.*"
# As an administrator has the packages of a newer release: none of them is taken by itself.
PINS = "Package: *\nPin: release n=forky\nPin-Priority: 100\n"
PAGE = "hostname >/www/index.html && exec httpd -f -p 8080 -h /www"
WEB = {
    **{"image": "busybox:lab", "image_source": "salt://images/busybox.tar", "resolve": "never"},
    **{"command": ["sh", "-c"], "args": [PAGE], "replicas": 2, "stop_grace_period": "1s"},
    "ports": [{"published": 8080, "target": 8080, "mode": "host"}],
}
# A package that has a file of docker-ce: dpkg overwrites none.
OTHER = """
cd "$(mktemp -d)" && mkdir -p DEBIAN usr/bin && echo other >usr/bin/dockerd
cat >DEBIAN/control <<end
Package: other
Version: 1
Architecture: all
Maintainer: Nobody <nobody@example.com>
Description: other
end
dpkg-deb --build . /tmp/other.deb && dpkg --install /tmp/other.deb
"""


@contextlib.contextmanager
def cluster(hosts):
    """Give hosts beside the lab, and take them away again."""
    lab = lab_beside("upgrade", 203)
    lab.down()
    try:
        lab.up(hosts, "builtin", SALT, "forky", False, "trixie")
        yield SwarmMode(lab)
    finally:
        lab.down()


@pytest.fixture
def running():
    """A cluster with the older engine, and a service with two replicas."""
    with cluster(5) as mode:
        hosts = mode.lab.hosts()
        for host in hosts:
            mode.lab.exec(host, "tee", "/etc/apt/preferences.d/engine", input=PINS)
        pillar(mode, version=OLD)
        mode.apply()
        assert versions(mode) == dict.fromkeys(hosts, OLD.rstrip(".*"))
        assert mode.apply() == {}
        yield mode


@pytest.fixture
def signer():
    """Whoever signs the repository of docker-ce."""
    with apt_root.signing() as found:
        yield found


def pillar(mode, **engine):
    """Have this engine on nodes that are drained first, and the service."""
    managers = ["m1", "m2", "m3"]
    mode.pillar(managers=managers, services={"web": WEB}, engine={**engine, "drain": True})


def versions(mode):
    """Return the first two numbers of the versions of the engines that run."""
    found = {host: mode.api(host, "/version")["Version"] for host in mode.lab.hosts()}
    return {host: ".".join(version.split(".")[:2]) for host, version in found.items()}


def urls(mode):
    """Return where the service may answer: as a load balancer, the client tries one by one."""
    return [f"http://{mode.lab.address(host)}:8080/" for host in mode.lab.hosts()]


def test_engines_are_upgraded_one_after_the_other_and_the_service_answers(running):
    cluster, roles, hosts = running.cluster(), running.roles(), running.lab.hosts()
    pillar(running, version=NEW)
    returns = running.state(test=True)
    assert failures(returns) == {}
    promised = changed(returns)
    for host in hosts:
        packages = promised[f"{host}: engine is installed"]
        assert {"docker.io", "docker-cli"} <= packages.keys()
        assert packages["docker.io"]["new"].startswith("28.5.")
    since = engines.now(running.lab)
    with called(running, "salt", *urls(running), patience=1) as answers:
        running.state()
        # Salt's command may give up on those that wait for their turn.
        running.await_idle()
        running.apply()
    assert versions(running) == dict.fromkeys(hosts, NEW.rstrip(".*"))
    found = engines.restarts(running.lab, since)
    assert {host: len(one) for host, one in found.items()} == dict.fromkeys(hosts, 1)
    assert engines.overlapping(found) == []
    assert (running.cluster(), running.roles()) == (cluster, roles)
    assert len(answers) > 100
    assert answers.count("failed") == 0, f"{answers.count('failed')} of {len(answers)}"
    assert running.apply() == {}


def test_engine_of_debian_is_replaced_with_dockers_and_back(tmp_path, signer):
    with cluster(3) as mode:
        hosts = mode.lab.hosts()
        pillar(mode)
        mode.apply()
        node_ids, roles = mode.cluster(), mode.roles()
        made = docker_ce.repository(mode.lab, hosts[0], tmp_path, signer)
        for host in hosts:
            mode.lab.engine.docker("cp", made, f"{mode.lab.settings.container(host)}:/srv/docker")
        source = {"url": "file:/srv/docker", "key": signer.key, "fingerprint": signer.fingerprint}
        dockers = {"package": "docker-ce", "repository": {**source, "suite": "trixie"}}
        before = packages(mode)
        pillar(mode, **dockers)
        told = failures(mode.state())
        for host in hosts:
            assert "this host has docker.io already" in told[f"{host}: engine is installed"]
        assert packages(mode) == before
        with called(mode, "salt", *urls(mode), patience=1) as answers:
            cannot_be_replaced(mode, hosts[0], before, **dockers, replace=True)
            for engine in ({**dockers, "replace": True}, {"replace": True}):
                pillar(mode, **engine)
                mode.state()
                mode.await_idle()
                mode.apply()
                wanted = engine.get("package", "docker.io")
                for host, found in packages(mode).items():
                    assert found & {"docker.io", "docker-ce"} == {wanted}, host
                assert mode.apply() == {}
        assert (mode.cluster(), mode.roles()) == (node_ids, roles)
        assert len(answers) > 100
        assert answers.count("failed") == 0, f"{answers.count('failed')} of {len(answers)}"


def cannot_be_replaced(mode, host, before, **engine):
    """Apply on a host where apt fails after it has removed the engine: that one is put back."""
    mode.lab.exec(host, "sh", "-ec", OTHER)
    pillar(mode, **engine)
    told = failures(mode.state(target=host))[f"{host}: engine is installed"]
    assert "The former packages are back" in told
    assert packages(mode) == before
    mode.wait(lambda: mode.roles().get(host) == "manager", 60)
    mode.lab.exec(host, "dpkg", "--purge", "other")


def packages(mode):
    """Return the names of the packages of the engines on each host."""
    names = ("docker*", "containerd*", "runc", "tini*")
    ask = ["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package}\n", *names]
    shown = {host: mode.lab.exec(host, *ask, check=False).stdout for host in mode.lab.hosts()}
    rows = {host: map(str.split, text.splitlines()) for host, text in shown.items()}
    return {
        host: {name for state, name in two if state == "installed"} for host, two in rows.items()
    }
