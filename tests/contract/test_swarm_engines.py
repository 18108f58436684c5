"""
How both images see engines: pending, healthy, dead, back again, with labels that change.
"""

import time

from tests.contract.swarm_box import HOST, call, free_port, wait


def test_unreachable_engine_is_pending_and_unknown(swarm, prefix):
    address = f"{HOST}:{free_port()}"
    swarm.agent(prefix, address)
    manager = swarm.manager(prefix)
    node = wait(
        "it is listed with its error",
        lambda: "Error" in manager.nodes().get(address, {}) and manager.nodes()[address],
    )
    assert node["Name"] == "(unknown)"
    assert (node["Status"], node["ID"], node["ServerVersion"]) == ("Pending", "", "")
    assert node["Error"].startswith(f"Cannot connect to the Docker daemon at tcp://{address}")
    assert node["Containers"] == "0"


def test_a_manager_is_no_engine(swarm, prefix):
    other = swarm.manager(prefix, replication=False)
    swarm.agent(f"{prefix}-2", other.address)
    manager = swarm.manager(f"{prefix}-2")
    wait("it is listed", lambda: manager.nodes().get(other.address))
    time.sleep(1)
    assert manager.nodes()[other.address]["Status"] == "Pending"


def test_a_label_reload_reaches_the_scheduler_at_once(manager, nodes):
    node = nodes["b"]
    node.reload(["zone=b", "disk=ssd"])
    try:
        labels = lambda: manager.nodes()[node.address]["Labels"].split(", ")  # noqa: E731
        wait("the label is there", lambda: "disk=ssd" in labels(), 5)
        manager.create("on-ssd", "constraint:disk==ssd")
        assert manager.docker("ps", "-a", "--format={{.Names}}").stdout == "node-b/on-ssd\n"
    finally:
        node.reload(["zone=b"])
        wait("the label is gone", lambda: "disk=ssd" not in labels(), 5)


def test_a_dead_engine_turns_unhealthy_and_comes_back(manager, nodes):
    node = nodes["b"]
    manager.create("there", "constraint:zone==b", Labels={})
    call(manager.port, "POST", "/containers/there/start")
    node.stop()
    try:
        wait("it is unhealthy", lambda: manager.nodes()[node.address]["Status"] == "Unhealthy", 30)
        details = manager.nodes()[node.address]
        assert details["Error"].startswith("Cannot connect to the Docker daemon at tcp://")
        assert details["Containers"] == "1"
        assert manager.docker("ps", "-a", "--format={{.Status}}").stdout == "Host Down\n"
        assert manager.create("x", "constraint:zone==b").status == 500
    finally:
        node.start()
    wait("it is healthy", lambda: manager.healthy(node.address), 30)
    assert "Error" not in manager.nodes()[node.address]


def test_a_container_moves_away_from_a_crashed_engine(manager, nodes):
    """The double is removed when the engine returns."""
    node = nodes["b"]
    manager.create("mover", "reschedule:on-node-failure", "constraint:zone==~b")
    call(manager.port, "POST", "/containers/mover/start")
    shown = ("ps", "-a", "--format={{.Names}} {{.State}}")
    assert manager.docker(*shown).stdout == "node-b/mover running\n"
    node.crash()
    try:
        wait("it has moved", lambda: manager.docker(*shown).stdout == "node-a/mover running\n", 30)
    finally:
        node.start()
    wait("the engine is back", lambda: manager.healthy(node.address), 30)
    left = "/containers/json?all=1"
    wait("the double is gone", lambda: not call(node.port, "GET", left).json(), 15)
    assert manager.docker(*shown).stdout == "node-a/mover running\n"


def test_an_engine_that_stops_its_containers_first_gets_them_moved_but_not_started(manager, nodes):
    """It answers on open connections until its containers are stopped, and is healthy as long."""
    node = nodes["b"]
    slow = {"StopTimeout": 4, "Cmd": ["sh", "-c", "trap '' TERM; sleep 600"]}
    manager.create("slow", "reschedule:on-node-failure", "constraint:zone==~b", **slow)
    call(manager.port, "POST", "/containers/slow/start")
    node.stop()
    try:
        shown = ("ps", "-a", "--format={{.Names}} {{.State}}")
        wait("it has moved", lambda: manager.docker(*shown).stdout == "node-a/slow created\n", 30)
    finally:
        node.start()
    wait("the engine is back", lambda: manager.healthy(node.address), 30)
