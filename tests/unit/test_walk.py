"""
The plans of the walk through swarm mode, which takes hours where it is done.
"""

import pytest

from tests.builtin import walk

SEEDS = range(20)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_always_gives_the_same_steps(seed):
    steps = walk.plan(seed, 200)
    assert steps == walk.plan(seed, 200)
    assert len(steps) >= 200
    assert steps[-1] == "settle"
    assert all(hasattr(walk.Walker, f"do_{step.split()[0]}") for step in steps)


def test_seeds_differ_and_together_take_every_kind_of_step():
    plans = [walk.plan(seed, 200) for seed in SEEDS]
    assert len({tuple(one) for one in plans}) == len(plans)
    taken = {step.split()[0] for steps in plans for step in steps}
    known = {name.removeprefix("do_") for name in vars(walk.Walker) if name.startswith("do_")}
    assert taken == known


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_plans_to_lose_the_quorum(seed):
    """Of the managers that pillar has named last, most are there and on before each apply."""
    there, off, managers = {"m1", "m2", "m3"}, set(), ["m1", "m2", "m3"]
    for step in walk.plan(seed, 200):
        word, *names = step.split()
        if word == "managers":
            managers = names[0].split(",")
        elif word in {"add", "remove"}:
            (there.add if word == "add" else there.discard)(names[0])
        elif word == "rename":
            there = there - {names[0]} | {names[1]}
        elif word in {"off", "on"}:
            (off.add if word == "off" else off.discard)(names[0])
        elif word == "settle":
            off = set()
        elif word == "apply":
            assert len(set(managers) & there - off) >= walk.majority(len(managers)), step
