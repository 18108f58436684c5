"""
Two swarms under one master: nothing of one is taken for the other's, whatever both globs say.
"""

import itertools

import pytest

from _modules import swarm_builtin
from tests.unit.pillars import HOSTS
from tests.unit.swarm_world import World

FIRST, SECOND = {"managers": ["m1"]}, {"managers": ["m3"]}
OF = {"m1": FIRST, "m2": FIRST, "m3": SECOND, "m4": SECOND}


@pytest.fixture
def world(monkeypatch, tmp_path):
    """Give a fleet of two swarms, whose pillars say ``nodes: {m*: {}}`` alike."""
    world = World(monkeypatch, tmp_path)
    world.pillars = dict(OF)
    return world


def hosts(world):
    """Return the hosts of each cluster, the voters first, without what they have been before."""
    return [
        tuple(
            world.of(node).host
            for node in sorted(one.nodes, key=lambda node, one=one: node not in one.voters)
            if world.of(node)
        )
        for one in world.clusters
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(HOSTS)), ids="-".join)
def test_two_swarms_come_to_be_in_whatever_order(world, order):
    world.apply_all(order)
    world.apply_all(order)
    assert sorted(hosts(world)) == [("m1", "m2"), ("m3", "m4")]
    assert set(map(str, world.apply_all(order).values())) == {"{}"}


def test_swarm_is_made_anew_beside_another_one_only_by_a_word(world):
    world.apply_all()
    world.engines["m3"].forget()
    assert "m3 was a manager of cluster c1 and is in none now" in world.apply("m3")
    assert len(world.clusters) == 2


@pytest.mark.parametrize("silent", [False, True], ids=["no peer", "the other manager is off"])
def test_nobody_joins_by_a_manager_that_does_not_say_which_swarm_it_is_of(world, silent):
    world.apply("m1")
    world.engines["m1"].on = not silent
    world.mute = not silent
    said = world.apply("m3")
    assert "m1 told of a cluster" in said
    assert "or another swarm's" in said
    assert [len(one.nodes) for one in world.clusters] == [1]
    world.engines["m1"].on, world.mute = True, False
    world.apply_all()
    world.apply_all()
    assert sorted(hosts(world)) == [("m1", "m2"), ("m3", "m4")]


@pytest.mark.parametrize("told", [("m1",), ("m1", "m2")], ids=" ".join)
def test_swarm_is_made_beside_another_one_whose_record_is_not_there_to_read(world, told):
    """It is on its way, or its pillar lets only its own members read it."""
    for host in ("m1", "m2"):
        world.apply(host)
    for host in ("m1", "m2"):
        world.mine.pop((host, "swarm_cluster"), None)
        if host not in told:
            world.mine.pop((host, "swarm_node"), None)
    assert world.apply("m3")["swarm mode"]["new"] == "in the cluster of m3"
    world.apply_all()
    world.apply_all()
    assert sorted(hosts(world)) == [("m1", "m2"), ("m3", "m4")]


@pytest.mark.parametrize("host", ["m1", "m2"])
def test_no_swarm_is_made_if_it_cannot_be_asked_whose_node_a_member_is(world, host):
    for one in ("m1", "m2"):
        world.apply(one)
    world.mine = {(host, "swarm_node"): world.engines[host].node}
    world.engines["m1"].on = False
    assert f"{host} are in a cluster, and none of its managers" in world.apply("m3")
    assert len(world.clusters) == 1


def test_who_reads_that_a_manager_is_in_a_cluster_can_read_of_that_cluster(world):
    """The other way around, there is a moment in which the cluster seems to be lost."""
    sent, send = [], world._mine_send

    def watched(host, name, function):
        sent.append(name)
        return send(host, name, function)

    world._mine_send = watched
    world.apply("m1")
    assert sent == ["swarm_cluster", "swarm_node"]


def test_managers_of_the_other_swarm_are_asked_for_nothing(world):
    world.apply_all()
    world.apply_all()
    asked, publish = [], world._publish

    def watched(target, function, *args, **kwargs):
        asked.append((world.current, target, function))
        return publish(target, function, *args, **kwargs)

    world._publish = watched
    for host in HOSTS:
        with world.on(host):
            swarm_builtin.ask_managers()
    settle = "swarm_leader.settle"
    assert asked == [("m2", "m1", settle), ("m4", "m3", settle)]
    # A former manager of the same cluster may still lead it.
    world.pillars |= {host: {"managers": ["m2"]} for host in ("m1", "m2")}
    world.apply("m2")
    asked.clear()
    with world.on("m2"):
        swarm_builtin.ask_managers()
    assert asked == [("m2", "m1", settle)]


def test_worker_that_pillar_moves_is_told_how_and_then_joins_the_other_swarm(world):
    world.apply_all()
    world.apply_all()
    world.pillars["m2"] = SECOND
    said = world.apply("m2")
    assert "m2 is in another cluster than m3 of swarm:managers" in said
    assert "salt m2 swarm_builtin.leave, and apply again" in said
    assert sorted(hosts(world)) == [("m1", "m2"), ("m3", "m4")]
    with world.on("m2"):
        swarm_builtin.leave()
    world.apply_all()
    world.apply_all()
    assert sorted(map(sorted, hosts(world))) == [["m1"], ["m2", "m3", "m4"]]
