"""
What takes Consul servers, managers or engines down does so on one host at a time.
"""

import threading

import pytest

from tests.integration import engines
from tests.integration.cluster import changed, failures

pytestmark = pytest.mark.once


def _watched(swarm, probe, action):
    """Run ``action`` and return what ``probe`` said meanwhile, again and again."""
    seen, over = [], threading.Event()

    def watch():
        while not over.is_set():
            seen.append(probe())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        action()
    finally:
        over.set()
        thread.join()
    return seen


def _down(swarm, container):
    """Return the hosts on which a container does not run at this moment."""
    shown = "{{.State.Running}}"
    return [
        host
        for host in swarm.lab.hosts()
        if swarm.docker(host, "inspect", "-f", shown, container, check=False) != "true"
    ]


def _ids(swarm, container):
    return {
        host: swarm.docker(host, "inspect", "-f", "{{.Id}}", container)
        for host in swarm.lab.hosts()
    }


def _recreated_in_turn(swarm, container):
    """Apply; each host has a new container after it, and never were two of the old ones away."""
    before = _ids(swarm, container)
    seen = _watched(swarm, lambda: _down(swarm, container), swarm.apply)
    assert max(map(len, seen)) <= 1, "one at a time is down"
    after = _ids(swarm, container)
    assert not any(before[host] == after[host] for host in swarm.lab.hosts())


def test_new_configuration_of_consul_costs_no_quorum(swarm):
    swarm.pillar(consul={**swarm.lab.default_pillar()["consul"], "options": {"log_level": "WARN"}})
    _recreated_in_turn(swarm, "swarm-consul")
    assert swarm.all_healthy()
    assert swarm.apply() == {}


def test_new_flags_of_the_managers_leave_one_to_answer(swarm):
    manager = {**swarm.lab.default_pillar()["manager"], "options": {"strategy": "binpack"}}
    swarm.pillar(manager=manager)
    _recreated_in_turn(swarm, "swarm-manager")
    assert "Strategy: binpack" in swarm.swarm("info").stdout
    assert swarm.apply() == {}


@pytest.mark.long
def test_server_is_not_taken_down_below_quorum(swarm):
    *rest, dead = swarm.lab.hosts()
    swarm.lab.stop(dead)
    before = {host: swarm.pids(host)["swarm-consul"] for host in rest}
    swarm.wait(
        lambda: swarm.lab.salt(rest[0], "swarm_consul.status")[rest[0]]["servers"] == rest, 60
    )
    swarm.pillar(consul={**swarm.lab.default_pillar()["consul"], "options": {"log_level": "WARN"}})
    returns = swarm.lab.salt(",".join(rest), "state.apply", "swarm")
    for host in rest:
        states = {one["__id__"]: one for one in returns[host].values()}
        assert "quorum" in states["Consul is running"]["comment"]
        assert dead in states["Consul is running"]["comment"]
    assert {host: swarm.pids(host)["swarm-consul"] for host in rest} == before


def test_engines_that_apt_has_upgraded_restart_one_after_the_other(swarm):
    """Their containers run on; what runs is compared with what is installed."""
    swarm.pillar(engine={"options": {"default-shm-size": "96M"}})
    for host in swarm.lab.hosts():
        engines.upgrade_behind_our_back(swarm.lab, host)
    before, since = {host: swarm.pids(host) for host in swarm.lab.hosts()}, engines.now(swarm.lab)
    told = changed(swarm.state(test=True))
    assert {name for name, one in told.items() if "restart" in one} == {
        f"{host}: engine is configured" for host in swarm.lab.hosts()
    }
    assert swarm.apply() == told
    found = engines.restarts(swarm.lab, since)
    assert {host: len(one) for host, one in found.items()} == dict.fromkeys(found, 1)
    assert engines.overlapping(found) == []
    for host in swarm.lab.hosts():
        after = swarm.pids(host)
        assert after.pop("dockerd") != before[host].pop("dockerd")
        assert after == before[host]
    swarm.wait(swarm.all_healthy, 120)
    assert swarm.apply() == {}


def test_what_would_hide_the_containers_or_end_the_swarm_is_refused(swarm):
    before = {host: (swarm.pids(host), swarm.files(host)) for host in swarm.lab.hosts()}
    swarm.pillar(engine={"options": {"data-root": "/srv/docker"}})
    for test in (True, False):
        told = failures(swarm.state(test=test))
        for host in swarm.lab.hosts():
            assert "swarm:engine:options:data-root: " in told[f"{host}: engine is configured"]
    swarm.lab.pillar({"mode": "builtin", "managers": swarm.lab.hosts()})
    for sls in ("swarm", "swarm.clean"):
        told = failures(swarm.state(sls))
        for host in swarm.lab.hosts():
            text = told[f"{host}: swarm pillar is valid"]
            assert f"{host} is a node of a classic swarm" in text
            assert "put 'mode: classic' back" in text
    assert {host: (swarm.pids(host), swarm.files(host)) for host in swarm.lab.hosts()} == before
    swarm.pillar()
    assert swarm.apply() == {}
