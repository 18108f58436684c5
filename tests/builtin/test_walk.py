"""
A walk at random through changes of pillar, accidents and what is done by hand: one cluster, always.

SWARM_TEST_WALK=200 for as many steps at random, SWARM_TEST_SEED for another walk; without them, a
dozen that are always the same. SWARM_TEST_STEPS does the steps that a failed walk has printed, or
any others, separated by ``;``. SWARM_TEST_STATUS=1 compares what ``swarm.status`` shows after each.
"""

import os

import pytest

from tests.builtin import walk

SEED = int(os.environ.get("SWARM_TEST_SEED", "0"))
COUNT = int(os.environ.get("SWARM_TEST_WALK", "0"))
# What is short enough to be done each time.
SHORT = (
    "apply *; drain m3; activate m3; token worker; token manager; ca; flush m2; crash m2; add m4;"
    " apply *; settle; rename m4 m5; settle"
)
GIVEN = os.environ.get("SWARM_TEST_STEPS") or ("" if COUNT else SHORT)


@pytest.fixture
def walker(mode):
    """The cluster of three hosts, and afterwards again, if need be a new one."""
    mode.pillar(timeout=60)
    walker = walk.Walker(mode)
    yield walker
    walk.restore(mode, broken=not walker.finished)


@pytest.mark.once
@pytest.mark.long
def test_there_is_one_cluster_all_along_and_a_quiet_one_at_the_end(walker):
    steps = [one.strip() for one in GIVEN.split(";") if one.strip()] or walk.plan(SEED, COUNT)
    print(f"SWARM_TEST_SEED={SEED} SWARM_TEST_WALK={COUNT}: {len(steps)} steps")
    walker.walk(steps)
