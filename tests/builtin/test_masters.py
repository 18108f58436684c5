"""
Two masters with the same minions, keys, pillar and formula, of which one may be down.
"""

import contextlib
import json

import pytest

from lab import master
from lab.run import LabError
from tests.integration.cluster import changed, failures

pytestmark = pytest.mark.long

SECOND = "m5"
HOSTS = "m1,m2,m3"
LOCAL = "/etc/salt/minion.d/masters.conf"
COPIED = "etc/salt/master etc/salt/pki/master srv/lab"
UNIT = "second-master"


class Masters:
    """The lab's master, and a second one."""

    def __init__(self, mode) -> None:
        self.mode, self.lab = mode, mode.lab

    def copy(self, *paths):
        """Copy files of the first master to the second."""
        pack = f"tar -C / --exclude=.git --exclude=__pycache__ -cz {' '.join(paths)} | base64"
        packed = self.lab.exec("salt", "sh", "-c", pack).stdout
        self.lab.exec(SECOND, "sh", "-c", "base64 -d | tar -C / -xz", input=packed)

    def pillar(self, **keys):
        self.mode.pillar(**keys)
        self.copy("srv/lab/pillar")

    def second(self, target, fun, *words):
        """Run a function from the second master; return ``{minion: answer}``."""
        return master.salt(self.lab.engine, target, fun, *words, timeout=600, host=SECOND)

    def second_hears_all(self):
        """Say whether all minions answer the second master, which may not be up yet."""
        with contextlib.suppress(LabError):
            return set(self.second(HOSTS, "test.ping")) == set(HOSTS.split(","))
        return False

    def apply(self, *words):
        """Apply from the second master; return what changed."""
        returns = self.second(HOSTS, "state.apply", "swarm", "queue=True", *words)
        assert set(returns) == set(HOSTS.split(",")), returns
        assert failures(returns) == {}
        return changed(returns)

    def know(self, *masters):
        """Have the minions know these masters."""
        text = f"master: {json.dumps(masters)}\n"
        for host in HOSTS.split(","):
            if len(masters) > 1:
                self.lab.exec(host, "tee", LOCAL, input=text)
            else:
                self.lab.exec(host, "rm", "-f", LOCAL)
            self.lab.exec(host, "systemctl", "restart", "salt-minion")
        self.mode.await_minions()


@pytest.fixture
def masters(mode):
    mode.lab.pillar({"autojoin": {"enabled": False}}, SECOND)
    mode.lab.add(SECOND)
    both = Masters(mode)
    both.copy(COPIED, "srv/formula")
    # Salt 3008 names a master's key after its ID.
    mode.lab.exec(SECOND, "mkdir", "-p", "/etc/salt/master.d")
    mode.lab.exec(SECOND, "tee", "/etc/salt/master.d/id.conf", input="id: salt\n")
    mode.lab.exec(SECOND, "systemd-run", f"--unit={UNIT}", "/opt/salt/bin/salt-master")
    try:
        both.know("salt", SECOND)
        mode.wait(both.second_hears_all, 120)
        yield both
    finally:
        mode.lab.exec("salt", "systemctl", "start", "salt-master")
        both.know("salt")
        mode.lab.remove(SECOND)
        mode.lab.pillar({}, SECOND)
        mode.restore()


@contextlib.contextmanager
def first_is_down(masters):
    masters.lab.exec("salt", "systemctl", "stop", "salt-master")
    yield
    masters.lab.exec("salt", "systemctl", "start", "salt-master")
    masters.mode.await_minions()


def test_each_of_two_masters_applies_and_one_of_them_is_enough(masters):
    mode = masters.mode
    cluster, engines = mode.cluster(), {one: mode.dockerd(one) for one in HOSTS.split(",")}
    assert masters.apply() == {}
    assert changed(mode.state(target=HOSTS)) == {}

    masters.pillar(nodes={"m*": {"labels": {"zone": "both"}}})
    assert masters.apply("test=True").keys() == masters.apply().keys() != set()
    assert mode.labels("m3") == {"zone": "both"}
    assert changed(mode.state(target=HOSTS)) == {}

    with first_is_down(masters):
        assert masters.apply() == {}
        masters.pillar(nodes={"m*": {"labels": {"zone": "one"}}})
        assert masters.apply()
        assert mode.labels("m3") == {"zone": "one"}
        assert masters.apply() == {}
    assert changed(mode.state(target=HOSTS)) == {}
    assert mode.cluster() == cluster
    assert {one: mode.dockerd(one) for one in HOSTS.split(",")} == engines


def test_engines_restart_in_turn_from_either_master(masters):
    """The managers that give the turn are asked by the master that runs the job."""
    engines = {one: masters.mode.dockerd(one) for one in HOSTS.split(",")}
    masters.pillar(engine={"options": {"default-shm-size": "65M"}})
    assert set(masters.apply()) == {f"{one}: engine is configured" for one in engines}
    now = {one: masters.mode.dockerd(one) for one in engines}
    assert not any(now[one] == before for one, before in engines.items())
    assert masters.apply() == {}
    assert changed(masters.mode.state(target=HOSTS)) == {}
