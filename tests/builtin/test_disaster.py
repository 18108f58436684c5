"""
Managers are cut off or all lost, and there is one cluster again: the same.
"""

import pytest

from tests.integration.cluster import failures

pytestmark = pytest.mark.once

BACKUP = "/root/backup.tar.gz"
MANAGERS = {"m1": "manager", "m2": "manager", "m3": "manager"}


@pytest.fixture
def three(mode):
    """The cluster without other hosts than the three managers."""
    for host in set(mode.lab.hosts()) - set(MANAGERS):
        mode.lab.salt_run("swarm.remove", host, timeout=300)
        mode.lab.remove(host)
    return mode


@pytest.mark.long
def test_leader_is_cut_off_and_comes_back(mode):
    cluster, leader = mode.cluster(), mode.leader()
    mode.lab.cut(leader)
    mode.wait(lambda: mode.leader() not in (leader, None), 120)
    rest = [host for host in MANAGERS if host != leader]
    mode.pillar(nodes={"m*": {"labels": {"cut": "off"}}})
    mode.apply(",".join(rest))
    assert {mode.labels(host)["cut"] for host in rest} == {"off"}
    mode.lab.heal(leader)
    states = mode.lab.call(leader, "state.apply", "swarm", "queue=True", timeout=300)
    assert failures({leader: states}) == {}
    mode.become(**MANAGERS)
    assert mode.cluster() == cluster
    # The minion's connection looks alive and is not; to find that out, it would need minutes.
    mode.lab.exec(leader, "systemctl", "restart", "salt-minion")
    mode.await_minion(leader)
    mode.await_idle()
    assert mode.apply() == {}
    mode.pillar(nodes={"m*": {"labels": {"cut": None}}})
    mode.apply()


def test_cluster_that_was_lost_with_all_its_managers_comes_back_from_a_backup(three):
    service = {"Name": "kept", "TaskTemplate": {"ContainerSpec": {"Image": "busybox:lab"}}}
    service["Mode"] = {"Replicated": {"Replicas": 0}}
    assert three.post(three.leader(), "/services/create", service)
    cluster, leader = three.cluster(), three.leader()

    done = three.lab.salt_run("swarm.backup", timeout=300)
    where, path = done["minion"], done["path"]
    assert where != leader
    other = next(host for host in MANAGERS if host != where)
    three.become(**MANAGERS)
    assert three.lab.exec(where, "stat", "-c", "%a %U", path).stdout.split() == ["600", "root"]
    # While the cluster is well, there must not be a second one.
    told = three.lab.salt(where, "swarm_backup.restore", path)[where]
    assert "is in a cluster that has a leader" in told
    kept = three.lab.exec(where, "base64", "-w0", path).stdout

    # The master has them join as soon as they are there: not for long, for there is no cluster.
    three.pillar(timeout=30)
    # All at the same time: one after the other would be replaced, and the cluster go on.
    for host in MANAGERS:
        three.lab.stop(host)
    for host in MANAGERS:
        three.lab.reset(host)
    assert failures(three.state("swarm.engine")) == {}
    for host in (where, other):
        three.lab.exec(host, "sh", "-c", f"base64 -d > {BACKUP}", input=kept)
    # Nobody could join there: all would look for the manager at the address that it had.
    told = three.lab.salt(other, "swarm_backup.restore", BACKUP)[other]
    assert f"look for its manager at {three.lab.address(where)}, the address of {where}" in told
    assert three.state_of(other) != "active"
    # Until the join is given up, its engine tries again from time to time.
    three.wait(lambda: three.state_of(where) == "inactive", 120)
    promised = three.lab.salt(where, "swarm_backup.restore", BACKUP, "test=True")
    restored = three.lab.salt(where, "swarm_backup.restore", BACKUP, timeout=300)
    assert restored[where]["swarm mode"] == promised[where]["swarm mode"]
    three.await_idle()
    three.apply()
    three.become(**MANAGERS)
    assert three.cluster() == cluster
    assert [one["Spec"]["Name"] for one in three.api(where, "/services")] == ["kept"]
    # What the hosts were before leaves the list as soon as the managers miss it: a while after a
    # new leader, which knows of nobody how he is.
    three.wait(lambda: three.apply() == {} and len(three.nodes()) == len(MANAGERS), 180)
