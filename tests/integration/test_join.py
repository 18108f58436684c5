"""
Minions join by themselves, and leave by a runner. m4 and m5 come and go; the others stay.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab import master
from tests.integration.cluster import failures

AUTOJOIN = {"targets": ["m*"], "window": 2, "cooldown": 2, "remove_after": 5}
CA = "m1"
MASTER = {"swarm_master": {"autojoin": AUTOJOIN}}


def _on_master(lab, *argv, check=True):
    return lab.exec("salt", *argv, check=check, timeout=300).stdout


@pytest.fixture(scope="module")
def joins(cluster):
    """The swarm, with the engine on its master; afterwards with neither engine nor new hosts."""
    cluster.heal()
    _orchestrate(cluster)
    cluster.await_minions()
    assert not any(one["changes"] for one in _orchestrate(cluster).values())
    yield cluster
    for host in ("m4", "m5"):
        if host in cluster.lab.hosts():
            cluster.lab.salt_run("swarm.remove", host, timeout=300)
            cluster.lab.remove(host)
    _on_master(cluster.lab, "rm", "-f", "/etc/salt/master.d/swarm.conf")
    _on_master(cluster.lab, "systemctl", "restart", "salt-master")
    cluster.await_minions()
    cluster.restore()


def _orchestrate(cluster):
    """Set up the master as one that has no minion, and wait until it has read its configuration."""
    show = ["systemctl", "show", "--value", "--property=ActiveEnterTimestampMonotonic"]

    def since():
        return _on_master(cluster.lab, *show, "salt-master").strip()

    before = since()
    given = f"pillar={json.dumps(MASTER)}"
    command = ["salt-run", "--out=json", "--log-level=quiet", "state.orchestrate", "swarm.master"]
    done = json.loads(_on_master(cluster.lab, *command, given))
    (states,) = done["data"].values()
    assert failures({"salt": states}) == {}
    if any(one["changes"] for one in states.values()):
        cluster.wait(lambda: since() not in {before, "0"}, 60)
    return states


def _healthy(cluster, host):
    return cluster.statuses().get(host) == "Healthy"


def _servers(cluster, host="m1", kind="servers"):
    """Return the Consul servers that are alive, or its ``voters``, as a host has them."""
    return cluster.lab.salt(host, "swarm_consul.status")[host][kind]


def _status(cluster):
    return {row["id"]: row for row in cluster.lab.salt_run("swarm.status")}


def _restart_minion(cluster, host):
    """Have a minion fire its start event."""
    cluster.lab.exec(host, "systemctl", "restart", "salt-minion")


def test_new_minion_joins_by_itself(joins):
    """Its key is accepted, and nothing else is done."""
    joins.lab.add("m4")
    joins.wait(lambda: _healthy(joins, "m4"), 300)
    row = _status(joins)["m4"]
    assert (row["state"], row["role"]) == ("Healthy", "worker")
    assert row["engine"].startswith("20.10.5")
    assert {row["state"] for row in _status(joins).values()} == {"Healthy"}


def test_member_that_only_restarted_is_asked_and_left_alone(joins):
    before = joins.pids("m4")
    count = len(joins.lab.salt_run("jobs.list_jobs", "search_function=state.apply"))
    _restart_minion(joins, "m4")
    asked = "search_function=swarm_node.joined"
    joins.wait(
        lambda: any(
            "m4" in str(one) for one in joins.lab.salt_run("jobs.list_jobs", asked).values()
        ),
        120,
    )
    joins.wait(lambda: joins.lab.salt("m4", "test.ping") == {"m4": True}, 60)
    assert joins.pids("m4") == before
    assert len(joins.lab.salt_run("jobs.list_jobs", "search_function=state.apply")) == count


def _keep_busy(cluster, host):
    """Have a minion run a state for so long that what comes now has to wait in its queue."""
    _on_master(cluster.lab, "salt", "--async", host, "state.single", "cmd.run", "sleep 30")
    running = ("saltutil.is_running", "state.single")
    cluster.wait(lambda: cluster.lab.salt(host, *running) not in ({host: []}, {}), 30)


def test_busy_minion_is_removed_and_joins_and_both_are_told(joins):
    """
    What waits in a minion's queue is returned as the job that the master knows.

    Salt 3006.24 and 3006.25 gave it another ID (salt#69386).
    """
    _keep_busy(joins, "m4")
    done = joins.lab.salt_run("swarm.remove", "m4", timeout=300)
    assert done.get("cleaned") is True, done
    joins.wait(lambda: "m4" not in joins.statuses(), 60)
    watch = ["timeout", "240", "salt-run", "state.event", "swarm/node/m4/*", "count=1"]
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(_on_master, joins.lab, *watch)
        _keep_busy(joins, "m4")
        start = ["event.send", "salt/minion/m4/start", json.dumps({"id": "m4"})]
        joins.lab.salt_run(*start)
        assert "swarm/node/m4/joined" in told.result()
    assert _healthy(joins, "m4")


@pytest.mark.once
def test_no_member_is_left_untouched_and_joins_when_pillar_makes_it_one(joins):
    joins.pillar("m5", autojoin={"enabled": False})
    joins.lab.add("m5")
    before = joins.files("m5")
    done = "search_function=state.apply"
    joins.wait(
        lambda: any(
            "m5" in str(one) for one in joins.lab.salt_run("jobs.list_jobs", done).values()
        ),
        120,
    )
    assert "m5" not in joins.lab.salt_run("swarm.reconcile")["joined"]
    assert joins.files("m5") == before
    assert joins.lab.salt("m5", "pkg.version", "docker.io") == {"m5": ""}
    # It is of the swarm, and not in it.
    assert _status(joins)["m5"]["state"] not in {"Healthy", "Ready"}
    joins.pillar("m5")
    assert joins.lab.salt_run("swarm.reconcile", "test=True")["would join"] == ["m5"]
    assert joins.lab.salt_run("swarm.reconcile", timeout=600)["joined"] == ["m5"]
    assert _healthy(joins, "m5")
    assert joins.lab.salt_run("swarm.reconcile")["joined"] == []


@pytest.mark.once
@pytest.mark.parametrize("forged", ["m9", "x'; touch /srv/forged; '", "*", "m1,m2"])
def test_forged_start_has_no_effect(joins, forged):
    before = joins.lab.salt_run("jobs.list_jobs", "search_function=state.apply")
    tag = f"salt/minion/{forged}/start"
    joins.lab.salt_run("event.send", tag, json.dumps({"id": forged}))
    joins.lab.salt_run("event.send", "salt/minion/m1/start", json.dumps({"id": forged}))
    assert joins.lab.salt("*", "test.ping") == dict.fromkeys(joins.lab.hosts(), True)
    assert joins.lab.salt_run("jobs.list_jobs", "search_function=state.apply") == before
    assert _on_master(joins.lab, "ls", "/srv/forged", check=False) == ""
    log = _on_master(joins.lab, "journalctl", "-u", "salt-master", "--no-pager", "-o", "cat")
    assert "the ID in it is another one" in log


def test_live_node_is_removed(joins):
    done = joins.lab.salt_run("swarm.remove", "m4", timeout=300)
    assert done.get("cleaned") is True, done
    joins.wait(lambda: "m4" not in joins.statuses(), 60)
    assert "m4" not in str(joins.lab.salt("m1", "swarm_consul.nodes"))
    assert joins.lab.salt("m4", "pkg.version", "docker.io") == {"m4": ""}


@pytest.mark.once
def test_minion_that_starts_while_the_master_is_down_joins_later(joins):
    _on_master(joins.lab, "systemctl", "stop", "salt-master")
    _restart_minion(joins, "m4")
    _on_master(joins.lab, "systemctl", "start", "salt-master")
    joins.wait(lambda: _healthy(joins, "m4"), 300)


@pytest.mark.once
def test_dead_node_is_removed(joins):
    joins.lab.stop("m5")
    done = joins.lab.salt_run("swarm.remove", "m5", timeout=300)
    assert done["cleaned"] == "the minion does not answer"
    assert done["expelled from Consul"] == {"m5": {"old": "gone", "new": "forgotten"}}
    joins.wait(lambda: "m5" not in joins.statuses(), 60)
    assert joins.lab.address("m5") not in str(joins.lab.salt("m1", "swarm_consul.nodes"))
    joins.lab.remove("m5")


@pytest.mark.once
def test_server_that_quorum_needs_is_not_removed(joins):
    joins.lab.stop("m3")
    joins.wait(lambda: _servers(joins) == ["m1", "m2"], 60)
    before = joins.pids("m2")
    done = joins.lab.salt_run("swarm.remove", "m2")
    assert "removing Consul on m2 would cost the quorum" in done["refused"]
    assert joins.pids("m2") == before
    joins.lab.start("m3")
    # Raft drops a server that is off, and takes it in again some seconds after it is back.
    joins.wait(lambda: _servers(joins, kind="voters") == ["m1", "m2", "m3"], 180)
    joins.wait(joins.all_healthy, 180)


@pytest.mark.once
@pytest.mark.long
def test_minion_that_starts_while_manager_and_consul_leader_are_down_joins_later(joins):
    """The first try fails and is told; a later one does it, and who watches the bus is told."""
    joins.pillar(timeout=10)
    joins.lab.salt_run("swarm.remove", "m4", timeout=300)
    said = joins.lab.salt("m1", "swarm_consul.status")["m1"]
    leader = next(one for one in said["servers"] if joins.lab.address(one) in said["leader"])
    # One more than the leader: the two others would elect a new one.
    other = next(one for one in said["servers"] if one != leader)
    down = [
        (joins.primary(), "swarm-manager"),
        (leader, "swarm-consul"),
        (other, "swarm-consul"),
    ]
    for host, container in down:
        joins.docker(host, "stop", container)
    _restart_minion(joins, "m4")
    log = ["journalctl", "-u", "salt-master", "--no-pager", "-o", "cat"]
    joins.wait(lambda: "m4 failed" in _on_master(joins.lab, *log), 300)
    watch = ["timeout", "300", "salt-run", "state.event", "swarm/node/*/joined", "count=1"]
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(_on_master, joins.lab, *watch)
        for host, container in down:
            joins.docker(host, "start", container)
        joins.wait(lambda: _healthy(joins, "m4"), 300)
        assert "swarm/node/m4/joined" in told.result()
    joins.pillar()


@pytest.mark.once
@pytest.mark.long
def test_schedule_in_pillar_joins_without_any_event(joins):
    joins.lab.salt_run("swarm.remove", "m4", timeout=300)
    job = {"function": "state.apply", "args": ["swarm.join"], "seconds": 5, "maxrunning": 1}
    joins.pillar("m4")
    path = joins.lab.settings.pillar / "host_m4.sls"
    path.write_text(json.dumps({"schedule": {"swarm": job}}))
    joins.lab.salt("m4", "saltutil.refresh_pillar", "wait=True")
    joins.wait(lambda: _healthy(joins, "m4"), 300)
    joins.pillar("m4")
    joins.lab.salt("m4", "saltutil.refresh_pillar", "wait=True")
    assert "swarm" not in str(joins.lab.salt("m4", "schedule.list")["m4"])


# As far as an apply may have come when it failed.
STEPS = (
    "swarm.settings",
    "swarm.libraries",
    "swarm.tls",
    "swarm.engine",
    "swarm.classic.consul",
    "swarm",
)


@pytest.fixture
def by_hand(joins):
    """The host m4 without the formula, which does not join by itself; afterwards a node again."""
    joins.pillar("m4", autojoin={"enabled": False})
    if "m4" in joins.lab.hosts():
        joins.lab.salt_run("swarm.remove", "m4", timeout=300)
    else:
        joins.lab.add("m4")
    joins.await_idle()  # the engine has a new minion apply what says that it does not join
    yield joins
    joins.pillar("m4")
    joins.apply("m4")


@pytest.mark.once
@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
def test_host_that_came_as_far_as_a_step_is_removed_within_a_minute(by_hand, step):
    packages = by_hand.lab.salt("m4", "pkg.list_pkgs")["m4"]
    assert failures(by_hand.state(step, target="m4", queue=True)) == {}
    begun = time.monotonic()
    done = by_hand.lab.salt_run("swarm.remove", "m4", timeout=300)
    took = time.monotonic() - begun
    assert done["cleaned"] is True, done
    assert by_hand.lab.salt("m4", "pkg.list_pkgs")["m4"] == packages
    assert "m4" not in str(by_hand.lab.salt("m1", "swarm_consul.nodes"))
    assert took < 60, f"{took:.0f} s"


@pytest.mark.once
@pytest.mark.long
def test_slow_host_is_removed_whole(by_hand):
    """Its engine, its agent and its minion have a fifth of a processor."""
    packages = by_hand.lab.salt("m4", "pkg.list_pkgs")["m4"]
    by_hand.apply("m4")
    with by_hand.slowed("m4"):
        done = by_hand.lab.salt_run("swarm.remove", "m4", timeout=600)
    assert done["cleaned"] is True, done
    assert by_hand.lab.salt("m4", "pkg.list_pkgs")["m4"] == packages
    assert "m4" not in str(by_hand.lab.salt("m1", "swarm_consul.nodes"))


@pytest.mark.once
@pytest.mark.long
def test_host_that_hangs_is_removed_within_two_minutes_and_cleaned_later(by_hand):
    """Its connections are open, so that nobody is told that it is away."""
    packages = by_hand.lab.salt("m4", "pkg.list_pkgs")["m4"]
    by_hand.apply("m4")
    with by_hand.hung("m4"):
        begun = time.monotonic()
        done = by_hand.lab.salt_run("swarm.remove", "m4", timeout=300)
        took = time.monotonic() - begun
    assert done["cleaned"] == "the minion does not answer", done
    # Consul has to notice it first.
    assert took < 120, f"{took:.0f} s"
    by_hand.await_minion("m4")
    assert failures(by_hand.state("swarm.clean", target="m4")) == {}
    assert by_hand.lab.salt("m4", "pkg.list_pkgs")["m4"] == packages
    by_hand.wait(lambda: "m4" not in str(by_hand.lab.salt("m1", "swarm_consul.nodes")), 60)


@pytest.mark.long
@pytest.mark.once
def test_primary_manager_is_removed(joins):
    """And becomes a member again, for pillar still says so."""
    if joins.primary() == CA:
        refused = joins.lab.salt_run("swarm.remove", CA)
        assert "it is the CA" in refused["refused"]
        assert joins.lab.salt(CA, "swarm_classic.hand_over")[CA] is True
        joins.wait(lambda: joins.primary() not in {CA, None}, 60)
    lost = joins.primary()
    rest = [host for host in ("m1", "m2", "m3") if host != lost]
    done = joins.lab.salt_run("swarm.remove", lost, timeout=300)
    assert done.get("cleaned") is True, done
    joins.wait(lambda: joins.primary() in rest, 120)
    assert lost not in _servers(joins, rest[0])
    joins.apply()
    joins.wait(joins.all_healthy, 180)
    assert sorted(joins.roles().values()) == ["primary", "replica", "replica"]


@pytest.mark.once
def test_dead_node_is_removed_after_its_key_was_deleted(joins):
    """Without anybody asking for it, for the master's configuration says so."""
    joins.lab.stop("m4")
    master.forget(joins.lab.engine, "m4")
    joins.wait(lambda: "m4" not in joins.statuses(), 90)
