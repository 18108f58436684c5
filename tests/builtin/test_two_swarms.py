"""
Two swarms under one master, of one mode and of both, with globs that fit the hosts of both.
"""

import json

import pytest

from lab import pillars
from tests.builtin.mode import END
from tests.integration.cluster import changed, failures


@pytest.fixture
def two(bare, master):
    """Bare hosts, of which m1 and m2 are to be one swarm, m3 and m4 the other."""
    # Or the master's engine would have m4 join while it is cleaned, and both would wait.
    bare.pillar(autojoin={"enabled": False})
    if "m4" not in bare.lab.hosts():
        bare.lab.add("m4")
    bare.switch_on()
    bare.await_minions()
    assert failures(bare.state("swarm.clean", **END)) == {}
    bare.pillar(managers=["m1"])
    yield bare
    bare.state("swarm.clean", target="m1,m2")
    # In classic mode the last hosts wait for each other's Consul. Made anew, it would join at once.
    bare.lab.pillar({"autojoin": {"enabled": False}}, "m3")
    bare.lab.reset("m3")
    bare.lab.remove("m4")
    bare.restore()


def states(two, **kwargs):
    """Return ``{host: (swarm, role, state)}``."""
    words = [f"{key}={value}" for key, value in kwargs.items()]
    rows = two.lab.salt_run("swarm.status", *words, timeout=120)
    return {one["id"]: (one["swarm"], one["role"], one["state"]) for one in rows}


def classic(two, manager):
    """Return the pillar of a host of a swarm in classic mode."""
    images = json.loads((two.lab.settings.run / "images.json").read_text())
    given = pillars.default([manager], "classic", "trixie", images)
    return {**given, "mode": "classic", "nodes": {"m*": {}}}


FIRST = {"m1": ("m1", "leader", "Ready"), "m2": ("m1", "worker", "Ready")}


@pytest.mark.once
@pytest.mark.long
def test_two_swarms_under_one_master_know_nothing_of_each_other(two):
    for host in ("m3", "m4"):
        two.lab.pillar({"managers": ["m3"]}, host)
    two.apply()
    assert two.apply() == {}
    second = {"m3": ("m3", "leader", "Ready"), "m4": ("m3", "worker", "Ready")}
    assert states(two) == FIRST | second
    assert states(two, swarm="m4") == second
    assert {len(two.api(host, "/nodes")) for host in ("m1", "m3")} == {2}
    assert two.lab.salt_run("swarm.reconcile", timeout=300)["joined"] == []
    assert "there are several swarms" in two.lab.salt_run("swarm.backup")["refused"]
    # A host that pillar moves is told how, and stays where it is until then.
    two.lab.pillar({"managers": ["m3"]}, "m2")
    told = failures(two.state(target="m2"))["m2: this node has joined the cluster"]
    assert "salt m2 swarm_builtin.leave, and apply again" in told
    assert states(two)["m2"] == ("m3", "worker", "missing")
    assert two.lab.salt("m2", "swarm_builtin.leave")["m2"]
    assert list(two.apply()) == ["m2: this node has joined the cluster"]
    assert states(two)["m2"] == ("m3", "worker", "Ready")
    assert failures(two.state("swarm.clean", target="m2")) == {}
    # The other one is made anew, in classic mode.
    assert failures(two.state("swarm.clean", target="m3,m4")) == {}
    two.lab.pillar({}, "m2")
    for host in ("m3", "m4"):
        two.lab.pillar(classic(two, "m3"), host)
    two.apply()
    assert two.apply() == {}
    second = {"m3": ("m3", "primary, consul", "Healthy"), "m4": ("m3", "worker", "Healthy")}
    two.wait(lambda: states(two) == FIRST | second, 60)
    # Each is removed by its own swarm, and joins that again.
    for host in ("m2", "m4"):
        assert two.lab.salt_run("swarm.remove", host, timeout=300)["cleaned"] is True
    assert {states(two)[host][2] for host in ("m1", "m3")} == {"Ready", "Healthy"}
    assert two.lab.salt_run("swarm.reconcile", timeout=300)["joined"] == ["m2", "m4"]
    two.wait(lambda: states(two) == FIRST | second, 60)
    assert changed(two.state(test=True)) == {}


@pytest.mark.once
@pytest.mark.long
def test_two_classic_swarms_under_one_master_know_nothing_of_each_other(two):
    def settle():
        two.apply()
        assert two.apply() == {}

    managers = {"m1": "m1", "m2": "m1", "m3": "m3", "m4": "m3"}
    for host, manager in managers.items():
        two.lab.pillar(classic(two, manager), host)
    settle()
    everybody = {
        host: (manager, "primary, consul" if host == manager else "worker", "Healthy")
        for host, manager in managers.items()
    }
    two.wait(lambda: states(two) == everybody, 60)
    second = {host: everybody[host] for host in ("m3", "m4")}
    assert states(two, swarm="m4") == second
    assert two.lab.salt_run("swarm.reconcile", timeout=300)["joined"] == []
    assert "there are several swarms" in two.lab.salt_run("swarm.backup")["refused"]
    # The CA of one changes; the members of the other hold it up in nothing.
    before = two.lab.salt("*", "swarm_tls.status")
    for host in ("m1", "m2"):
        given = classic(two, "m1")
        two.lab.pillar({**given, "tls": {**given.get("tls", {}), "ca_rotation": 1}}, host)
    for _ in range(7):
        if two.apply("m1,m2") == {}:
            break
    after = two.lab.salt("*", "swarm_tls.status")
    renewed = {host for host in managers if after[host]["issuer"] != before[host]["issuer"]}
    assert renewed == {"m1", "m2"}
    assert states(two) == everybody
    # A host that pillar moves is told how, for itself alone, and is then one of the other swarm.
    two.lab.pillar(classic(two, "m3"), "m2")
    told = failures(two.state(target="m2"))["m2: node certificate is present"]
    assert "salt m2 swarm_tls.distrust, and apply again" in told
    two.wait(lambda: states(two)["m1"] == everybody["m1"], 60)
    assert two.lab.salt("m2", "swarm_tls.distrust")["m2"]
    settle()
    moved = ("m3", "worker", "Healthy")
    two.wait(lambda: {states(two)[host] for host in ("m2", "m4")} == {moved}, 60)
    assert states(two)["m1"] == everybody["m1"]
    # One swarm ends, with its CA, and the other does not notice.
    assert failures(two.state("swarm.clean", target="m1")) == {}
    assert states(two)["m3"] == everybody["m3"]
    assert changed(two.state(target="m2,m3,m4", test=True)) == {}
