"""
What goes wrong is refused, or undone, and said.
"""

import json

import pytest

from tests.integration.cluster import changed, failures


def _sleeper(swarm, host):
    swarm.docker(host, "run", "-d", "--name", "bystander", "busybox:lab", "sleep", "3600")
    return swarm.pids(host)


@pytest.fixture
def bystander(swarm):
    """A host with a container of somebody else, and the PIDs of all that runs there."""
    host = swarm.lab.hosts()[-1]
    yield host, _sleeper(swarm, host)
    swarm.docker(host, "rm", "-f", "bystander")


def test_option_the_daemon_refuses_is_rolled_back_with_its_own_words(swarm, bystander):
    host, before = bystander
    files = swarm.files(host)
    swarm.pillar(host, engine={"options": {"no-such-key-at-all": 1}})
    told = failures(swarm.state(target=host))
    text = told[f"{host}: engine is configured"]
    assert "no-such-key-at-all" in text
    assert "put back" in text
    assert swarm.files(host) == files
    assert swarm.pids(host) == before
    assert swarm.all_healthy()


@pytest.mark.once
def test_option_that_only_a_start_shows_to_be_wrong_is_rolled_back(swarm, bystander):
    """A cgroup driver that does not exist passes the reload and stops the start."""
    host, before = bystander
    files = swarm.files(host)
    options = {"exec-opts": ["native.cgroupdriver=floppy"]}
    swarm.pillar(host, engine={"options": options})
    text = failures(swarm.state(target=host))[f"{host}: engine is configured"]
    assert "native.cgroupdriver" in text
    assert "put back" in text
    assert swarm.files(host) == files
    after = swarm.pids(host)
    assert after.pop("dockerd") != before.pop("dockerd")
    assert after == before
    swarm.wait(swarm.all_healthy, 120)


@pytest.mark.once
def test_option_too_new_for_the_engine_is_refused_before_anything_is_written(swarm, bystander):
    host, before = bystander
    swarm.pillar(host, engine={"options": {"firewall-backend": "nftables"}})
    text = failures(swarm.state(target=host))[f"{host}: engine is configured"]
    assert "29.0" in text
    assert "swarm:engine:options:firewall-backend" in text
    assert swarm.pids(host) == before


@pytest.mark.once
def test_broken_daemon_json_of_an_admin_is_left_alone(swarm):
    host = swarm.lab.hosts()[-1]
    path = "/etc/docker/daemon.json"
    good = swarm.lab.exec(host, "cat", path).stdout
    swarm.lab.exec(host, "sh", "-c", f"echo '{{broken' > {path}")
    try:
        text = failures(swarm.state(target=host))[f"{host}: swarm pillar is valid"]
        assert path in text
        assert swarm.lab.exec(host, "cat", path).stdout == "{broken\n"
    finally:
        swarm.lab.exec(host, "tee", path, input=good)
    assert swarm.apply(target=host) == {}


@pytest.mark.once
@pytest.mark.parametrize(
    ("spoil", "mend", "words"),
    [
        (
            # As many pages as there are files.
            "cp -a /etc/docker /root/docker; size=$(($(find /root/docker -type f | wc -l) * 4))k;"
            " mount -t tmpfs -o size=$size full /etc/docker; cp -a /root/docker/. /etc/docker;"
            " rm -r /root/docker",
            "umount /etc/docker",
            "No space left on device",
        ),
        (
            "mount --rbind /etc /etc; mount -o remount,bind,ro /etc",
            "umount --lazy /etc",
            "Read-only file system",
        ),
    ],
    ids=["full disk", "read-only /etc"],
)
def test_file_that_cannot_be_written_is_as_it_was(swarm, bystander, spoil, mend, words):
    host, before = bystander
    files = swarm.files(host)
    swarm.pillar(host, engine={"options": {"log-opts": {"max-size": "10m" + " " * 4000}}})
    swarm.lab.exec(host, "sh", "-ec", spoil)
    try:
        text = failures(swarm.state(target=host))[f"{host}: engine is configured"]
        assert "cannot write /etc/docker/daemon.json" in text
        assert words in text
        assert swarm.files(host) == files
        assert swarm.pids(host) == before
    finally:
        swarm.lab.exec(host, "sh", "-ec", mend)
    swarm.pillar(host, engine={"options": {"debug": True}})
    assert set(swarm.apply(target=host)) == {f"{host}: engine is configured"}
    assert swarm.apply(target=host) == {}


@pytest.mark.once
def test_stopped_engine_is_started(swarm):
    host = swarm.lab.hosts()[-1]
    swarm.lab.exec(host, "systemctl", "stop", "docker.socket", "docker.service")
    assert f"{host}: engine is configured" in changed(swarm.state(target=host))
    swarm.wait(swarm.all_healthy, 120)
    assert swarm.apply() == {}


def test_interrupted_run_is_finished_by_the_next(swarm):
    """The file was written and the minion killed before the engine had read it."""
    host = swarm.lab.hosts()[-1]
    path = "/etc/docker/daemon.json"
    config = json.loads(swarm.lab.exec(host, "cat", path).stdout)
    swarm.pillar(host, labels={"late": "yes"})
    swarm.lab.exec(host, "tee", path, input=json.dumps({**config, "labels": ["late=yes"]}))
    record = "/var/lib/swarm-formula/record.json"
    noted = json.loads(swarm.lab.exec(host, "cat", record).stdout)
    noted["pending"] = {"restart": False, "what": "labels"}
    swarm.lab.exec(host, "tee", record, input=json.dumps(noted))
    swarm.apply(target=host)
    assert "late=yes" in swarm.docker(host, "info", "-f", "{{json .Labels}}")
    assert swarm.apply(target=host) == {}


@pytest.mark.once
def test_killed_container_and_removed_container_come_back(swarm):
    host = swarm.lab.hosts()[-1]
    swarm.docker(host, "stop", "swarm-agent")
    swarm.docker(host, "rm", "-f", "swarm-manager")
    assert set(swarm.apply(target=host)) == {
        f"{host}: manager is running",
        f"{host}: agent is running",
    }
    assert swarm.apply(target=host) == {}
