"""
The lock that the cluster holds: a model with hosts that are interrupted, lost and slow.
"""

import base64
import random
import threading
import time

import docker
import pytest

from swarm_formula.cluster import raft_lock
from swarm_formula.cluster.raft_lock import EXPIRED, FREE, HELD, OWN, Turn
from swarm_formula.core import errors
from swarm_formula.engine import restart_turn
from tests.unit.execution import own_time

HOSTS = ("m1", "m2", "m3", "m4", "m5")
START = 1_750_000_000


class Crash(BaseException):
    """The host has lost its power."""


class Raft:
    """The managers' API: configs of unique names, one call at a time; ``between`` every two."""

    def __init__(self, between=lambda: None, clock=lambda: START):
        self.configs_, self.made, self.between, self.clock = {}, 0, between, clock
        self.services_, self.tasks_ = [], []

    def configs(self, filters):
        self.between()
        return [one for one in self.configs_.values() if filters["name"] in one["Spec"]["Name"]]

    def create_config(self, name, data, labels):
        self.between()
        if any(one["Spec"]["Name"] == name for one in self.configs_.values()):
            response = type("Response", (), {"status_code": 409, "reason": ""})()
            raise docker.errors.APIError("409", response, f"config {name} already exists")
        self.made += 1
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.1Z", time.gmtime(self.clock()))
        self.configs_[f"c{self.made}"] = {
            "ID": f"c{self.made}",
            "CreatedAt": stamp,
            "Spec": {"Name": name, "Labels": labels, "Data": base64.b64encode(data.encode())},
        }
        return {"ID": f"c{self.made}"}

    def remove_config(self, which):
        self.between()
        if which not in self.configs_:
            response = type("Response", (), {"status_code": 404, "reason": ""})()
            raise docker.errors.NotFound("404", response, "no such config")
        del self.configs_[which]

    def services(self):
        return self.services_

    def tasks(self, filters):
        return [one for one in self.tasks_ if one["NodeID"] == filters.get("node", one["NodeID"])]


class Machine:
    """Hosts as threads of which one runs at a time; who is next, chance says, and who is lost."""

    def __init__(self, seed):
        self.chance, self.now, self.inside, self.done = random.Random(seed), START, {}, []  # noqa: S311
        self.gates = {host: threading.Semaphore(0) for host in HOSTS}
        self.back = threading.Semaphore(0)
        self.doomed, self.crashes, self.failed = set(), 0, None
        self.local = threading.local()
        self.raft = Raft(self.between, lambda: self.now)

    def between(self):
        """Let others go on; the power of this host may be cut meanwhile."""
        self.back.release()
        self.gates[self.local.host].acquire()
        if self.local.host in self.doomed:
            self.doomed.discard(self.local.host)
            raise Crash

    def host(self, name):
        """Have a turn, as often as the power is cut in it."""
        self.local.host = name
        self.gates[name].acquire()
        while name not in self.done:
            try:
                self.turn(name)
                self.done.append(name)
            except Crash:
                self.inside.pop(name, None)
            except BaseException as err:
                self.failed = err
                break
        self.back.release()

    def turn(self, name):
        while True:
            try:
                turn, why = raft_lock.take(self.raft, name, f"node-{name}", 1000)
            except errors.ApiError:
                continue  # who was faster has ended already
            if turn:
                break
            assert "has it since" in why
        # Nobody else restarts; who was lost in it does not, either.
        assert not self.inside, (name, self.inside)
        self.inside[name] = turn
        for _ in range(self.chance.randrange(4)):
            self.between()
        del self.inside[name]
        raft_lock.remove(self.raft, turn.id)

    def run(self):
        threads = [threading.Thread(target=self.host, args=(one,), daemon=True) for one in HOSTS]
        for thread in threads:
            thread.start()
        for _ in range(20000):
            alive = [one for one in HOSTS if one not in self.done]
            if not alive:
                return
            chosen = self.chance.choice(alive)
            if self.crashes < 6 and self.chance.random() < 0.05:
                self.doomed.add(chosen)
                self.crashes += 1
            self.now += self.chance.choice((0, 1, 5, 20))
            self.gates[chosen].release()
            self.back.acquire()
            if self.failed:
                raise self.failed
        pytest.fail(f"stuck: {self.done}, {self.raft.configs_}")


@pytest.mark.parametrize("seed", range(60))
def test_never_two_hosts_have_the_turn_and_each_gets_it(monkeypatch, seed):
    """Whoever is interrupted between two calls, or loses its power at any of them."""
    machine = Machine(seed)
    monkeypatch.setattr(raft_lock, "time", own_time(time=lambda: machine.now))
    machine.run()
    assert sorted(machine.done) == list(HOSTS)
    assert machine.raft.configs_ == {}


@pytest.mark.parametrize(
    ("turn", "me", "now", "what"),
    [
        (None, "m1", 0, FREE),
        (Turn("c1", "m1", 0, 1000, {}), "m1", 5, OWN),
        (Turn("c1", "m2", 0, 1000, {}), "m1", 1000, HELD),
        (Turn("c1", "m2", 0, 1000, {}), "m1", 1001, EXPIRED),
        # a clock that was set back ends no turn
        (Turn("c1", "m2", 5000, 1000, {}), "m1", 0, HELD),
    ],
)
def test_what_a_turn_means(turn, me, now, what):
    assert raft_lock.verdict(turn, me, now) == what


def test_host_that_was_lost_in_its_turn_holds_nobody_up_for_ever(monkeypatch):
    raft, clock = Raft(), [START]
    raft.clock = lambda: clock[0]
    monkeypatch.setattr(raft_lock, "time", own_time(time=lambda: clock[0]))
    assert raft_lock.take(raft, "m1", "n1", 1000)[0]
    clock[0] += 1000
    assert raft_lock.take(raft, "m2", "n2", 1000) == (
        None,
        "m2 waits for its turn to restart its engine: m1 has it since 15:06:40 UTC",
    )
    clock[0] += 1
    assert raft_lock.take(raft, "m2", "n2", 1000)[0].holder == "m2"


def test_config_of_that_name_that_somebody_else_made_is_never_removed(monkeypatch):
    raft = Raft()
    raft.create_config(raft_lock.NAME, "", {})
    monkeypatch.setattr(raft_lock, "time", own_time(time=lambda: START + 10**9))
    turn, why = raft_lock.take(raft, "m1", "n1", 1000)
    assert turn is None
    assert "somebody's own config swarm-formula-turn has it" in why
    assert len(raft.configs_) == 1


def test_name_that_only_begins_like_it_is_none():
    raft = Raft()
    raft.create_config(f"{raft_lock.NAME}-of-mine", "", {})
    assert raft_lock.find(raft) is None


# ---- what ran before


def task(name, service, node, state="running"):
    status = {"State": state}
    return {
        "ID": name,
        "ServiceID": service,
        "NodeID": node,
        "CreatedAt": "2025-01-01T00:00:00.1Z",
        "Status": status,
    }


def service(name, mode):
    return {"ID": name, "Spec": {"Mode": {mode: {}}}}


@pytest.fixture
def cluster():
    """Return a cluster with one service on three nodes and a job on one."""
    raft = Raft()
    raft.services_ = [service("s1", "Global"), service("job", "ReplicatedJob")]
    raft.tasks_ = [task(f"t{n}", "s1", f"n{n}") for n in (1, 2, 3)] + [task("j", "job", "n1")]
    return raft


def test_what_a_restart_will_end_is_noted(cluster):
    before = raft_lock.running(cluster, "n1")
    assert before == {"node": "n1", "tasks": ["t1"], "services": {"s1": 3}}


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        # the managers have not heard of the restart yet
        (["t1", "t2", "t3"], "1 task(s) of before are still said to run"),
        (["t2", "t3"], "1 service(s) run fewer tasks than before"),
        (["t2", "t3", "t4"], None),
        (["t2", "t3", "t4", "t5"], None),
    ],
)
def test_services_are_waited_for(cluster, tasks, words):
    before = raft_lock.running(cluster, "n1")
    cluster.tasks_ = [task(one, "s1", "n1") for one in tasks]
    assert raft_lock.unsettled(cluster, before) == words


@pytest.mark.parametrize("drain", [False, True])
def test_lease_outlives_every_wait_of_a_turn(drain):
    settings = {"timeout": 180, "engine": {"drain": drain}}
    waits = (3 + drain) * settings["timeout"] + restart_turn._SETTLE
    assert raft_lock.lease(settings) > waits


def test_error_that_no_turn_explains_is_told():
    class Broken(Raft):
        def create_config(self, *_, **__):
            raise docker.errors.APIError("500", explanation="The swarm does not have a leader")

    with pytest.raises(errors.ApiError, match="does not have a leader"):
        raft_lock.take(Broken(), "m1", "n1", 1000)
