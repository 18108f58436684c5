"""
``swarm.clean`` takes away all that the formula brought, and nothing else. Near the end: it does so.
"""

import json
import time

import pytest

from tests.integration.cluster import changed, failures
from tests.integration.troubles.table import pillar

DAEMON = "/etc/docker/daemon.json"


def _own(swarm, host):
    """Give a host a container and keys in daemon.json that are the admin's own."""
    config = json.loads(swarm.lab.exec(host, "cat", DAEMON).stdout)
    config["labels"] = [*config.get("labels", []), "rack=7"]
    config["max-concurrent-downloads"] = 5
    swarm.lab.exec(host, "tee", DAEMON, input=json.dumps(config))
    swarm.docker(host, "run", "-d", "--name", "own", "busybox:lab", "sleep", "3600")


def test_clean_leaves_what_is_not_ours(swarm):
    own, *others = swarm.lab.hosts()
    swarm.pillar(networks={"backend": {"driver": "overlay", "subnet": "10.20.0.0/24"}})
    swarm.pillar(own, labels={"zone": "a"})
    swarm.apply()
    _own(swarm, own)
    # Not removed as an orphan of the engine: it shows the rules.
    swarm.lab.exec(others[0], "apt-mark", "manual", "iptables")
    assert swarm.traces(others[0])
    promised = swarm.state("swarm.clean", test=True)
    assert failures(promised) == {}
    done = swarm.state("swarm.clean")
    assert failures(done) == {}
    assert set(changed(done)) <= set(changed(promised))
    assert json.loads(swarm.lab.exec(own, "cat", DAEMON).stdout) == {
        "labels": ["rack=7"],
        "max-concurrent-downloads": 5,
    }
    assert swarm.docker(own, "ps", "-a", "--format", "{{.Names}}") == "own"
    assert swarm.docker(own, "info", "-f", "{{json .Labels}}") == '["rack=7"]'
    for host in others:
        assert swarm.lab.salt(host, "pkg.version", "docker.io")[host] == ""
    assert swarm.traces(others[0]) == []
    for host in swarm.lab.hosts():
        left = "find /etc/swarm-formula /var/lib/swarm-formula /etc/profile.d/swarm.sh" \
               " /etc/systemd/system/docker.service.d -type f 2>/dev/null"  # fmt: skip
        assert swarm.lab.exec(host, "sh", "-c", left, check=False).stdout == ""
    swarm.docker(own, "rm", "-f", "own")


def test_clean_again_changes_nothing(cluster):
    returns = cluster.state("swarm.clean")
    assert failures(returns) == {}
    # The libraries are needed to look for what there is to clean.
    assert {key.split(": ")[1] for key in changed(returns)} <= {
        "client libraries are installed",
        "client libraries are removed",
    }


@pytest.mark.once
def test_what_somebody_else_calls_like_ours_is_left_alone(cluster):
    """The engine of the first host has stayed: an admin's keys are in its daemon.json."""
    host = cluster.lab.hosts()[0]
    cluster.docker(host, "run", "-d", "--name", "swarm-agent", "busybox:lab", "sleep", "3600")
    cluster.docker(
        host, "run", "--name", "filler", "-v", "swarm-consul:/v", "busybox:lab", "touch", "/v/x"
    )

    def picture():
        shown = [["ps", "-aq", "--no-trunc"], ["volume", "ls", "-q"], ["images", "-q"]]
        there = [cluster.docker(host, *words) for words in shown]
        return there, cluster.lab.exec(host, "cat", DAEMON).stdout

    before = picture()
    for kwargs in ({"test": True}, {}):
        (refused,) = [
            text
            for text in failures(cluster.state(target=host, **kwargs)).values()
            if "names that this formula uses" in text
        ]
        assert "container swarm-agent (swarm:agent:container) is not the formula's" in refused
        assert "volume swarm-consul (swarm:consul:volume)" in refused
        assert picture() == before
    # A clean creates nothing: it has no reason to refuse them.
    for kwargs in ({"test": True}, {}):
        assert failures(cluster.state("swarm.clean", target=host, **kwargs)) == {}
        assert picture() == before
    cluster.docker(host, "rm", "-f", "swarm-agent", "filler")
    cluster.docker(host, "volume", "rm", "swarm-consul")


@pytest.mark.once
def test_classic_swarm_by_hand_is_refused_by_name(cluster):
    """The formula is not on this host: all of it is gone, and the engine has stayed."""
    host = cluster.lab.hosts()[0]
    program = "printf '#!/bin/sh\\nexec sleep 3600\\n' >/tmp/swarm; chmod 755 /tmp/swarm"
    cluster.lab.exec(host, "sh", "-c", program)
    run = ["run", "-d", "-v", "/tmp/swarm:/swarm", "--entrypoint", "/swarm"]  # noqa: S108
    cluster.docker(host, *run, "--name", "sad_perlman", "busybox:lab", "join", "consul://c:8500")

    def picture():
        shown = cluster.docker(host, "ps", "-q", "--no-trunc")
        return shown, cluster.lab.exec(host, "cat", DAEMON).stdout

    before = picture()
    for kwargs in ({"test": True}, {}):
        told = failures(cluster.state(target=host, **kwargs)).values()
        assert any("container sad_perlman (swarm join)" in text for text in told), told
        assert picture() == before
    assert failures(cluster.state("swarm.clean", target=host)) == {}
    assert picture() == before
    cluster.docker(host, "rm", "-f", "sad_perlman")


# As far as a run may have come when it failed. Consul fails: the other servers are not there.
STEPS = ("swarm.libraries", "swarm.tls", "swarm.engine", "swarm.classic.consul", "swarm")


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
def test_clean_after_a_run_that_came_as_far_as_a_step(cluster, step):
    host = cluster.lab.hosts()[-1]
    # Run by itself, the first step finds a host that is set up.
    assert failures(cluster.state("swarm.clean", target=host)) == {}
    packages = cluster.lab.salt(host, "pkg.list_pkgs")[host]
    with pillar(cluster, timeout=10):
        cluster.state(step, target=host)
        begun = time.monotonic()
        assert failures(cluster.state("swarm.clean", target=host)) == {}
        took = time.monotonic() - begun
    assert cluster.lab.salt(host, "pkg.list_pkgs")[host] == packages
    left = "find /etc/swarm-formula /var/lib/swarm-formula /etc/docker/daemon.json -type f"
    assert cluster.lab.exec(host, "sh", "-c", left, check=False).stdout == ""
    assert took < 60, f"{took:.0f} s"


def _cut_while_dpkg_works(swarm, host):
    """Cut a host's power in the middle of its first apply, and switch it on again."""
    swarm.lab.exec("salt", "salt", "--async", host, "state.apply", "swarm")
    at_work = "ls /var/lib/dpkg/updates | grep -q '^[0-9]'"
    swarm.wait(
        lambda: swarm.lab.exec(host, "sh", "-c", at_work, check=False).returncode == 0, 120, 0.02
    )
    swarm.lab.stop(host)
    swarm.lab.start(host)
    swarm.await_minion(host)
    assert swarm.lab.exec(host, "sh", "-c", at_work, check=False).returncode == 0


@pytest.mark.once
def test_power_cut_in_the_first_installation_is_cleaned_and_another_is_finished(cluster):
    host = cluster.lab.hosts()[-1]
    packages = cluster.lab.salt(host, "pkg.list_pkgs")[host]
    _cut_while_dpkg_works(cluster, host)
    told = failures(cluster.state("swarm.clean", target=host))
    assert not told, [text for text in told.values() if "requisite" not in text]
    assert cluster.lab.salt(host, "pkg.list_pkgs")[host] == packages
    # The next test's apply finishes this one.
    _cut_while_dpkg_works(cluster, host)


@pytest.mark.once
def test_after_clean_the_swarm_is_made_anew(cluster):
    cluster.apply()
    cluster.wait(cluster.all_healthy, 120)
    assert cluster.apply() == {}


@pytest.mark.once
@pytest.mark.long
def test_host_with_user_namespaces_is_a_node(cluster):
    """Its engine refuses the host's network to containers in other user namespaces."""
    host = cluster.lab.hosts()[-1]
    text = '{"userns-remap":"default"}'
    with pillar(cluster, managers=["m1"]):
        cluster.apply()
        for write in (f"mkdir -p /etc/docker; printf '{text}' >{DAEMON}", f"rm -f {DAEMON}"):
            assert failures(cluster.state("swarm.clean", target=host)) == {}
            cluster.lab.exec(host, "sh", "-c", write)
            cluster.apply(target=host)
            cluster.wait(cluster.all_healthy, 120)
            assert cluster.apply(target=host) == {}
            if text in write:
                assert failures(cluster.state("swarm.clean", target=host)) == {}
                assert cluster.lab.exec(host, "cat", DAEMON).stdout == text
    cluster.apply()
    cluster.wait(cluster.all_healthy, 120)
