"""
What takes Consul servers or managers down does so on one host at a time.
"""

import threading

import pytest

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
        assert "quorum" in states["consul is running"]["comment"]
        assert dead in states["consul is running"]["comment"]
    assert {host: swarm.pids(host)["swarm-consul"] for host in rest} == before
