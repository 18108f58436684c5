"""
Hosts as they are: each condition of a new machine, with a first apply, a second, and a clean.
"""

import json
import time
from typing import NamedTuple

import pytest

from tests.integration.cluster import failures

pytestmark = [pytest.mark.once, pytest.mark.long]

HOST = "m5"
DAEMON = "/etc/docker/daemon.json"


class Condition(NamedTuple):
    """Something that a host has before the formula comes."""

    spoil: str  # shell
    refused: str = ""  # words of the first apply's error; it changes nothing then
    cure: str = ""  # shell; what the error tells to do


_LOCKED = (
    'import fcntl, time; lock = open("/var/lib/dpkg/lock-frontend", "r+");'
    " fcntl.lockf(lock, fcntl.LOCK_EX); time.sleep(30)"
)
_MINION = "/etc/systemd/system/salt-minion.service.d"
CONDITIONS = {
    "umask 077": Condition(
        f"mkdir -p {_MINION}; printf '[Service]\\nUMask=0077\\n' >{_MINION}/umask.conf;"
        " systemctl daemon-reload; systemctl restart salt-minion"
    ),
    "locale": Condition(
        f"mkdir -p {_MINION}; printf '[Service]\\nEnvironment=LC_ALL=de_DE.UTF-8 LANGUAGE=de\\n'"
        f" >{_MINION}/locale.conf; systemctl daemon-reload; systemctl restart salt-minion"
    ),
    "name": Condition("hostname Web-5.Example.COM; hostname >/etc/hostname"),
    "second address": Condition("ip address add 192.0.2.5/24 dev eth0"),
    "user namespaces": Condition(
        f'mkdir -p /etc/docker; echo \'{{"userns-remap": "default"}}\' >{DAEMON}'
    ),
    "empty daemon.json": Condition(f"mkdir -p /etc/docker; : >{DAEMON}"),
    "broken daemon.json": Condition(
        f"mkdir -p /etc/docker; echo '{{\"debug\": true,}}' >{DAEMON}",
        "is not JSON",
        f"echo '{{\"debug\": true}}' >{DAEMON}",
    ),
    "masked unit": Condition(
        "systemctl mask docker.service", "is masked", "systemctl unmask docker.service"
    ),
    "interrupted dpkg": Condition(
        "sed -n '/^Package: bash$/,/^$/p' /var/lib/dpkg/status"
        " | sed 's/^Status: .*/Status: install ok half-configured/' >/var/lib/dpkg/updates/0000",
        "Unfinished: bash",
        "dpkg --configure -a",
    ),
    "dpkg at work": Condition(
        f"setsid python3 -c '{_LOCKED}' >/dev/null 2>&1 </dev/null & sleep 1"
    ),
}
_KEYS = "/etc/salt/pki/master/minions"


def _picture(mode):
    """Return what a clean has to give back: the packages, and the file of the admin."""
    config = mode.lab.exec(
        HOST, "sh", "-c", f"stat -c '%a %U %G' {DAEMON} && cat {DAEMON}", check=False
    )
    return mode.lab.salt(HOST, "pkg.list_pkgs")[HOST], config.stdout


@pytest.fixture
def host(mode):
    """A new machine that the pillar names, and that is gone afterwards."""
    mode.lab.add(HOST, accept=False)
    yield HOST
    mode.await_idle()
    mode.lab.exec("salt", "salt-run", "swarm.remove", HOST, check=False)
    mode.lab.remove(HOST)
    # A node with a host name of its own stays in the list, after a clean, until an operator acts.
    mode.wait(lambda: all(one["Status"]["State"] != "unknown" for one in mode.nodes()), 120)
    for one in mode.nodes():
        if one["Status"]["State"] == "down":
            mode.docker(mode.leader(), "node", "rm", "--force", one["ID"])


def _ready(mode, host, spoil="true"):
    """Accept a new machine that has something, and wait until its minion answers."""
    exec_ = mode.lab.exec
    booted = ("systemctl", "is-active", "dbus")
    mode.wait(lambda: exec_(host, *booted, check=False).returncode == 0, 60)
    exec_(host, "sh", "-c", spoil)
    mode.wait(lambda: exec_("salt", "ls", f"{_KEYS}_pre/{host}", check=False).returncode == 0, 60)
    exec_("salt", "salt-key", "--yes", f"--accept={host}")
    mode.await_minion(host)
    mode.wait(lambda: mode.lab.salt(host, "test.ping") == {host: True}, 120)


@pytest.mark.parametrize("name", CONDITIONS)
def test_host_becomes_a_node_and_is_as_before_after_a_clean(mode, host, name):
    spoil, refused, cure = CONDITIONS[name]
    exec_ = mode.lab.exec
    _ready(mode, host, spoil)
    before = _picture(mode)
    if refused:
        for kwargs in ({"test": True}, {}):
            told = failures(mode.state(target=host, **kwargs))
            assert any(refused in text for text in told.values()), told
            assert _picture(mode) == before
        exec_(host, "sh", "-c", cure)
        before = (before[0], _picture(mode)[1])
    mode.apply(host)
    assert mode.roles()[host] == "worker"
    assert mode.apply(host) == {}
    alone = json.dumps({"swarm_clean": {"alone": True}})
    assert failures(mode.state("swarm.clean", target=host, pillar=alone)) == {}
    assert _picture(mode) == before


def test_host_that_is_off_is_removed_within_a_minute(mode, host):
    """Its minion is asked once, and nothing is waited for that a dead host cannot do."""
    _ready(mode, host)
    mode.apply(host)
    mode.lab.stop(host)
    begun = time.monotonic()
    done = mode.lab.salt_run("swarm.remove", host, timeout=300)
    took = time.monotonic() - begun
    assert done["cleaned"] == "the minion does not answer", done
    assert len(mode.nodes()) == len(mode.lab.hosts()) - 1
    assert took < 60, f"{took:.0f} s"
    # For the end of the test, which cleans it.
    mode.lab.start(host)
    mode.await_minion(host)


# As far as a run may have come when it failed or was killed.
STEPS = ("swarm.settings", "swarm.libraries", "swarm.engine", "swarm")


@pytest.mark.parametrize("how", ["clean", "remove"])
@pytest.mark.parametrize("step", STEPS)
def test_host_that_came_as_far_as_a_step_is_as_before_within_a_minute(mode, host, step, how):
    _ready(mode, host)
    before = _picture(mode)
    assert failures(mode.state(step, target=host)) == {}
    begun = time.monotonic()
    if how == "remove":
        assert mode.lab.salt_run("swarm.remove", host, timeout=300)["cleaned"] is True
    else:
        alone = json.dumps({"swarm_clean": {"alone": True}})
        assert failures(mode.state("swarm.clean", target=host, pillar=alone)) == {}
    took = time.monotonic() - begun
    assert _picture(mode) == before
    ready = [name for name, one in mode.by_host().items() if one["Status"]["State"] == "ready"]
    assert host not in ready
    assert took < 60, f"{took:.0f} s"
