import random

import pytest

from swarm_formula.core import errors
from swarm_formula.fleet import swarms as fleet_swarms


def pillar(*managers, **more):
    return {"swarm": {"managers": list(managers), "nodes": {"*": {}}, **more}}


def found(**pillars):
    return [(one.name, one.members) for one in fleet_swarms.swarms(pillars)]


def test_members_with_a_manager_in_common_are_in_one_swarm():
    """Also while the list of managers is being changed, and whatever its shape."""
    assert found(
        m1=pillar("m1", "m2"), m2={"swarm": {"managers": {"m2": "10.0.0.2"}}}, m9=pillar("m9")
    ) == [("m1,m2", ("m1", "m2")), ("m9", ("m9",))]
    assert found(a=pillar("m1"), b=pillar("m3"), c=pillar("m1", "m3")) == [
        ("m1,m3", ("a", "b", "c"))
    ]


def test_modes_are_never_in_one_swarm_and_classic_is_the_default():
    assert found(
        a=pillar("m1"), b=pillar("m1", mode="classic"), c=pillar("m1", mode="builtin")
    ) == [("m1", ("a", "b")), ("m1", ("c",))]


def test_who_is_no_member_is_in_none():
    assert found(a=pillar(), b={}, c=None) == []


def test_minion_that_no_pillar_names_is_in_none():
    """It has the pillar of all, as the top file has it, and the CA would not sign for it."""
    named = pillar("m1", nodes={"web-*": {}})
    (swarm,) = fleet_swarms.swarms({"m1": named, "web-1": named, "db-1": named})
    assert (swarm.members, swarm.joining) == (("m1", "web-1"), {"m1", "web-1"})


def test_node_that_only_the_pillar_of_a_manager_names_is_shown_and_does_not_join_by_itself():
    (swarm,) = fleet_swarms.swarms({"m1": pillar("m1"), "m4": pillar("m1", nodes={})})
    assert (swarm.members, swarm.joining) == (("m1", "m4"), {"m1"})


def test_ca_that_is_no_node_belongs_to_the_swarm_and_does_not_join():
    named = pillar("m1", nodes={}, tls={"ca": "vault"})
    (swarm,) = fleet_swarms.swarms({"m1": named, "vault": named})
    assert (swarm.members, swarm.joining) == (("m1", "vault"), {"m1"})


def test_who_does_not_join_by_himself_is_a_member_all_the_same():
    by_hand = pillar("m1", autojoin={"enabled": False})
    (swarm,) = fleet_swarms.swarms({"m1": pillar("m1"), "m2": by_hand})
    assert (swarm.members, swarm.joining) == (("m1", "m2"), {"m1"})


@pytest.mark.parametrize("seed", range(20))
def test_order_does_not_matter_and_nobody_is_in_two(seed):
    chance = random.Random(seed)  # noqa: S311
    names = [f"m{number}" for number in range(9)]
    pillars = {one: pillar(*chance.sample(names, chance.randint(1, 2))) for one in names}
    swarms = fleet_swarms.swarms(pillars)
    mixed = dict(chance.sample(list(pillars.items()), len(pillars)))
    assert fleet_swarms.swarms(mixed) == swarms
    assert sorted(one for swarm in swarms for one in swarm.members) == names
    assert len({one for swarm in swarms for one in swarm.managers}) == sum(
        len(swarm.managers) for swarm in swarms
    )


TWO = fleet_swarms.swarms({"m1": pillar("m1"), "m2": pillar("m1"), "m3": pillar("m3")})


@pytest.mark.parametrize(("minion", "managers"), [("m2", "m1"), ("m3", "m3"), ("m9", None)])
def test_swarm_of_a_minion(minion, managers):
    ours = fleet_swarms.pick(TWO, minion)
    assert (ours and ours.name) == managers
    assert fleet_swarms.pick(TWO[:1], minion) == TWO[0]


def test_one_is_named_by_a_member_or_manager():
    assert fleet_swarms.named(TWO, "m2") == TWO[:1]
    assert fleet_swarms.named(TWO, None) == TWO
    with pytest.raises(errors.SwarmError, match=r"no swarm has a member m9; .*: m1 and m3"):
        fleet_swarms.named(TWO, "m9")


def test_of_several_the_only_one_is_not_guessed():
    with pytest.raises(errors.SwarmError, match=r"x: there are several .* as swarm=m1"):
        fleet_swarms.only(TWO, "x")
    assert fleet_swarms.only(TWO[1:], "x").name == "m3"
    assert fleet_swarms.only([], "x").members == ()
