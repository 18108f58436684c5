"""
Hosts come, go, are replaced, restored from old disks and locked.
"""

import json

import pytest

from tests.builtin.watch import watched
from tests.integration import engines
from tests.integration.cluster import IDLE, WORKLOAD, changed, failures

KEY = "/var/lib/swarm-unlock-key"


@pytest.fixture
def four(mode):
    """The cluster with a fourth host, which leaves again."""
    if "m4" not in mode.lab.hosts():
        mode.lab.add("m4")
    mode.apply()
    mode.become(m4="worker")
    yield mode
    mode.restore()


def test_new_minion_joins_by_itself_with_its_labels(mode):
    mode.pillar(nodes={"m4": {"labels": {"zone": "d"}, "availability": "pause"}})
    mode.lab.add("m4")
    mode.wait(lambda: mode.roles().get("m4") == "worker", 300)
    mode.wait(lambda: mode.lab.salt("m4", "swarm_node.joined")["m4"], 60)
    # The managers give it its labels when it is there, and asked by it: later than its own word.
    mode.wait(lambda: mode.labels("m4") == {"zone": "d"}, 60)
    assert mode.by_host()["m4"]["Spec"]["Availability"] == "pause"
    assert mode.apply() == {}
    mode.pillar(nodes={"m*": {"availability": "active", "labels": {"zone": None}}})
    mode.apply()


@pytest.mark.once
def test_first_manager_of_pillar_is_replaced_and_the_cluster_stays(four):
    cluster = four.cluster()
    four.pillar(managers=["m4", "m2", "m3"])
    four.apply()
    four.become(m1="worker", m2="manager", m3="manager", m4="manager")
    assert four.cluster() == cluster
    assert four.apply() == {}
    four.pillar()
    four.apply()
    four.become(m1="manager", m2="manager", m3="manager", m4="worker")
    assert four.cluster() == cluster


@pytest.mark.long
@pytest.mark.once
def test_node_of_another_cluster_is_refused_with_the_cure(four):
    """As one that was restored from an old disk."""
    assert four.lab.salt("m4", "swarm_builtin.leave", "force=True")["m4"]
    address = {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": four.lab.address("m4")}
    assert four.post("m4", "/swarm/init", address)
    told = failures(four.state(target="m4"))["m4: this node has joined the cluster"]
    assert "is in another cluster than m1, m2, m3" in told
    cure = told.partition("salt m4 ")[2].partition(",")[0]
    assert cure == "swarm_builtin.leave force=True lose_cluster=True"
    assert four.lab.salt("m4", *cure.split())["m4"]
    four.apply("m4")
    four.become(m4="worker")
    four.lab.salt("m1", "swarm_leader.settle")


@pytest.mark.once
def test_manager_that_was_locked_by_a_reboot_is_unlocked_by_the_next_apply(mode):
    mode.pillar(builtin={"cluster": {"autolock": True}, "unlock_key": KEY})
    mode.apply()
    for host in ("m1", "m2", "m3"):
        assert mode.lab.exec(host, "stat", "-c", "%a %U", KEY).stdout.split() == ["600", "root"]
    # Without the key's place, or the master's engine would have it unlocked at once.
    mode.pillar(builtin={"cluster": {"autolock": True}})
    mode.lab.stop("m2")
    mode.lab.start("m2")
    mode.wait(lambda: mode.state_of("m2") == "locked", 120)
    mode.await_minion("m2")
    told = failures(mode.state(target="m2"))["m2: this node has joined the cluster"]
    assert "name the key's place in swarm:builtin:unlock_key" in told
    mode.pillar(builtin={"cluster": {"autolock": True}, "unlock_key": KEY})
    mode.apply("m2")
    mode.wait(lambda: mode.roles().get("m2") == "manager", 60)
    mode.pillar(builtin={"cluster": {"autolock": False}})
    mode.apply()


@pytest.mark.once
def test_leader_that_is_gone_for_good_is_replaced_and_quorum_is_kept(mode):
    """And its vote goes without another apply: else the next loss would cost the quorum."""
    cluster, host = mode.cluster(), mode.leader()
    old = mode.swarm(host)["NodeID"]
    mode.lab.reset(host)
    mode.apply()
    # The new leader was asked to, and waits until it can tell that the old one is down.
    mode.wait(lambda: mode.nodes() and old not in {one["ID"] for one in mode.nodes()}, 120)
    assert mode.swarm(host)["NodeID"] in {one["ID"] for one in mode.nodes()}
    assert mode.cluster() == cluster
    fourth = {"m4": "worker"} if "m4" in mode.lab.hosts() else {}
    mode.become(m1="manager", m2="manager", m3="manager", **fourth)
    assert mode.apply() == {}


@pytest.mark.once
def test_what_would_end_the_cluster_or_hide_what_it_runs_is_refused_by_every_node(mode):
    hosts = mode.lab.hosts()
    before = {host: (mode.dockerd(host), mode.files(host)) for host in hosts}
    pillar = mode.lab.default_pillar()
    pillar.pop("mode")
    mode.lab.pillar(pillar)
    for sls, test in (("swarm", True), ("swarm.join", False), ("swarm.clean", False)):
        told = failures(mode.state(sls, test=test))
        for host in hosts:
            text = told[f"{host}: swarm pillar is valid"]
            assert f"{host} is in a cluster of swarm mode (active)" in text
            assert "put 'mode: builtin' back" in text
    mode.pillar(engine={"options": {"data-root": "/srv/docker"}})
    for test in (True, False):
        told = failures(mode.state(test=test))
        for host in hosts:
            text = told[f"{host}: engine is configured"]
            assert "swarm:engine:options:data-root: " in text
            assert "swarm mode would be out of the engine's sight" in text
    assert {host: (mode.dockerd(host), mode.files(host)) for host in hosts} == before


@pytest.mark.once
def test_engine_of_which_apt_has_another_version_is_restarted(mode):
    engines.upgrade_behind_our_back(mode.lab, "m3")
    before = mode.dockerd("m3")
    assert mode.lab.exec("m3", "readlink", f"/proc/{before}/exe").stdout.endswith("(deleted)\n")
    told = changed(mode.state(test=True))
    assert set(told) == {"m3: engine is configured"}
    assert set(told["m3: engine is configured"]) == {"restart"}
    assert mode.apply() == told
    assert mode.dockerd("m3") != before
    assert mode.apply() == {}


@pytest.mark.once
def test_deleted_key_takes_no_record_of_the_cluster_with_it(mode):
    """Else managers that are all installed anew would make a second one."""
    node = mode.swarm("m3")["NodeID"]
    mode.lab.exec("salt", "salt-key", "--yes", "--delete=m3")
    mode.lab.exec("m3", "systemctl", "restart", "salt-minion")
    mode.await_minion("m3")
    assert mode.lab.salt("m1", "swarm_builtin.claims")["m1"].get("m3") == node


@pytest.mark.once
def test_manager_that_quorum_needs_is_not_removed(mode):
    mode.lab.stop("m3")
    # It may have led: until another one does, nobody can tell what the quorum needs.
    mode.wait(lambda: {"m1", "m2"} <= mode.roles().keys(), 60)
    before = mode.dockerd("m2")
    told = mode.lab.salt_run("swarm.remove", "m2", timeout=300)
    assert "would cost the quorum" in told["refused"]
    told = failures(mode.state("swarm.clean", target="m2"))
    assert "would cost the quorum" in told["m2: this node has left the cluster"]
    assert mode.dockerd("m2") == before
    assert mode.state_of("m2") == "active"
    mode.lab.start("m3")
    mode.wait(lambda: mode.roles().get("m3") == "manager", 120)


@pytest.mark.long
@pytest.mark.once
def test_leader_dies_while_another_host_joins(four):
    """Whoever leads then goes on; nothing is made a second time."""
    cluster, leader = four.cluster(), four.leader()
    four.lab.salt("m4", "swarm_builtin.leave")
    four.lab.stop(leader)
    rest = ",".join(host for host in four.lab.hosts() if host != leader)
    four.apply(rest)
    four.become(m4="worker")
    four.lab.start(leader)
    four.wait(lambda: four.roles().get(leader) == "manager", 120)
    assert four.cluster() == cluster


@pytest.mark.long
@pytest.mark.once
def test_host_that_was_cut_off_while_it_joined_joins_with_the_next_apply(four):
    cluster = four.cluster()
    four.lab.salt("m4", "swarm_builtin.leave")
    four.lab.stop("m4")
    four.lab.start("m4")
    four.await_minion("m4")
    job = four.lab.exec("salt", "salt", "--async", "m4", "state.apply", "swarm").stdout
    assert "job ID" in job
    four.lab.stop("m4")
    four.lab.start("m4")
    four.await_minion("m4")
    four.apply("m4")
    four.become(m4="worker")
    assert four.cluster() == cluster


@pytest.mark.long
@pytest.mark.once
def test_manager_that_dies_while_it_is_promoted_is_one_with_the_next_apply(four):
    cluster, leader, node = four.cluster(), four.leader(), four.swarm("m4")["NodeID"]
    three = dict.fromkeys(("m1", "m2", "m3"), "manager")
    four.pillar(managers=["m1", "m2", "m4"], timeout=60)
    # So that it cannot become one before it dies.
    four.lab.exec("m4", "kill", "-STOP", four.dockerd("m4"))
    job = four.lab.exec("salt", "salt", "--async", leader, "state.apply", "swarm").stdout
    assert "job ID" in job
    four.wait(
        lambda: {one["ID"]: one["Spec"]["Role"] for one in four.nodes()}[node] == "manager", 120
    )
    four.lab.stop("m4")
    # Old ones go after new ones have come.
    assert three.items() <= four.roles().items()
    four.lab.start("m4")
    four.await_minion("m4")
    four.await_idle()
    four.apply()
    four.become(m1="manager", m2="manager", m3="worker", m4="manager")
    assert four.cluster() == cluster
    four.pillar()
    four.apply()
    four.become(**three, m4="worker")


@pytest.mark.long
@pytest.mark.once
def test_worker_that_was_removed_while_it_runs_joins_again(four):
    """Its engine is not told, and stays active for ever."""

    def remove() -> str:
        node = four.swarm("m4")["NodeID"]
        four.api(four.leader(), f"/nodes/{node}?force=true", "-X", "DELETE")
        assert four.state_of("m4") == "active"
        assert node not in {one["ID"] for one in four.nodes()}
        return node

    removed = remove()
    rows = {row["id"]: row["state"] for row in four.lab.salt_run("swarm.status")}
    assert (rows["m4"], rows["m1"]) == ("missing", "Ready")
    promised = changed(four.state(test=True))
    assert list(promised) == ["m4: this node has joined the cluster"]
    assert four.swarm("m4")["NodeID"] == removed
    assert four.apply() == promised
    four.become(m4="worker")
    assert four.apply() == {}
    remove()
    assert four.lab.salt_run("swarm.reconcile", timeout=300)["joined"] == ["m4"]
    four.become(m4="worker")
    # Whose engine is started after that waits for ever to be taken in.
    remove()
    four.lab.exec("m4", "systemctl", "restart", "--no-block", "docker")
    four.wait(lambda: four.state_of("m4") == "pending", 60)
    four.apply("m4")
    four.become(m4="worker")
    assert four.apply() == {}


OPTION = {"options": {"default-shm-size": "96M"}}


@pytest.mark.once
def test_engines_of_a_cluster_restart_one_after_the_other(four):
    """Managers, and a worker to which the managers give its turn; by a plain apply on all."""
    with watched(four) as seen:
        four.pillar(engine=OPTION)
        told = changed(four.state(test=True))
        assert {name for name, one in told.items() if "restart" in one} == {
            f"{host}: engine is configured" for host in four.lab.hosts()
        }
        four.state()
        # Salt's command may give up on those that wait for their turn.
        four.await_idle()
        found = engines.restarts(four.lab, seen.since)
        assert {host: len(one) for host, one in found.items()} == dict.fromkeys(found, 1)
        assert engines.overlapping(found) == []
        assert min(seen.tasks()) == len(four.lab.hosts()) - 1
    assert four.apply() == {}


@pytest.fixture
def five(four):
    """The cluster with two workers."""
    with four.visitor("m5"):
        four.apply()
        four.become(m4="worker", m5="worker")
        yield four
        four.restore()


@pytest.mark.long
@pytest.mark.once
def test_nodes_are_drained_before_their_engines_restart(five):
    """A service with two replicas runs throughout, although every engine restarts."""
    engine = {"options": {"default-shm-size": "72M"}, "drain": True}
    with watched(five, replicas=2) as seen:
        five.pillar(engine=engine)
        told = changed(five.state(test=True))
        assert {name: one["drain"]["new"] for name, one in told.items()} == {
            f"{host}: engine is configured": "would be drained first" for host in five.lab.hosts()
        }
        returns = five.state()
        # Salt's command may give up on those that wait for their turn.
        five.await_idle()
        found = engines.restarts(five.lab, seen.since)
        assert {host: len(one) for host, one in found.items()} == dict.fromkeys(found, 1)
        assert engines.overlapping(found) == []
        assert min(seen.tasks()) >= 1
        drained = [one["drain"]["new"] for one in changed(returns).values() if "drain" in one]
        assert all(text.startswith("drained before the restart") for text in drained)
        specs = [one["Spec"] for one in five.nodes()]
        assert {one["Availability"] for one in specs} == {"active"}
        assert not any("swarm-formula.drained" in (one.get("Labels") or {}) for one in specs)
    assert five.apply() == {}


@pytest.mark.once
@pytest.mark.long
def test_host_that_was_lost_in_its_turn_is_named_and_goes_on_with_its_next_apply(four):
    four.pillar(timeout=20, engine={"options": {"default-shm-size": "80M"}})
    four.lab.exec("salt", "salt", "--async", "m2", "state.apply", "swarm")
    four.wait(lambda: (four.lab.salt("m1", "swarm_turn.status")["m1"] or {}).get("holder"), 120, 0)
    four.lab.exec("m2", "systemctl", "kill", "--signal=KILL", "salt-minion")
    assert four.lab.salt("m1", "swarm_turn.status")["m1"]["holder"] == "m2"
    four.lab.exec("m2", "systemctl", "stop", "salt-minion")
    before = four.dockerd("m1")
    told = failures(four.state(target="m1"))["m1: engine is configured"]
    assert "m1 waits for its turn to restart its engine: m2 has it since" in told
    assert four.dockerd("m1") == before
    four.lab.exec("m2", "systemctl", "start", "salt-minion")
    four.await_minion("m2")
    four.pillar(engine={"options": {"default-shm-size": "80M"}})
    four.apply("m2")
    assert four.lab.salt("m1", "swarm_turn.status")["m1"] == {}
    four.state()
    four.await_idle()
    assert four.apply() == {}


@pytest.mark.once
def test_live_node_is_removed_after_its_tasks_are_elsewhere(four):
    node = four.swarm("m4")["NodeID"]
    service = {
        "Name": "sleepers",
        "TaskTemplate": {
            "ContainerSpec": {"Image": WORKLOAD, "Command": IDLE},
            "Placement": {"Constraints": [f"node.id!={four.swarm('m1')['NodeID']}"]},
        },
        "Mode": {"Replicated": {"Replicas": 3}},
    }
    four.lab.salt("*", "swarm_image.load", "busybox:lab", "salt://images/busybox.tar")
    assert four.post(four.leader(), "/services/create", service)

    def tasks(where):
        filters = json.dumps({"node": [where], "desired-state": ["running"]})
        command = ["-G", "--data-urlencode", f"filters={filters}"]
        return [one for one in four.api(four.leader(), "/tasks", *command) or []]

    four.wait(lambda: len(tasks(node)) == 1, 60)
    done = four.lab.salt_run("swarm.remove", "m4", timeout=300)
    assert (done["drained"], done["cleaned"]) == (True, True)
    assert node not in {one["ID"] for one in four.nodes()}
    assert four.state_of("m4") != "active"
    assert four.lab.salt("m4", "pkg.version", "docker.io") == {"m4": ""}
    four.api(four.leader(), "/services/sleepers", "-X", "DELETE")


def test_dead_node_is_removed(four):
    node = four.swarm("m4")["NodeID"]
    four.lab.stop("m4")
    done = four.lab.salt_run("swarm.remove", "m4", timeout=300)
    assert done["cleaned"] == "the minion does not answer"
    assert node not in {one["ID"] for one in four.nodes()}
    four.lab.remove("m4")
