"""
Which cases of the matrix a run tries.
"""

import os
import random

from tests.matrix import runner
from tests.matrix.rows import REFUSED, ROWS

COUNT = os.environ.get("SWARM_TEST_MATRIX", "1")
SEED = int(os.environ.get("SWARM_TEST_SEED", "0"))


def cases(mode: str) -> list[runner.Case]:
    """Return the cases for a run in a mode."""
    found = runner.cases(ROWS, mode)
    if COUNT == "all":
        return found
    # Those that the settings refuse are in the unit test, and some in test_wrong_pillar.py.
    found = [case for case in found if not _seen_at_once(case)]
    if COUNT == "bundles":
        return runner.bundled(found)
    chance = random.Random(SEED)  # noqa: S311  not for secrets
    return chance.sample(found, min(int(COUNT), len(found)))


def _seen_at_once(case: runner.Case) -> bool:
    _, value = case.edits[0]
    return value.outcome == REFUSED and not value.seen_later
