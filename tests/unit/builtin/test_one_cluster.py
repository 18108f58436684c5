"""
One cluster, ever: whatever the pillar says and whatever is lost, nobody makes a second one, and no
vote is thrown away that the quorum needs.
"""

import os
import random

import pytest

from _modules import swarm_builtin, swarm_leader
from swarm_formula.core import errors
from tests.unit.pillars import HOSTS
from tests.unit.swarm_world import World

# Knows nothing of Salt.
pytestmark = pytest.mark.once

WALKS = int(os.environ.get("SWARM_TEST_WALKS", "30"))
STEPS = 20


@pytest.fixture(params=[False, True], ids=["20.10", "26.1"])
def world(request, monkeypatch, tmp_path):
    """Give a fleet; of 26.1, an engine that has mended itself still shows an error."""
    return World(monkeypatch, tmp_path, stale_flag=request.param)


def converge(world, managers=None, applies=2):
    """Apply on all; fail unless all is as pillar says, in one cluster, after so many applies."""
    if managers:
        world.pillar = {**world.pillar, "managers": managers}
    for _ in range(applies):
        said = world.apply_all()
    assert not [one for one in said.values() if isinstance(one, str)], said
    # What a host was before leaves the list after it has come back.
    assert not [one for one in list(pruned(world.apply_all())) if one]
    assert set(map(str, world.apply_all().values())) == {"{}"}
    check(world)


def pruned(said):
    """Yield what changed, but for nodes that are down and went off the list."""
    gone = {"old": "down", "new": None}
    for changes in said.values():
        yield {key: one for key, one in changes.items() if one != gone}


def check(world):
    (cluster,) = world.clusters
    hosts = {world.of(node).host for node in cluster.voters}
    assert hosts == set(world.pillar["managers"])
    assert all(one.cluster is cluster for one in world.engines.values())
    assert {one.state for one in world.engines.values()} == {"active"}
    # What hosts were before is gone, too.
    assert set(cluster.nodes) == {one.node for one in world.engines.values()}


@pytest.mark.parametrize(
    "lists",
    [
        [["m1"], ["m3"]],
        [["m1", "m2"], ["m2"], ["m2", "m3"]],
        [["m1", "m2", "m3"], ["m3"], ["m3", "m4"], ["m2", "m4"], ["m1", "m2"]],
        [["m1", "m2", "m3"], ["m1"], ["m2", "m3", "m4"], ["m1"]],
    ],
)
def test_managers_change_and_the_cluster_stays(world, lists):
    for managers in lists:
        converge(world, managers)


def test_vote_of_an_engine_that_was_killed_while_it_was_demoted_is_taken_out(world):
    """It is a worker, the raft counts it, and as a manager it would panic."""
    for wanted in (["m2", "m3"], ["m1", "m2", "m3"]):
        converge(world, ["m1", "m2", "m3"])
        world.demote_half(world.clusters[0], world.engines["m1"].node)
        converge(world, wanted)


def test_vote_of_a_leader_that_was_replaced_goes_with_the_apply_that_replaces_it(world):
    """Else the loss of one more manager costs the quorum."""
    converge(world, ["m1", "m2", "m3"])
    for host in ("m1", "m2", "m3"):
        (cluster,) = world.clusters
        old = world.leader(cluster)
        world.of(old).forget()
        said = world.apply_all()
        assert old not in cluster.voters, (host, said)
        assert len(cluster.voters) == 3
        world.sleep(60)


def test_managers_that_are_off_go_first(world):
    converge(world, ["m1", "m2", "m3"])
    world.engines["m3"].on = False
    world.pillar["managers"] = ["m1", "m2"]
    world.apply_all()
    assert world.clusters[0].voters == [world.engines[one].node for one in ("m1", "m2")]


def test_manager_that_went_away_before_it_was_a_worker_leaves_two_until_it_is_back(world):
    """It comes back as a manager by its certificate, and its vote is lost."""
    converge(world, ["m1", "m2", "m3"])
    world.engines["m3"].on = False
    world.pillar["managers"] = ["m1"]
    said = str(world.apply_all())
    assert "demoting m2" in said
    assert "would cost the quorum when m3" in said
    assert world.clusters[0].voters == [world.engines[one].node for one in ("m1", "m2")]
    world.engines["m3"].on = True
    world.apply_all()
    converge(world)
    assert world.clusters[0].voters == [world.engines["m1"].node]


def test_manager_that_went_away_and_was_removed_holds_up_nothing(world):
    converge(world, ["m1", "m2", "m3"])
    world.engines["m3"].on = False
    world.pillar["managers"] = ["m1"]
    world.apply_all()
    world.engines["m1"].remove_node(world.engines["m3"].node)
    world.apply_all()
    assert world.clusters[0].voters == [world.engines["m1"].node]
    world.engines["m3"].on = True
    converge(world)


def test_last_manager_warns_of_one_that_would_come_back(world):
    converge(world, ["m1", "m2", "m3"])
    (cluster,) = world.clusters
    world.engines["m3"].on = False
    for host in ("m3", "m2"):
        cluster.nodes[world.engines[host].node]["Spec"]["Role"] = "worker"
        world.reconcile(cluster)
    with world.on("m1"):
        (told,) = [one for one in swarm_leader.complaints() if "lose their quorum" in one]
        assert "when m3 " in told
        assert "docker node rm" in told
        world.engines["m1"].remove_node(world.engines["m3"].node)
        assert not [one for one in swarm_leader.complaints() if "lose their quorum" in one]


def test_worker_whose_minion_has_told_nothing_is_not_taken_for_lost(world):
    converge(world, ["m1", "m2", "m3"])
    node = world.engines["m3"].node
    world.demote_half(world.clusters[0], node)
    world.mine.pop(("m3", "swarm_node"))
    world.pillar["managers"] = ["m1"]
    world.apply("m1")
    assert node in world.clusters[0].nodes
    converge(world)


def test_new_machine_that_is_the_only_manager_of_pillar_joins_by_the_former_one(world):
    world.pillar["managers"] = ["m1"]
    assert world.apply("m1")
    world.pillar["managers"] = ["m3"]
    world.apply("m3")
    converge(world)


def test_no_cluster_is_made_where_the_mine_was_emptied_and_a_member_tells_of_one(world):
    converge(world, ["m1"])
    world.engines["m3"].forget()
    world.mine.clear()
    world.apply("m2")
    world.pillar["managers"] = ["m3"]
    assert "m2 are in a cluster" in world.apply("m3")
    converge(world)


@pytest.mark.parametrize("anew", ["m2", "m3"])
def test_machine_made_anew_waits_for_a_manager_that_is_about_to_tell(world, anew):
    """In an apply on all, when the mine has lost what the managers had told."""
    world.pillar["managers"] = ["m1", "m2", "m3"]
    converge(world)
    world.pillar["managers"] = [anew, "m1"]
    world.engines[anew].forget()
    for host in set(HOSTS) - {anew}:
        world.mine.pop((host, "swarm_cluster"), None)
    with world.on(anew), pytest.raises(errors.UntoldError, match="was a manager of cluster"):
        swarm_builtin.apply(test=True)
    world.meanwhile.append(lambda: world.apply("m1"))
    assert "in the cluster of" in str(world.apply(anew))
    converge(world)


def test_quorum_is_never_thrown_away_by_force(world):
    converge(world, ["m1", "m2"])
    for host in ("m1", "m2"):
        assert "it would cost the quorum" in leave(world, host, force=True)
    converge(world, ["m1"])
    assert "it is the last manager" in leave(world, "m1", force=True)
    world.engines["m1"].state = "error"
    world.engines["m1"].error = "certificate has expired"
    for words in ({}, {"force": True}, {"lose_cluster": True}):
        assert "no manager tells what the cluster would lose" in leave(world, "m1", **words)
    assert leave(world, "m1", force=True, lose_cluster=True)["swarm mode"]["new"] == "inactive"


def leave(world, host, **words):
    with world.on(host):
        try:
            return swarm_builtin.leave(**words)
        except errors.SwarmError as err:
            return str(err)


class Walk:
    """What an operator and chance may do, without the loss of the cluster by themselves."""

    def __init__(self, world, seed):
        self.world, self.random, self.log = world, random.Random(seed), []  # noqa: S311

    def step(self):
        name = self.random.choice(
            ["managers", "managers", "off", "on", "anew", "demoted", "rotated", "unmined", "apply"]
        )
        self.log.append((name, getattr(self, name)()))
        for host, engine in self.world.engines.items():
            # Without its record, nobody can know that it was a manager.
            engine.stale = engine.stale and (host, "swarm_cluster") in self.world.mine

    def managers(self):
        wanted = self.random.sample(sorted(HOSTS), self.random.randint(1, 3))
        self.world.pillar = {**self.world.pillar, "managers": wanted}
        return wanted

    def _bearable(self):
        """Return the hosts that the cluster can lose now."""
        (cluster,) = self.world.clusters
        up = set(self.world.up(cluster))
        return [
            host
            for host, engine in self.world.engines.items()
            if engine.on and len(up - {engine.node}) * 2 > len(cluster.voters)
        ]

    def off(self):
        hosts = self._bearable()
        if hosts and all(one.on for one in self.world.engines.values()):
            host = self.random.choice(hosts)
            self.world.engines[host].on = False
            return host
        return None

    def on(self):
        for engine in self.world.engines.values():
            if not engine.on:
                engine.on = True
                engine.restart()

    def anew(self):
        hosts = self._bearable()
        if hosts and all(one.on for one in self.world.engines.values()):
            host = self.random.choice(hosts)
            self.world.engines[host].forget()
            return host
        return None

    def demoted(self):
        """By hand, on the leader."""
        (cluster,) = self.world.clusters
        voters = [one for one in cluster.voters if self._spares(cluster, one)]
        if voters and self.world.has_quorum(cluster):
            node = self.random.choice(voters)
            cluster.nodes[node]["Spec"]["Role"] = "worker"
            how = self.random.choice(["done", "not yet", "killed meanwhile"])
            rest = set(self.world.up(cluster)) - {node}
            if how == "killed meanwhile" and len(rest) * 2 <= len(cluster.voters):
                how = "done"
            if how == "done":
                self.world.reconcile(cluster)
            elif how == "killed meanwhile":
                self.world.demote_half(cluster, node)
            return node, how
        return None

    def _spares(self, cluster, node):
        """Say whether a node may be demoted, even if managers of before come back as such."""
        off = [one for one in self.world.engines.values() if one.stale]
        off += [one for one in (self.world.of(node),) if one and not one.on]
        rest = set(self.world.up(cluster)) - {node}
        votes = len(cluster.voters) - 1 + len(off)
        return self.world.spares(cluster, node) and len(rest) * 2 > votes

    def rotated(self):
        self.world.clusters[0].rotate()

    def unmined(self):
        host = self.random.choice(sorted(HOSTS))
        for name in ("swarm_cluster", "swarm_node"):
            self.world.mine.pop((host, name), None)
        return host

    def apply(self):
        hosts = self.random.sample(sorted(HOSTS), self.random.randint(1, 4))
        return self.world.apply_all(hosts)


@pytest.mark.parametrize("seed", range(WALKS))
def test_walk_at_random(world, seed):
    converge(world, ["m1", "m2", "m3"])
    walk = Walk(world, seed)
    for _ in range(STEPS):
        walk.step()
        told = "\n".join(map(str, walk.log))
        assert len(world.clusters) == 1, told
        assert world.has_quorum(world.clusters[0]), told
    walk.on()
    try:
        # A former manager that was made anew tells only now that it is none any more.
        converge(world, applies=3)
    except (AssertionError, ValueError):
        print("\n".join(map(str, walk.log)))
        raise
